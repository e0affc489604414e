import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { openLog } from "./log_file.ts";

async function inDirectory(run: (directory: string, clock: FakeClock) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await run(directory, new FakeClock());
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const read = (path: string) => Deno.readTextFile(path);
const messages = (text: string) => text.trim().split("\n").map((line) => line.slice(33));

Deno.test("openLog() makes the directories and writes a line a record", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "a", "b", "filesync.log");
    using log = openLog(path, { clock });
    log.write("info", "first {not a template}", { path: "x y", size: 3 });
    assertEquals(
      await read(path),
      '2026-01-01T00:00:00.000Z info    first {not a template} path="x y" size=3\n',
    );
  }));

Deno.test("openLog() continues what is there", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    for (const word of ["one", "two"]) {
      using log = openLog(path, { clock });
      log.write("warning", word);
    }
    assertEquals(messages(await read(path)), ["one", "two"]);
  }));

Deno.test("write() leaves out what is below the level", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    {
      using log = openLog(path, { clock, level: "warning" });
      for (const level of ["debug", "info", "warning", "error"] as const) log.write(level, level);
    }
    assertEquals(messages(await read(path)), ["warning", "error"]);
  }));

Deno.test("write() keeps every record on a line of its own", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    using log = openLog(path, { clock });
    log.write("info", "a\n2026-01-01T00:00:00.000Z error   forged\x1b[2J");
    assertEquals((await read(path)).split("\n").length, 2);
    assert(!(await read(path)).includes("\x1b"));
  }));

Deno.test("write() gathers lines that follow closely, and writes them a moment later", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    using log = openLog(path, { clock });
    for (const word of ["1", "2", "3"]) log.write("info", word);
    assertEquals(messages(await read(path)), ["1"]);
    await clock.advance(250);
    assertEquals(messages(await read(path)), ["1", "2", "3"]);
    assertEquals(clock.sleepers, 0);
  }));

Deno.test("write() takes any number of lines at once", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    {
      using log = openLog(path, { clock });
      for (let i = 0; i < 50_000; i++) log.write("info", `put file ${i}`);
    }
    const lines = messages(await read(path));
    assertEquals([lines.length, lines.at(-1)], [50_000, "put file 49999"]);
  }));

Deno.test("dispose writes what waits, once, and later lines are dropped", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    const log = openLog(path, { clock });
    log.write("info", "1");
    log.write("info", "2");
    log[Symbol.dispose]();
    log[Symbol.dispose]();
    log.write("info", "3");
    await clock.advance(5000);
    assertEquals(messages(await read(path)), ["1", "2"]);
    assertEquals(clock.sleepers, 0);
  }));

Deno.test("openLog() rotates and keeps as many old files as asked", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    using log = openLog(path, { clock, maxBytes: 150, keep: 2 });
    for (let i = 0; i < 12; i++) {
      log.write("info", `line ${i}`.padEnd(30, "."));
      await clock.advance(300);
    }
    const names = [...Deno.readDirSync(directory)].map((entry) => entry.name).sort();
    assertEquals(names, ["filesync.log", "filesync.log.1", "filesync.log.2"]);
    for (const name of names) assert((await Deno.stat(join(directory, name))).size <= 150, name);
    // The last lines are all there, in order, from the oldest file to the newest.
    const kept = await Promise.all(names.reverse().map((name) => read(join(directory, name))));
    const numbers = messages(kept.join("")).map((line) => Number(/\d+/.exec(line)![0]));
    assertEquals(numbers, [6, 7, 8, 9, 10, 11]);
  }));

Deno.test("a log that is deleted with its directory comes back", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "logs", "filesync.log");
    using log = openLog(path, { clock });
    log.write("info", "before");
    await Deno.remove(join(directory, "logs"), { recursive: true });
    await clock.advance(1000);
    log.write("info", "after");
    assertEquals(messages(await read(path)), ["after"]);
  }));

Deno.test("a log that is moved away, as logrotate does, starts anew at its path", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    using log = openLog(path, { clock });
    log.write("info", "before");
    await Deno.rename(path, `${path}.old`);
    await Deno.writeTextFile(path, "");
    await clock.advance(1000);
    log.write("info", "after");
    assertEquals(messages(await read(`${path}.old`)), ["before"]);
    assertEquals(messages(await read(path)), ["after"]);
  }));

Deno.test("a log that cannot be written for a while loses nothing that fits", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "logs", "filesync.log");
    using log = openLog(path, { clock });
    log.write("info", "1");
    // A file where the directory was: neither root nor anyone else can open the log.
    await Deno.remove(join(directory, "logs"), { recursive: true });
    await Deno.writeTextFile(join(directory, "logs"), "");
    await clock.advance(1000);
    log.write("info", "2");
    log.write("info", "3");
    await clock.advance(5000);
    await Deno.remove(join(directory, "logs"));
    await clock.advance(2000);
    assertEquals(messages(await read(path)), ["2", "3"]);
  }));

