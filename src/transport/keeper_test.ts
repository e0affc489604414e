import { assert, assertEquals, assertMatch } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { Action } from "../core/action.ts";
import { systemClock } from "../core/clock.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { StoreStep } from "../versions/chunk_log.ts";
import { VersionStore } from "../versions/version_store.ts";
import { KEPT_DIRECTORY, LocalReceiver } from "./local_receiver.ts";
import type { Receiver } from "./receiver.ts";

const encoder = new TextEncoder();
const OLD = Date.UTC(2024, 0, 1, 0, 0, 0, 5);

/** A served directory that keeps what goes, and may be made to fail. */
class Kept implements AsyncDisposable {
  readonly #temp = new TempDirectory();
  readonly directory = this.#temp.path;
  readonly clock = new FakeClock(systemClock.now());
  readonly problems: string[] = [];
  /** Fails what the store does at a step. */
  failAt: (step: StoreStep) => void = () => {};
  /** How often the store came to a step. */
  readonly steps: Partial<Record<StoreStep, number>> = {};
  #receiver: LocalReceiver | undefined;

  static async open(retention = { age: 1e12 } as { age?: number; count?: number }): Promise<Kept> {
    const kept = new Kept();
    await kept.start(retention);
    return kept;
  }

  get receiver(): LocalReceiver {
    return this.#receiver!;
  }

  async start(retention = { age: 1e12 } as { age?: number; count?: number }): Promise<void> {
    const onStep = (step: StoreStep) => {
      this.steps[step] = (this.steps[step] ?? 0) + 1;
      this.failAt(step);
    };
    const onProblem = (error: FilesyncError) => this.problems.push(error.message);
    this.#receiver = new LocalReceiver(this.directory, {
      clock: this.clock,
      keep: { retention, onProblem, store: { onStep } },
    });
    await this.#receiver.ready;
  }

  async stop(): Promise<void> {
    await this.#receiver?.close();
    this.#receiver = undefined;
  }

  /** What is kept, oldest first: `cause path=content`. */
  async told(): Promise<string[]> {
    const { versions } = await this.receiver.versions!.list({ limit: 10_000 });
    const lines: string[] = [];
    for (const { cause, entry } of versions.reverse()) {
      lines.push(`${cause} ${entry.path}${await this.#content(entry)}`);
    }
    return lines;
  }

  write(path: string, content: string): void {
    Deno.writeTextFileSync(`${this.directory}/${path}`, content);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#temp[Symbol.dispose]();
  }

  async #content(entry: Entry): Promise<string> {
    if (entry.kind !== "file") return entry.kind === "directory" ? "/" : `->${entry.target}`;
    if (entry.size > 100) return `=${entry.size} bytes`;
    return `=${await new Response(await this.receiver.versions!.read(entry.digest)).text()}`;
  }
}

Deno.test("keeping costs one commit of the store a batch, and nothing when nothing goes", async () => {
  await using kept = await Kept.open();
  const paths = Array.from({ length: 100 }, (_, i) => `d/${i}`);
  await put(kept.receiver, ...paths.map((path): [string, string] => [path, `first ${path}`]));
  assertEquals(kept.steps.committed, undefined);
  await put(kept.receiver, ...paths.map((path): [string, string] => [path, `second ${path}`]));
  assertEquals(kept.steps.committed, 1);
  assertEquals((await kept.told()).length, 100);
});

Deno.test("a removed directory with a thousand files can be told and read", async () => {
  await using kept = await Kept.open();
  const paths = Array.from({ length: 1_000 }, (_, i) => `d/e${i % 7}/${i}`);
  await put(kept.receiver, ...paths.map((path): [string, string] => [path, path]));
  const before = (await Array.fromAsync(kept.receiver.tree())).length;
  await done(kept.receiver, [{ type: "remove", path: parsePath("d") }]);
  const told = await kept.told();
  assertEquals(told.length, before);
  for (const path of paths) assert(told.includes(`removed ${path}=${path}`), path);
});

Deno.test("a big file that gets a small edit costs the edit", async () => {
  await using kept = await Kept.open();
  const big = randomBytes(1, 8 << 20);
  await put(kept.receiver, ["big", big]);
  const edited = big.slice();
  edited.fill(7, 5 << 20, (5 << 20) + 100);
  await put(kept.receiver, ["big", edited]);
  const size = packBytes(kept.directory);
  const again = edited.slice();
  again.fill(8, 1 << 20, (1 << 20) + 100);
  await put(kept.receiver, ["big", again]);
  assertEquals(await kept.told(), ["replaced big=8388608 bytes", "replaced big=8388608 bytes"]);
  assert(packBytes(kept.directory) - size < 200_000);
});

