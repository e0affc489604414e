/** `filesync history`: what changed at a destination. @module */
import { existsSync } from "@std/fs";
import { join } from "@std/path";
import { EXIT } from "../core/errors.ts";
import { STATE_DIRECTORY } from "../core/path.ts";
import { openDatabase } from "../database/open.ts";
import { INDEX_MIGRATIONS } from "../index/schema.ts";
import { TreeIndex } from "../index/tree_index.ts";
import type { HistoryQuery, HistoryRecord } from "../transport/receiver.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { openDestination, parseDestination, SERVER_FLAGS, serverTrust } from "./destination.ts";
import { jsonLine } from "./json_printer.ts";
import { pathInTree } from "./places.ts";
import { quotePath } from "./quote.ts";
import { formatBytes, parseCount } from "./sizes.ts";
import { readToken, TOKEN_FILE_FLAG } from "./token.ts";
import { usageError } from "./usage_error.ts";

export const historyCommand: CommandBody = {
  description: "Works on a directory that is served, whether or not the server runs, and on a server.",
  arguments: [{ name: "dest", description: "A served directory, or host[:port] or http(s)://… of a server" }],
  flags: [
    { name: "under", short: "u", value: "PATH", description: "Only changes of PATH and what is below it" },
    { name: "number", short: "n", value: "N", default: "50", description: "Show at most N changes" },
    { name: "before", value: "SEQUENCE", description: "Only changes before that number" },
    TOKEN_FILE_FLAG,
    ...SERVER_FLAGS,
  ],
  examples: [
    { command: "filesync history /srv/photos --under 2024", does: "Show the latest changes below 2024" },
    { command: "filesync history backup.lan -n 1000 --json", does: "A thousand changes, for a script" },
  ],
  run: history,
};

async function history(invocation: Invocation, context: Context): Promise<number> {
  const under = invocation.flag("under");
  const before = invocation.flag("before");
  const query: HistoryQuery = {
    limit: parseCount(invocation.flag("number")!, "--number", { min: 1, max: 10_000 }),
    ...(under === undefined ? {} : { under: pathInTree(under, "--under") }),
    ...(before === undefined
      ? {}
      : { before: parseCount(before, "--before", { min: 0, max: Number.MAX_SAFE_INTEGER }) }),
  };
  const records = await readHistory(invocation, context, query);
  for (const record of records) {
    const { time, ...rest } = record;
    context.stdout.write(
      invocation.has("json") ? jsonLine(time, { type: "change", ...rest }) : textOf(record),
    );
  }
  return EXIT.done;
}

async function readHistory(
  invocation: Invocation,
  context: Context,
  query: HistoryQuery,
): Promise<HistoryRecord[]> {
  const destination = parseDestination(invocation.arguments[0], Deno.cwd());
  if (destination.kind === "directory") return readIndex(destination.path, query);
  if (destination.kind === "sftp") {
    throw usageError(
      `show the history of ${destination.host}`,
      "an SFTP server keeps none",
      "What was pushed there stands in the --log of filesync watch",
    );
  }
  const receiver = openDestination(destination, {
    clock: context.clock,
    token: readToken(invocation, context),
    ...serverTrust(invocation),
    client: "",
    version: context.version,
    signal: context.signal,
  });
  return await receiver.history(query);
}

/** Reads the index beside a server that may run: a receiver of our own would need its lock. */
function readIndex(directory: string, query: HistoryQuery): HistoryRecord[] {
  const path = join(directory, STATE_DIRECTORY, "index.db");
  if (!existsSync(path)) {
    throw usageError(
      `show the history of "${directory}"`,
      "it was never served",
      "Name the directory given to `filesync serve`",
    );
  }
  using index = new TreeIndex(
    openDatabase(path, { name: "index", migrations: INDEX_MIGRATIONS, readOnly: true }),
  );
  return index.history(query) as HistoryRecord[];
}

function textOf({ sequence, time, what, path, from, size }: HistoryRecord): string {
  const moved = from === undefined ? "" : `${quotePath(from)} → `;
  const bytes = size === undefined ? "" : `  ${formatBytes(size)}`;
  return `${String(sequence).padStart(7)}  ${new Date(time).toISOString()}  ${what.padEnd(10)}  ${moved}${
    quotePath(path)
  }${bytes}\n`;
}
