/** `filesync changes`: what scans found. @module */
import { resolve } from "@std/path";
import { EXIT } from "../core/errors.ts";
import { CHANGE_KINDS, type ChangeKind, type ChangeRecord, changes } from "../crawler/change_queries.ts";
import { CATALOG_FLAGS, openCatalog } from "./catalog_location.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { quotePath } from "./quote.ts";
import { parseMoment } from "./since.ts";
import { formatBytes, parseCount } from "./sizes.ts";
import { anyOf } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

export const changesCommand: CommandBody = {
  description: "Oldest first. Without --since and --scan it shows all that the catalog knows.",
  arguments: [],
  flags: [
    ...CATALOG_FLAGS,
    { name: "under", short: "u", value: "PATH", description: "Only of PATH and what is below it" },
    {
      name: "kind",
      short: "k",
      value: "KIND",
      repeat: true,
      description: "Only added, modified, removed or moved",
    },
    {
      name: "since",
      short: "s",
      value: "TIME",
      description: "Only of scans since then: a duration such as 7d, or a date such as 2026-01-31",
    },
    { name: "scan", value: "N", description: "Only of the scan with this number" },
    { name: "host", value: "NAME", env: "FILESYNC_HOST", description: "Only of trees of this machine" },
    { name: "number", short: "n", value: "N", description: "Show at most N changes" },
  ],
  examples: [
    { command: "filesync changes --since 1d", does: "What was found since yesterday" },
    { command: "filesync changes --under /srv/data/2026 -k removed", does: "What went from a directory" },
    { command: "filesync changes --scan 12 --json", does: "One scan, for a script" },
  ],
  run: showChanges,
};

async function showChanges(invocation: Invocation, context: Context): Promise<number> {
  const since = invocation.flag("since");
  const scan = invocation.flag("scan");
  const number = invocation.flag("number");
  let left = number === undefined ? Infinity : parseCount(number, "--number", { min: 1 });
  const query = {
    since: since === undefined ? undefined : parseMoment(since, context.clock.now(), "--since"),
    scan: scan === undefined ? undefined : parseCount(scan, "--scan", { min: 1 }),
    host: invocation.flag("host"),
    under: cataloguedPath(invocation.flag("under")),
    kinds: parseKinds(invocation.flags("kind")),
  };
  await using store = await openCatalog(invocation, context, { readOnly: true });
  for await (const records of changes(store.sql, query)) {
    for (const record of records) {
      if (left-- <= 0 || context.signal.aborted) return EXIT.done;
      context.stdout.write(invocation.has("json") ? jsonOf(record) : textOf(record));
    }
    // What was written goes out with the next turn.
    await Promise.resolve();
  }
  return EXIT.done;
}

/** A path as catalogs have it: absolute, with slashes. */
export function cataloguedPath(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path).replaceAll("\\", "/").replace(/\/$/, "");
}

function parseKinds(given: string[]): ChangeKind[] | undefined {
  if (given.length === 0) return undefined;
  return given.map((kind) => {
    if ((CHANGE_KINDS as string[]).includes(kind)) return kind as ChangeKind;
    throw usageError(
      `use ${JSON.stringify(kind)} for --kind`,
      "there is no such kind",
      `Write ${anyOf(CHANGE_KINDS)}`,
    );
  });
}

function jsonOf({ time, oldMtime, newMtime, ...rest }: ChangeRecord): string {
  const iso = (name: string, micros: number | undefined) =>
    micros === undefined ? {} : { [name]: new Date(micros / 1000).toISOString() };
  return jsonLine(time, {
    type: "change",
    ...rest,
    ...iso("oldMtime", oldMtime),
    ...iso("newMtime", newMtime),
  });
}

function textOf({ scan, time, kind, path, from, oldSize, newSize }: ChangeRecord): string {
  const moved = from === undefined ? "" : `${quotePath(from)} → `;
  const size = oldSize !== undefined && newSize !== undefined && oldSize !== newSize
    ? `${formatBytes(oldSize)} → ${formatBytes(newSize)}`
    : formatBytes(newSize ?? oldSize ?? 0);
  return `${String(scan).padStart(5)}  ${new Date(time).toISOString()}  ${kind.padEnd(8)}  ${moved}${
    quotePath(path)
  }  ${size}\n`;
}
