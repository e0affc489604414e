/** `filesync versions` of a served tree: what was replaced and removed, and what stood there at a moment. @module */
import { EXIT } from "../core/errors.ts";
import { ROOT, type TreePath } from "../core/path.ts";
import { entriesOf, findKeptStates } from "../sync/kept_states.ts";
import type { KeptFile } from "../versions/kept_files.ts";
import type { Context, Invocation } from "./command.ts";
import { describeEntry, localTime } from "./entry_text.ts";
import { jsonLine } from "./json_printer.ts";
import { quotePath, visible } from "./quote.ts";
import type { ServedTree } from "./served_tree.ts";
import { parseCount } from "./sizes.ts";
import { createStyle } from "./style.ts";

/** Prints what is kept at and below `under`, or with `--at` what stood there. */
export async function showKept(
  tree: ServedTree,
  under: TreePath | undefined,
  invocation: Invocation,
  context: Context,
): Promise<number> {
  const { clock, stdout, stderr } = context;
  const print = (json: { type: string } & Record<string, unknown>, text: string) =>
    stdout.write(invocation.has("json") ? jsonLine(clock.now(), json) : `${text}\n`);
  const at = invocation.flag("at");
  if (at !== undefined) {
    const paths = under === undefined || under === ROOT ? [] : [under];
    const states = await findKeptStates(tree.versions, { version: at, paths, now: clock.now() });
    const { completeSince } = await tree.versions.list({ limit: 1 });
    if (states.some(({ time }) => time < completeSince)) {
      stderr.write(`filesync: ${visible(incomplete(completeSince))}\n`);
    }
    for (const entry of await entriesOf(tree.versions, states)) {
      print({ type: "entry", ...entry }, `${quotePath(entry.path)}  ${describeEntry(entry)}`);
    }
    return EXIT.done;
  }
  const limit = parseCount(invocation.flag("number")!, "--number", { min: 1, max: 10_000 });
  const before = invocation.flag("before");
  const { versions } = await tree.versions.list({
    limit,
    ...(under === undefined ? {} : { under }),
    ...(before === undefined
      ? {}
      : { before: parseCount(before, "--before", { min: 0, max: Number.MAX_SAFE_INTEGER }) }),
  });
  for (const kept of versions) print(jsonOf(kept), textOf(kept, context));
  return EXIT.done;
}

/** What to say of a state that cannot be told in full. */
export function incomplete(completeSince: number): string {
  return `Of before ${localTime(completeSince)} not everything is kept: what is missing is left out`;
}

function jsonOf({ id, entry, cause, keptAt, since }: KeptFile): { type: string } & Record<string, unknown> {
  return {
    type: "kept-version",
    ...{ id, cause, gone: new Date(keptAt).toISOString() },
    ...(since === 0 ? {} : { since: new Date(since).toISOString() }),
    entry,
  };
}

function textOf({ id, entry, cause, keptAt }: KeptFile, { colors }: Context): string {
  const style = createStyle(colors);
  return `${style.bold(String(id).padStart(6))}  ${localTime(keptAt)}  ${cause.padEnd(8)}  ${
    quotePath(entry.path)
  }  ${style.dim(describeEntry(entry))}`;
}