Deno.test("a log that cannot be written for long says how much was lost", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "logs", "filesync.log");
    using log = openLog(path, { clock });
    await Deno.remove(join(directory, "logs"), { recursive: true });
    await Deno.writeTextFile(join(directory, "logs"), "");
    for (let i = 0; i < 20; i++) log.write("info", "x".repeat(100_000));
    await Deno.remove(join(directory, "logs"));
    await clock.advance(3000);
    const lines = messages(await read(path));
    assertEquals(lines.length, 12);
    assertEquals(lines.at(-1), "9 lines were lost while the log could not be written");
  }));

Deno.test({
  name: "a full disk does not stop the program, and the log goes on when there is room",
  // Writing to a file system that is really full takes one of our own.
  ignore: Deno.build.os !== "linux" || !canMount(),
  fn: () =>
    inDirectory(async (directory, clock) => {
      await mount(directory);
      try {
        const path = join(directory, "filesync.log");
        using log = openLog(path, { clock });
        log.write("info", "first");
        const filler = join(directory, "filler");
        using file = await Deno.open(filler, { create: true, write: true });
        try {
          for (;;) file.writeSync(new Uint8Array(4096));
        } catch (error) {
          assert(error instanceof Error && error.message.includes("No space left"), String(error));
        }
        await clock.advance(1000);
        log.write("info", "x".repeat(10_000));
        await clock.advance(3000);
        await Deno.remove(filler);
        file.truncateSync(0);
        await clock.advance(3000);
        log.write("info", "last");
        await clock.advance(3000);
        const lines = messages(await read(path));
        assertEquals([lines[0], lines.at(-1)], ["first", "last"]);
        assert(lines.includes("x".repeat(10_000)));
      } finally {
        await new Deno.Command("umount", { args: ["-l", directory] }).output();
      }
    }),
});

Deno.test("openLog() says at once that it can never be written", () =>
  inDirectory(async (directory, clock) => {
    await Deno.writeTextFile(join(directory, "file"), "");
    const under = assertThrows(() => openLog(join(directory, "file", "log"), { clock }), FilesyncError);
    assert(under.message.startsWith("Cannot write the log"), under.message);
    const itself = assertThrows(() => openLog(directory, { clock }), FilesyncError);
    assertEquals(itself.reason, "it is not a regular file");
  }));

Deno.test("asPrinter() writes every report but progress, with a fitting level", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "filesync.log");
    {
      using printer = openLog(path, { clock }).asPrinter();
      printer.report({ type: "applied", action: { type: "remove", path: "a\nb" as TreePath } });
      printer.report({
        type: "progress",
        ...{ doneItems: 0, totalItems: 1, doneBytes: 0, totalBytes: 1, sentBytes: 0 },
      });
      for (const permanent of [true, false]) {
        const problem = { code: "io", message: "Cannot read it: no", hint: "Look", permanent } as const;
        printer.report({ type: "problem", problem, retryAt: clock.now() + 2000 });
      }
      printer.report({ type: "connection", state: "offline" });
      printer.report({ type: "notice", level: "warning", message: "Careful" });
    }
    assertEquals((await read(path)).trim().split("\n").map((line) => line.slice(25)), [
      'info    remove "a\\nb"',
      "error   problem: Cannot read it: no (Look; next try in 2s)",
      "warning problem: Cannot read it: no (Look; next try in 2s)",
      "warning offline: the receiver does not answer",
      "warning warning: Careful",
    ]);
  }));

function canMount(): boolean {
  try {
    const probe = Deno.makeTempDirSync();
    try {
      const mounted =
        new Deno.Command("mount", { args: mountArgs(probe), stderr: "null" }).outputSync().success;
      if (mounted) new Deno.Command("umount", { args: [probe] }).outputSync();
      return mounted;
    } finally {
      Deno.removeSync(probe);
    }
  } catch {
    return false;
  }
}

function mountArgs(directory: string): string[] {
  return ["-t", "tmpfs", "-o", "size=64k", "tmpfs", directory];
}

async function mount(directory: string): Promise<void> {
  const { success } = await new Deno.Command("mount", { args: mountArgs(directory) }).output();
  assert(success);
}

Deno.test("a log that could not be written is tried again although the clock is set back meanwhile", () =>
  inDirectory(async (directory, clock) => {
    const path = join(directory, "logs", "filesync.log");
    using log = openLog(path, { clock });
    log.write("info", "1");
    await Deno.remove(join(directory, "logs"), { recursive: true });
    await Deno.writeTextFile(join(directory, "logs"), "");
    await clock.advance(1000);
    log.write("info", "2");
    clock.set(clock.now() - 86_400_000);
    await Deno.remove(join(directory, "logs"));
    await clock.advance(5000);
    assertEquals(messages(await read(path)), ["2"]);
  }));
