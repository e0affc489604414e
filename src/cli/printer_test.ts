import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { assertSnapshot } from "@std/testing/snapshot";
import { fakeContext, statusCommand, watchCommand } from "../../tests/support/command_line.ts";
import { parseDigest } from "../core/digest.ts";
import { parsePath, type TreePath } from "../core/path.ts";
import { type Command, type Context, LOG_FLAGS } from "./command.ts";
import { createPrinter, openPrinter, type PrinterOptions, teePrinter } from "./printer.ts";
import type { ProgressReport, Report } from "./report.ts";
import { invocationOf } from "./settings.ts";

const now = Date.UTC(2026, 0, 1);
const digest = parseDigest("ab".repeat(32));
const path = parsePath("photos/a b.jpg");
const evil = parsePath("x\n\x1b[2Jy");
const stamps = { mtime: now, mode: 0o644 };

const progress: ProgressReport = {
  type: "progress",
  doneItems: 1,
  totalItems: 4,
  doneBytes: 1024,
  totalBytes: 4096,
  sentBytes: 512,
  current: path,
};

/** One of each, and what is awkward about some. */
const reports: Report[] = [
  { type: "started", command: "watch", source: "/home/a", destination: "http://b:7433", dryRun: true },
  progress,
  { type: "applied", action: { type: "put", path, size: 12_595, digest, ...stamps }, time: now - 1000 },
  { type: "applied", action: { type: "put", path, size: 12_595, digest, ...stamps }, sentBytes: 600 },
  { type: "applied", action: { type: "put", path: evil, size: 0, digest, ...stamps }, sentBytes: 0 },
  { type: "applied", action: { type: "directory", path: "d" as TreePath, ...stamps } },
  { type: "applied", action: { type: "symlink", path: "l" as TreePath, mtime: now, target: "../x" } },
  { type: "applied", action: { type: "move", from: path, path: "moved.jpg" as TreePath } },
  { type: "applied", action: { type: "remove", path: evil }, dryRun: true },
  {
    type: "problem",
    problem: {
      code: "disk-full",
      path,
      message: 'Cannot write "photos/a b.jpg": the disk is full',
      hint: "Free some space; it will be tried again",
      permanent: false,
    },
    retryAt: now + 12_400,
  },
  {
    type: "problem",
    problem: { code: "io", path: evil, message: "Cannot read it: \x1b]0;gone", permanent: true },
  },
  { type: "notice", level: "info", message: "The tree is watched" },
  { type: "notice", level: "warning", message: "Watches ran out", hint: "Raise fs.inotify.max_user_watches" },
  { type: "connection", state: "offline", detail: "connection refused", retryAt: now + 3000 },
  { type: "connection", state: "offline" },
  { type: "connection", state: "indexing", retryAt: now },
  { type: "connection", state: "online", detail: "http://b:7433" },
  {
    type: "listening",
    url: "http://127.0.0.1:7433",
    directory: "/srv/backup",
    token: "s3cret",
    watchCommand: "filesync watch <dir> --to http://127.0.0.1:7433 --token-file T",
    indexed: { files: 1, bytes: 5 },
  },
  { type: "received", record: { sequence: 7, time: now - 5, what: "put", path, size: 2048, digest } },
  {
    type: "received",
    record: { sequence: 8, time: now, what: "move", path: "b" as TreePath, from: evil },
    client: "10.0.0.2",
  },
  { type: "received", record: { sequence: 9, time: now, what: "found-gone", path } },
  {
    type: "totals",
    counts: { put: 1, directory: 2, symlink: 1, move: 3, remove: 1234 },
    bytes: 4096,
    sentBytes: 512,
    savedBytes: 3584,
    seconds: 83.2,
    problems: 2,
  },
  { type: "totals", counts: {}, bytes: 0, sentBytes: 0, seconds: 0.1, problems: 0, dryRun: true },
];

function print(all: Report[], changes: Partial<PrinterOptions> & { json?: boolean } = {}) {
  const context = fakeContext();
  const written: string[] = [];
  const sink = (name: string) => ({ write: (text: string) => void written.push(`${name} ${text}`) });
  using printer = createPrinter({
    ...context,
    out: sink("out"),
    err: sink("err"),
    columns: () => 80,
    json: false,
    ...changes,
  });
  for (const report of all) printer.report(report);
  printer.close();
  return written;
}

