/** Moments as people type them into a form. @module */
import { FilesyncError } from "../../core/errors.ts";
import { momentIn } from "../../versions/version_names.ts";

/**
 * The moment that `text` names: `2026-11-20T18:00` or `2026-11-20 18:00` (of the server's time zone, unless it says
 * another), `2026-11-20` (its end), or an age such as `2h`. Nothing for nothing.
 *
 * @throws {FilesyncError} `bad-request` when it is none of these.
 */
export function parseMoment(text: string | undefined, now: number): number | undefined {
  const trimmed = text?.trim() ?? "";
  if (trimmed === "") return undefined;
  const moment = momentIn(trimmed.toLowerCase(), now);
  if (moment !== undefined) return moment;
  throw new FilesyncError({
    code: "bad-request",
    operation: `understand the time ${JSON.stringify(trimmed.slice(0, 100))}`,
    reason: "it is neither a date, nor a time, nor an age",
    hint: "Write a time such as 2026-11-20 18:00, a day such as 2026-11-20, or an age such as 2h or 3d",
    permanent: true,
  });
}