Deno.test("what was changed behind the receiver's back is kept as it is", async () => {
  await using kept = await Kept.open();
  await put(kept.receiver, ["a", "one"], ["d/b", "b"]);
  kept.write("a", "edited by somebody");
  kept.write("foreign", "nobody knows it");
  Deno.removeSync(`${kept.directory}/d/b`);
  Deno.symlinkSync("somewhere", `${kept.directory}/d/b`);
  await kept.clock.advance(1_000);
  await put(kept.receiver, ["a", "two"], ["foreign", "known"], ["d/b", "c"]);
  assertEquals((await kept.told()).sort(), [
    "replaced a=edited by somebody",
    "replaced d/b->somewhere",
    "replaced foreign=nobody knows it",
  ]);
});

Deno.test("a file that is changed while it is being kept stays as it is, and goes at the next try", async () => {
  await using kept = await Kept.open();
  await put(kept.receiver, ["a", "one"]);
  kept.failAt = (step) => {
    if (step === "committed") kept.write("a", "edited at the last moment");
  };
  const [result] = await apply(kept.receiver, [putOf("a", "two")], ["two"]);
  assert(!result.done && !result.problem.permanent);
  assertMatch(result.problem.message, /Cannot keep "a" as it is: it was changed at the same moment/);
  assertEquals(Deno.readTextFileSync(`${kept.directory}/a`), "edited at the last moment");
  assertEquals(await kept.told(), []);
  kept.failAt = () => {};
  await put(kept.receiver, ["a", "two"]);
  assertEquals(await kept.told(), ["replaced a=edited at the last moment"]);
});

Deno.test("what cannot be kept for want of room stays in place; what needs no keeping goes on", async () => {
  await using kept = await Kept.open();
  await put(kept.receiver, ["a", "one"], ["d/b", "b"], ["e", "e"]);
  kept.failAt = (step) => {
    if (step === "written") throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
  };
  const actions: Action[] = [
    putOf("a", "two"),
    putOf("new", "two"),
    { type: "remove", path: parsePath("d") },
    { type: "move", from: parsePath("e"), path: parsePath("f") },
  ];
  const results = await apply(kept.receiver, actions, ["two"]);
  const codes = results.map((result) => result.done ? "done" : result.problem.code);
  assertEquals(codes, ["disk-full", "done", "disk-full", "disk-full"]);
  assert(results.every((result) => result.done || !result.problem.permanent));
  assertEquals(Deno.readTextFileSync(`${kept.directory}/a`), "one");
  assertEquals(Deno.readTextFileSync(`${kept.directory}/d/b`), "b");
  assertEquals(await kept.told(), []);
  kept.failAt = () => {};
  await done(kept.receiver, actions, ["two"]);
  assertEquals((await kept.told()).sort(), ["moved e=e", "removed d/", "removed d/b=b", "replaced a=one"]);
});

for (const when of ["before", "after"] as const) {
  Deno.test(`a crash ${when} the tree is changed loses nothing and tells nothing wrong`, async () => {
    await using kept = await Kept.open();
    await put(kept.receiver, ["a", "one"], ["d/b", "b"], ["m", "m"]);
    const actions: Action[] = [
      putOf("a", "two"),
      { type: "remove", path: parsePath("d") },
      { type: "move", from: parsePath("m"), path: parsePath("n") },
    ];
    // What the store has on the disk at that moment is what a crash leaves.
    const store = `${kept.directory}/.filesync/${KEPT_DIRECTORY}`;
    using saved = new TempDirectory();
    kept.failAt = (step) => {
      if (step !== "committed") return;
      copyStore(store, saved.path);
      for (const suffix of ["", "-wal"]) {
        Deno.copyFileSync(`${kept.directory}/.filesync/index.db${suffix}`, `${saved.path}/index.db${suffix}`);
      }
    };
    await done(kept.receiver, actions, ["two"]);
    await kept.stop();
    kept.failAt = () => {};
    Deno.removeSync(store, { recursive: true });
    copyStore(saved.path, store);
    if (when === "before") {
      makeBack(kept.directory);
      for (const suffix of ["", "-wal"]) {
        Deno.copyFileSync(`${saved.path}/index.db${suffix}`, `${kept.directory}/.filesync/index.db${suffix}`);
      }
    }
    await kept.start();
    const expected = when === "before" ? [] : ["moved m=m", "removed d/", "removed d/b=b", "replaced a=one"];
    assertEquals((await kept.told()).sort(), expected);
    await kept.stop();
    using after = new VersionStore(store, { readOnly: true });
    assertEquals(after.keptFiles.unsure(), []);
  });
}

