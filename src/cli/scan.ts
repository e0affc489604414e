/** `filesync scan`: find and record what changed in a huge tree. @module */
import { EXIT } from "../core/errors.ts";
import { CrawlPool } from "../crawler/crawl_pool.ts";
import { takeFingerprints } from "../crawler/take_fingerprints.ts";
import { scanTree } from "../crawler/scan.ts";
import type { ScanSession } from "../crawler/scan_session.ts";
import type { Shard } from "../crawler/shard.ts";
import { CATALOG_FLAGS, openCatalog } from "./catalog_location.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import { limitOf } from "./limit.ts";
import { openPrinter } from "./printer.ts";
import { realDirectory } from "./places.ts";
import type { Printer } from "./report.ts";
import { parseCount } from "./sizes.ts";
import { usageError } from "./usage_error.ts";

export const scanCommand: CommandBody = {
  description:
    "Walks <root> with several workers and brings a catalog up to date: every file with its size and time, and every change since the last scan. Look into it with `filesync changes` and `filesync report`, or with SQL.\n\n" +
    "Symbolic links are not followed. A directory that cannot be read is a problem, and what is in it stays in the catalog as it was. Names in .filesyncignore files, in the language of .gitignore, are left out. A scan that is broken off leaves the catalog as it was; so does one of a directory in which nothing is any more, unless --allow-empty is given.\n\n" +
    "Several trees, and with --shard parts of one, may be scanned into one catalog at the same time, with PostgreSQL also from several machines.",
  arguments: [{ name: "root", description: "The directory to scan" }],
  flags: [
    ...CATALOG_FLAGS,
    { name: "one-file-system", short: "x", description: "Do not enter directories on other file systems" },
    {
      name: "ignore",
      short: "i",
      value: "PATTERN",
      repeat: true,
      env: "FILESYNC_IGNORE",
      description: "Leave out what matches, as if it stood in .filesyncignore",
    },
    {
      name: "fingerprint",
      short: "f",
      description: "Read files that are new or changed, and record the BLAKE3 digest of their content",
    },
    { name: "paranoid", description: "Read all files again, and record those whose content changed unseen" },
    {
      name: "limit",
      short: "l",
      value: "SIZE",
      env: "FILESYNC_LIMIT",
      description:
        'Read at most SIZE a second for fingerprints, such as 100M; or by the hour: "08:00,10M 18:00,off"',
    },
    {
      name: "workers",
      short: "w",
      value: "N",
      env: "FILESYNC_WORKERS",
      description: "Walk with N workers; by default one for each core, up to 8",
    },
    {
      name: "allow-empty",
      description:
        "Believe that <root> was emptied, when nothing is in it any more; its disk may not be mounted",
    },
    { name: "shard", value: "I/N", description: "Scan only part I of N of the tree" },
    {
      name: "host",
      value: "NAME",
      env: "FILESYNC_HOST",
      description:
        "What the tree's machine is called in the catalog, for a file system that several machines share",
    },
    {
      name: "meta",
      short: "m",
      value: "KEY=VALUE",
      repeat: true,
      description: "Keep KEY=VALUE with the record of this scan",
    },
    ...LOG_FLAGS,
  ],
  examples: [
    { command: "filesync scan /srv/data", does: "Record what changed since the last time" },
    {
      command: "filesync scan /mnt/a -c postgres://db.lan/files --shard 1/4",
      does: "One of four machines that share the work",
    },
    { command: "filesync scan . -f --limit 100M -i node_modules/", does: "With digests of contents, gently" },
  ],
  run: scan,
};