Deno.test("createPrinter() prints one line an event into a pipe", async (t) => {
  const written = print(reports);
  await assertSnapshot(t, written);
  for (const text of written.filter((text) => !text.includes("token"))) {
    assertEquals(text.indexOf("\n"), text.length - 1);
    assert(!text.includes("\x1b"));
  }
});

Deno.test("createPrinter() draws a bar below coloured lines on a terminal", async (t) => {
  await assertSnapshot(t, print(reports, { isTerminal: true, colors: true }));
});

Deno.test("createPrinter() prints JSON objects with time and type", async (t) => {
  const written = print(reports, { json: true });
  for (const text of written) {
    const object = JSON.parse(text.slice(4));
    assertEquals(Object.keys(object).slice(0, 2), ["time", "type"]);
    assertEquals(object.time, new Date(object.time).toISOString());
    assert(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(text));
  }
  await assertSnapshot(t, written);
});

Deno.test("createPrinter() keeps only what needs attention when quiet", () => {
  const heads = (written: string[]) => written.map((text) => text.split(" ").slice(0, 2).join(" ").trim());
  assertEquals(heads(print(reports, { quiet: true })), [
    "err problem:",
    "err problem:",
    "err warning:",
    "err offline:",
    "err offline:",
    "out listening",
  ]);
  assertEquals(print([progress], { quiet: true, isTerminal: true }), []);
  assertEquals(print([progress], { quiet: true, json: true }), []);
});

Deno.test("createPrinter() lets the bar alone speak for many items, unless verbose", () => {
  const bulk: Report[] = [
    { ...progress, totalItems: 5000 },
    { type: "applied", action: { type: "remove", path } },
  ];
  const remove = (written: string[]) => written.filter((text) => text.includes("remove")).length;
  assertEquals(remove(print(bulk, { isTerminal: true })), 0);
  assertEquals(remove(print(bulk, { isTerminal: true, verbose: true })), 1);
  assertEquals(remove(print(bulk)), 1);
  const over: Report[] = [...bulk, { ...progress, doneItems: 5000, totalItems: 5000 }, bulk[1]];
  assertEquals(remove(print(over, { isTerminal: true })), 1);
});

Deno.test("createPrinter() prints JSON progress once a second", async () => {
  const context = fakeContext();
  const printer = createPrinter({ ...context, out: context.stdout, err: context.stderr, json: true });
  for (let i = 0; i < 30; i++) {
    printer.report(progress);
    await context.clock.advance(100);
  }
  assertEquals(context.printed.trim().split("\n").length, 3);
});

Deno.test("teePrinter() shows everything everywhere", () => {
  const seen: string[] = [];
  const spy = (name: string) => {
    const close = () => void seen.push(`${name} closed`);
    return {
      report: (report: Report) => void seen.push(`${name} ${report.type}`),
      close,
      [Symbol.dispose]: close,
    };
  };
  {
    using printer = teePrinter(spy("a"), spy("b"));
    printer.report(progress);
  }
  assertEquals(seen, ["a progress", "b progress", "a closed", "b closed"]);
});

function open(command: Command, given: Record<string, string[]>, context: Context) {
  const line = { arguments: [], given: new Map(Object.entries({ to: ["x"], ...given })) };
  return openPrinter(invocationOf(command, line, () => undefined, {}), context);
}

Deno.test("openPrinter() follows the flags", () => {
  const context = fakeContext();
  open(statusCommand, { json: ["true"] }, context).report({ type: "notice", level: "info", message: "hi" });
  open(statusCommand, { quiet: ["true"] }, context).report({ type: "notice", level: "info", message: "no" });
  assertEquals(JSON.parse(context.printed), {
    time: "2026-01-01T00:00:00.000Z",
    type: "notice",
    level: "info",
    message: "hi",
  });
});

Deno.test("openPrinter() also writes the log, without the token", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const log = join(directory, "logs", "sync.log");
    const context = fakeContext();
    const command = { ...watchCommand, flags: [...watchCommand.flags, ...LOG_FLAGS] };
    {
      using printer = open(command, { log: [log] }, context);
      for (const report of reports) printer.report(report);
    }
    const text = await Deno.readTextFile(log);
    assert(context.printed.includes("s3cret") && !text.includes("s3cret"));
    assertEquals(text.trim().split("\n").length, reports.length - 1);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