Deno.test("old versions go by the retention, in the background, and the tree is told from then on only", async () => {
  await using kept = await Kept.open({ count: 2 });
  const start = kept.clock.now();
  for (let i = 1; i <= 5; i++) {
    await kept.clock.advance(1_000);
    await put(kept.receiver, ["a", `content ${i}`], [`b${i}`, "b"]);
  }
  assertEquals((await kept.told()).length, 4);
  await kept.clock.advance(11 * 60_000);
  await eventually(async () =>
    assertEquals(await kept.told(), ["replaced a=content 3", "replaced a=content 4"])
  );
  const { completeSince } = await kept.receiver.versions!.list({});
  assertEquals(completeSince, start + 3_000);
});

Deno.test("what was changed while nothing was kept is not taken for told", async () => {
  await using kept = await Kept.open();
  await put(kept.receiver, ["a", "one"]);
  await kept.stop();
  {
    await using receiver = new LocalReceiver(kept.directory, { clock: kept.clock });
    await receiver.ready;
    assertEquals(receiver.versions, undefined);
    await put(receiver, ["a", "two"]);
  }
  await kept.clock.advance(5_000);
  await kept.start();
  const { versions, completeSince } = await kept.receiver.versions!.list({});
  assertEquals([versions.length, completeSince], [0, kept.clock.now()]);
});

Deno.test("a kept content that a disk damaged is asked for again", async () => {
  await using kept = await Kept.open();
  const content = randomBytes(5, 100_000);
  await put(kept.receiver, ["a", content]);
  await put(kept.receiver, ["a", "other"]);
  const pack = `${kept.directory}/.filesync/${KEPT_DIRECTORY}/packs/000001.pack`;
  const bytes = Deno.readFileSync(pack);
  bytes[5_000] ^= 1;
  Deno.writeFileSync(pack, bytes);
  const offer = { digest: sha256(content), size: content.length };
  assertEquals(await kept.receiver.check([offer]), ["nothing"]);
  const [result] = await apply(kept.receiver, [putOf("b", content)], []);
  assertEquals(!result.done && result.problem.code, "content-missing");
  assertEquals(await kept.receiver.check([offer]), ["whole"]);
  assertEquals(await kept.receiver.pieces([{ content: sha256(content), ranges: [] }]), [undefined]);
  assertEquals(kept.problems.length, 1);
});

function putOf(path: string, content: string | Uint8Array): Action {
  const data = typeof content === "string" ? encoder.encode(content) : content;
  return {
    type: "put",
    path: parsePath(path),
    size: data.length,
    mtime: OLD,
    mode: 0o644,
    digest: sha256(data),
  };
}

async function apply(receiver: Receiver, actions: Action[], sent: readonly (string | Uint8Array)[]) {
  const contents = new Map(sent.map((content) => {
    const data = typeof content === "string" ? encoder.encode(content) : new Uint8Array(content);
    return [sha256(data), data];
  }));
  return (await receiver.apply({ key: crypto.randomUUID(), actions, contents })).results;
}

async function done(receiver: Receiver, actions: Action[], sent: readonly (string | Uint8Array)[] = []) {
  assertEquals(await apply(receiver, actions, sent), actions.map(() => ({ done: true as const })));
}

/** Puts files with these contents. */
function put(receiver: Receiver, ...files: [path: string, content: string | Uint8Array][]) {
  return done(
    receiver,
    files.map(([path, content]) => putOf(path, content)),
    files.map(([, content]) => content),
  );
}

function packBytes(directory: string): number {
  const packs = `${directory}/.filesync/${KEPT_DIRECTORY}/packs`;
  return [...Deno.readDirSync(packs)].reduce(
    (sum, { name }) => sum + Deno.statSync(`${packs}/${name}`).size,
    0,
  );
}

/** Copies a store as it is on the disk. */
function copyStore(from: string, to: string): void {
  Deno.mkdirSync(`${to}/packs`, { recursive: true });
  for (const directory of ["", "packs/"]) {
    for (const { name, isFile } of Deno.readDirSync(`${from}/${directory}`)) {
      if (isFile && name !== "lock") {
        Deno.copyFileSync(`${from}/${directory}${name}`, `${to}/${directory}${name}`);
      }
    }
  }
}

/** Makes the tree what it was before the changes of the crash tests. */
function makeBack(directory: string): void {
  Deno.writeTextFileSync(`${directory}/a`, "one");
  Deno.mkdirSync(`${directory}/d`);
  Deno.writeTextFileSync(`${directory}/d/b`, "b");
  Deno.renameSync(`${directory}/n`, `${directory}/m`);
}

/** Waits until `check` throws no longer. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (const end = systemClock.now() + 10_000;;) {
    try {
      return await check();
    } catch (error) {
      if (systemClock.now() > end) throw error;
      await systemClock.sleep(10);
    }
  }
}