async function scan(invocation: Invocation, context: Context): Promise<number> {
  const { clock, signal } = context;
  const root = catalogPath(realDirectory(invocation.arguments[0]));
  const shard = parseShard(invocation.flag("shard"));
  const metadata = parseMetadata(invocation.flags("meta"));
  const workers = invocation.flag("workers");
  const rateAt = limitOf(invocation);
  const ignore = invocation.flags("ignore");
  const oneFileSystem = invocation.has("one-file-system");
  const paranoid = invocation.has("paranoid");
  const fingerprints = paranoid || invocation.has("fingerprint");
  const host = invocation.flag("host") ?? Deno.hostname();

  // First, because its workers start while the catalog is opened.
  using pool = new CrawlPool(
    workers === undefined ? undefined : parseCount(workers, "--workers", { min: 1, max: 64 }),
  );
  await using store = await openCatalog(invocation, context);
  using printer = openPrinter(invocation, context);
  const startedAt = clock.now();
  printer.report({ type: "started", command: "scan", source: root || "/", destination: store.name });
  const problems = new Set<string>();
  const summary = await scanTree(store, pool, {
    host,
    root,
    shard,
    metadata,
    settings: { ignore, oneFileSystem, fingerprints, paranoid, workers: pool.size },
    ignore,
    oneFileSystem,
    allowEmpty: invocation.has("allow-empty"),
    clock,
    signal,
    onProgress: (session) => showProgress(session, printer, (clock.now() - startedAt) / 1000),
    onProblem: (problem) => {
      problems.add(problem.path ?? "");
      printer.report({ type: "problem", problem });
    },
  });
  printer.report({ type: "progress", ...NO_PROGRESS });
  let moved = 0;
  if (fingerprints) {
    const taken = await takeFingerprints(store, pool, {
      ...{ host, root, paranoid, rateAt, clock, signal, scan: summary.scan },
      onProgress: (done, total) =>
        printer.report({
          type: "progress",
          ...NO_PROGRESS,
          doneItems: done.files,
          totalItems: total.files + 1,
          doneBytes: done.bytes,
          totalBytes: total.bytes,
        }),
      onProblem: (problem) => {
        problems.add(problem.path ?? "");
        printer.report({ type: "problem", problem });
      },
    });
    printer.report({ type: "progress", ...NO_PROGRESS });
    moved = taken.moved;
    summary.modified += taken.modified;
  }
  printer.report({
    type: "scanned",
    ...summary,
    added: summary.added - moved,
    removed: summary.removed - moved,
    moved: summary.moved + moved,
    root: root || "/",
    seconds: (clock.now() - startedAt) / 1000,
    problems: problems.size,
  });
  if (signal.aborted) return EXIT.interrupted;
  return problems.size > 0 ? EXIT.problems : EXIT.done;
}

const NO_PROGRESS = { doneItems: 0, totalItems: 0, doneBytes: 0, totalBytes: 0, sentBytes: 0 };

/** The last scan's number of files is the best guess; beyond it there is always one more to come. */
function showProgress({ found, estimate }: ScanSession, printer: Printer, seconds: number): void {
  printer.report({
    type: "progress",
    ...NO_PROGRESS,
    doneItems: found.files,
    totalItems: estimate === undefined ? Infinity : Math.max(estimate, found.files) + 1,
    seconds,
  });
}

/** The path of a directory as the catalog has it: with slashes, and none at its end. */
function catalogPath(directory: string): string {
  return directory.replaceAll("\\", "/").replace(/\/$/, "");
}

/**
 * The part of a tree that `I/N` means.
 *
 * @throws {FilesyncError} `usage`.
 */
export function parseShard(text: string | undefined): Shard | undefined {
  if (text === undefined) return undefined;
  const [, index, count] = /^(\d{1,4})\/(\d{1,4})$/.exec(text)?.map(Number) ?? [];
  if (index >= 1 && index <= count) return { index, count };
  throw usageError(`use ${JSON.stringify(text)} for --shard`, "it is no part", "Write I/N, from 1/N to N/N");
}

function parseMetadata(pairs: string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const equals = pair.indexOf("=");
    if (equals > 0) return [pair.slice(0, equals), pair.slice(equals + 1)];
    throw usageError(`use ${JSON.stringify(pair)} for --meta`, "it has no key", "Write KEY=VALUE");
  }));
}
