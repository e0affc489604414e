import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import { InterceptedReceiver } from "../../tests/support/intercepted_receiver.ts";
import { DirectDescriber } from "../../tests/support/source_bench.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import {
  assertSameTree,
  link,
  makeTree,
  type TreeSpec,
  treeText,
  waitForSameTree,
} from "../../tests/support/trees.ts";
import type { DescribePool } from "../chunking/describe_pool.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import { Outbox } from "../watcher/outbox.ts";
import { type OpenWatch, openWatcher } from "../watcher/watcher.ts";
import type { PushEvent } from "./push_event.ts";
import { Pusher, type PusherOptions, refuseNesting } from "./pusher.ts";
import { SourceState } from "./source_state.ts";

/** Far more than anything here takes, on a machine that does much else. */
const DEADLINE_MS = 60_000;

/** A source, a directory to push it to, and a pusher between them. */
class Scene implements AsyncDisposable {
  readonly #temp = new TempDirectory();
  readonly source = this.#temp.directory("source");
  readonly destination = this.#temp.directory("destination");
  readonly state = new SourceState(`${this.#temp.path}/state`, { clock: systemClock });
  readonly local: LocalReceiver;
  readonly receiver: InterceptedReceiver;
  readonly events: PushEvent[] = [];
  pusher: Pusher;
  readonly #stop = new AbortController();
  #watching: Promise<void> | undefined;

  constructor(source: TreeSpec, destination: TreeSpec = {}, options: Partial<PusherOptions> = {}) {
    makeTree(this.source, source);
    makeTree(this.destination, destination);
    this.local = new LocalReceiver(this.destination, { clock: systemClock });
    this.receiver = new InterceptedReceiver(this.local);
    this.pusher = this.#open(options);
  }

  /** As after a restart. */
  async reopen(options: Partial<PusherOptions> = {}): Promise<void> {
    await this.pusher[Symbol.asyncDispose]();
    this.events.length = 0;
    this.pusher = this.#open(options);
  }

  async pushOnce(): Promise<void> {
    await this.pusher.pushOnce(this.#stop.signal);
  }

  watch(): void {
    this.#watching = this.pusher.watch(this.#stop.signal);
    this.#watching.catch(() => {});
  }

  /** Resolves or rejects as the watch does. */
  stopped(): Promise<void> {
    return this.#watching!;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  same(): Promise<number> {
    return waitForSameTree(this.source, this.destination, DEADLINE_MS);
  }

  /** Waits for an event. */
  async event(isIt: (event: PushEvent) => boolean): Promise<void> {
    for (const end = performance.now() + DEADLINE_MS; !this.events.some(isIt);) {
      if (performance.now() > end) throw new Error(`It never came: ${JSON.stringify(this.events)}`);
      await systemClock.sleep(20);
    }
  }

  warnings(): string[] {
    return this.events.flatMap((event) =>
      event.type === "notice" && event.level === "warning" ? [event.message] : []
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching?.catch(() => {});
    await this.pusher[Symbol.asyncDispose]();
    this.state[Symbol.dispose]();
    await this.local.close();
    this.#temp[Symbol.dispose]();
  }

  #open(options: Partial<PusherOptions>): Pusher {
    return new Pusher({
      source: this.source,
      state: this.state,
      receiver: this.receiver,
      clock: systemClock,
      random: Math.random,
      onEvent: (event) => this.events.push(event),
      ...options,
    });
  }
}

function removals(events: PushEvent[]): string[] {
  return events.flatMap((event) =>
    event.type === "applied" && event.action.type === "remove" ? [event.action.path as string] : []
  );
}

const TREE = { a: "1", d: { b: "2", e: { c: "3" } }, l: link("a") };

Deno.test("pushOnce() makes the receiver equal, and tells what it did", async () => {
  await using scene = new Scene(TREE);
  await scene.pushOnce();
  await assertSameTree(scene.source, scene.destination, { directoryMtime: true, symlinkMtime: true });
  const { put, directory, symlink, problems, waiting } = scene.pusher.totals;
  assertEquals([put, directory, symlink, problems, waiting], [3, 2, 1, 0, 0]);
  assert(scene.events.some(({ type }) => type === "looking"));
});

Deno.test("pushOnce() of a tree that is as it was does nothing", async () => {
  await using scene = new Scene(TREE);
  await scene.pushOnce();
  await scene.reopen();
  scene.receiver.calls.length = 0;
  await scene.pushOnce();
  const { put, directory, symlink, remove, move } = scene.pusher.totals;
  assertEquals([put, directory, symlink, remove, move], [0, 0, 0, 0, 0]);
  assertEquals(scene.receiver.calls.map(({ method }) => method), ["open"]);
});

Deno.test("pushOnce() leaves in the queue what the receiver has no room for", async () => {
  await using scene = new Scene({ a: "1", b: "2" });
  scene.receiver.intercept = async ({ method, args }, forward) => {
    if (method !== "apply") return await forward();
    const [{ actions }] = args as [{ actions: unknown[] }];
    const problem = { code: "disk-full", message: "Cannot write it: the disk is full", permanent: false };
    return { before: 0, after: 0, results: actions.map(() => ({ done: false, problem })) };
  };
  await scene.pushOnce();
  assertEquals(scene.pusher.totals.waiting, 2);
  assertEquals(await treeText(scene.destination), "");
});

Deno.test("pushOnce() throws what the receiver refuses us with", async () => {
  await using scene = new Scene(TREE);
  scene.receiver.intercept = () =>
    Promise.reject(
      new FilesyncError({
        code: "unauthorized",
        operation: "open it",
        reason: "wrong token",
        permanent: true,
      }),
    );
  await assertRejects(() => scene.pushOnce(), FilesyncError, "wrong token");
});

Deno.test("pushOnce() throws when the receiver refuses us in the middle of a look", async () => {
  await using scene = new Scene(Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`f${i}`, `${i}`])));
  let calls = 0;
  scene.receiver.intercept = async (_call, forward) => {
    if (calls++ < 3) return await forward();
    throw new FilesyncError({
      code: "unauthorized",
      operation: "open it",
      reason: "wrong token",
      permanent: true,
    });
  };
  await assertRejects(() => scene.pushOnce(), FilesyncError, "wrong token");
});

Deno.test("pushOnce() removes nothing when the source is empty, until it is told to", async () => {
  await using scene = new Scene(TREE);
  await scene.pushOnce();
  for (const name of ["a", "d", "l"]) Deno.removeSync(`${scene.source}/${name}`, { recursive: true });
  await scene.reopen();
  await scene.pushOnce();
  assertEquals(scene.pusher.brake, "the source is empty, and 6 entries were known in it");
  assertEquals(scene.warnings(), [`Nothing is removed at the receiver: ${scene.pusher.brake}`]);
  assert((await treeText(scene.destination)).includes("d/e/c"));
  await scene.reopen({ allowMassDelete: true });
  await scene.pushOnce();
  assertEquals([scene.pusher.brake, await treeText(scene.destination)], [undefined, ""]);
});

Deno.test("pushOnce() with deleteExtra keeps what both have, and removes the rest", async () => {
  await using scene = new Scene(TREE, { ...TREE, theirs: "x", d: { ...TREE.d, theirs: "y" } }, {
    deleteExtra: true,
  });
  await scene.pushOnce();
  await assertSameTree(scene.source, scene.destination);
  assertEquals(removals(scene.events).toSorted(), ["d/theirs", "theirs"]);
  assertEquals(scene.pusher.totals.sentBytes, 0);
});

Deno.test("pushOnce() with deleteExtra spares what is left out at the source", async () => {
  await using scene = new Scene({ ...TREE, ".filesyncignore": "*.tmp\n" }, { "a.tmp": "x", "b.old": "y" }, {
    deleteExtra: true,
  });
  await scene.pushOnce();
  assertEquals(removals(scene.events), ["b.old"]);
});

Deno.test("pushOnce() with deleteExtra spares what is left out, also in directories that are not in the source", async () => {
  const old = { "a.tmp": "x", b: "y", c: { d: "1" }, e: { "f.tmp": "2", g: "3" } };
  await using scene = new Scene({ ...TREE, ".filesyncignore": "*.tmp\n" }, { ...TREE, old }, {
    deleteExtra: true,
    allowMassDelete: true,
  });
  await scene.pushOnce();
  assertEquals(removals(scene.events).toSorted(), ["old/b", "old/c", "old/e/g"]);
  await scene.reopen({ deleteExtra: true });
  await scene.pushOnce();
  assertEquals(removals(scene.events), []);
});

Deno.test("pushOnce() with deleteExtra does not empty the receiver for an empty source, unless told to", async () => {
  for (const allowMassDelete of [false, true]) {
    await using scene = new Scene({}, { theirs: "x" }, { deleteExtra: true, allowMassDelete });
    await scene.pushOnce();
    assertEquals(removals(scene.events), allowMassDelete ? ["theirs"] : []);
  }
});

Deno.test("pushOnce() does not wait for ever for a file that never stands still, and says so", async () => {
  const describer = new DirectDescriber();
  await using scene = new Scene({ a: "1" }, {}, { pool: describer as unknown as DescribePool });
  const path = `${scene.source}/log`;
  Deno.writeFileSync(path, new Uint8Array(5 << 20));
  describer.onRead = (reads) => {
    if (reads <= 20) Deno.writeTextFileSync(path, "more", { append: true });
  };
  await scene.pushOnce();
  assert(describer.reads < 20);
  assertEquals(scene.warnings(), ['"log" changes each time it is read']);
  assertEquals((await scene.local.entry(parsePath("log")))?.kind, "file");
});

Deno.test("plan() queues what is needed, and sends nothing", async () => {
  await using scene = new Scene(TREE);
  await scene.pusher.plan(new AbortController().signal);
  assertEquals(scene.state.queue.size, 6);
  assertEquals([scene.receiver.calls, await treeText(scene.destination)], [[], ""]);
});

Deno.test("plan() has what changed while it was read, too", async () => {
  const describer = new DirectDescriber();
  await using scene = new Scene({ a: "1" }, {}, { pool: describer as unknown as DescribePool });
  const path = `${scene.source}/big`;
  Deno.writeFileSync(path, new Uint8Array(5 << 20));
  describer.onRead = (reads) => {
    if (reads === 1) Deno.writeTextFileSync(path, "more", { append: true });
  };
  await scene.pusher.plan(new AbortController().signal);
  assertEquals(scene.state.queue.pending().map(({ action }) => action.path as string).toSorted(), [
    "a",
    "big",
  ]);
});

Deno.test("Pusher needs a source that is there", () => {
  using temp = new TempDirectory();
  using state = new SourceState(`${temp.path}/state`, { clock: systemClock });
  const options = {
    state,
    receiver: {} as LocalReceiver,
    clock: systemClock,
    random: Math.random,
    onEvent() {},
  };
  assertThrows(
    () => new Pusher({ ...options, source: `${temp.path}/none` }),
    FilesyncError,
    "does not exist",
  );
  Deno.writeTextFileSync(`${temp.path}/file`, "");
  assertThrows(
    () => new Pusher({ ...options, source: `${temp.path}/file` }),
    FilesyncError,
    "not a directory",
  );
});

Deno.test("watch() pushes every kind of change as it is made", async () => {
  await using scene = new Scene({ ...TREE, stays: "s" });
  scene.watch();
  await scene.same();

  makeTree(scene.source, { new: "4", "x/y/z": "5" });
  await scene.same();
  Deno.renameSync(`${scene.source}/d`, `${scene.source}/moved`);
  Deno.writeTextFileSync(`${scene.source}/a`, "edited");
  await scene.same();
  Deno.removeSync(`${scene.source}/x`, { recursive: true });
  Deno.removeSync(`${scene.source}/new`);
  Deno.mkdirSync(`${scene.source}/new`);
  Deno.writeTextFileSync(`${scene.source}/new/file`, "6");
  await scene.same();
  Deno.chmodSync(`${scene.source}/a`, 0o700);
  await scene.same();
  assertEquals(scene.events.some((event) => event.type === "applied" && event.action.type === "move"), true);
  await scene.stop();
});

Deno.test("watch() heeds rule files, also those that come later", async () => {
  await using scene = new Scene({ stays: "s", "f.tmp": "1" });
  scene.watch();
  await scene.same();
  makeTree(scene.source, { ".filesyncignore": "*.tmp\n" });
  await scene.same();
  makeTree(scene.source, { "g.tmp": "2" });
  makeTree(scene.source, { last: "3" });
  await waitForSameTree(scene.source, scene.destination, DEADLINE_MS, { ignore: (path) => path === "g.tmp" });
  Deno.writeTextFileSync(`${scene.source}/.filesyncignore`, "");
  await scene.same();
  await scene.stop();
});

Deno.test("watch() removes nothing while the source is gone, and goes on when it is back", async () => {
  await using scene = new Scene(TREE);
  scene.watch();
  await scene.same();
  const before = await treeText(scene.destination);

  Deno.removeSync(scene.source, { recursive: true });
  await scene.event((event) => event.type === "notice" && event.message.startsWith("The source is gone"));
  assertEquals(await treeText(scene.destination), before);
  makeTree(scene.source, { ...TREE, back: "again" });
  await scene.same();
  assertEquals(removals(scene.events), []);
  // And it is watched as before.
  Deno.writeTextFileSync(`${scene.source}/later`, "x");
  await scene.same();
  await scene.stop();
});

Deno.test("watch() pushes the directory that stands there, not the one that stood there when it was opened", async () => {
  await using scene = new Scene({ old: "1" });
  Deno.renameSync(scene.source, `${scene.source}.old`);
  makeTree(scene.source, { new: "2" });
  scene.watch();
  await scene.same();
  makeTree(scene.source, { later: "3" });
  await scene.same();
  assertEquals(scene.warnings(), []);
});

Deno.test("watch() goes on with a source that could not be opened when it was back", async () => {
  const outbox = new Outbox();
  const openWatch: OpenWatch = () => ({
    ready: Promise.resolve(),
    events: (signal) => outbox.events(signal),
    revisit() {},
    [Symbol.asyncDispose]: () => Promise.resolve(outbox.close()),
  });
  await using scene = new Scene(TREE, {}, { openWatch, random: () => 0 });
  scene.watch();
  await scene.same();
  Deno.removeSync(scene.source, { recursive: true });
  Deno.writeTextFileSync(scene.source, "something else");
  outbox.notice({ type: "root-found" });
  await scene.event((event) => event.type === "notice" && event.message.includes("it is not a directory"));
  Deno.removeSync(scene.source);
  makeTree(scene.source, { ...TREE, back: "again" });
  await scene.same();
});

Deno.test("watch() survives a receiver that comes and goes", async () => {
  await using scene = new Scene(TREE);
  let away = false;
  scene.receiver.intercept = (_call, forward) =>
    away
      ? Promise.reject(new FilesyncError({ code: "unreachable", operation: "reach it", reason: "refused" }))
      : forward();
  scene.watch();
  await scene.same();
  away = true;
  makeTree(scene.source, { more: "x" });
  await scene.event((event) => event.type === "connection" && event.state === "offline");
  away = false;
  await scene.same();
  await scene.stop();
});

Deno.test("watch() ends when the receiver refuses us", async () => {
  await using scene = new Scene(TREE);
  let refuses = false;
  scene.receiver.intercept = (_call, forward) =>
    refuses
      ? Promise.reject(
        new FilesyncError({
          code: "unauthorized",
          operation: "reach it",
          reason: "wrong token",
          permanent: true,
        }),
      )
      : forward();
  scene.watch();
  await scene.same();
  refuses = true;
  makeTree(scene.source, { more: "x" });
  await assertRejects(() => scene.stopped(), FilesyncError, "wrong token");
});

Deno.test("watch() can be stopped before the source is there to be watched", async () => {
  const opened = Promise.withResolvers<void>();
  const openWatch: OpenWatch = (...args) => {
    opened.resolve();
    return openWatcher(...args);
  };
  await using scene = new Scene(TREE, {}, { openWatch });
  Deno.removeSync(scene.source, { recursive: true });
  scene.watch();
  await opened.promise;
  await scene.stop();
});

Deno.test("watch() can be stopped at once", async () => {
  for (const wait of [0, 1, 50]) {
    await using scene = new Scene(TREE);
    scene.watch();
    await systemClock.sleep(wait);
    await scene.stop();
  }
});

Deno.test("refuseNesting() refuses directories of which one holds the other", () => {
  const refused: [string, string, string][] = [
    ["/a", "/a", "they are the same directory"],
    ["/a", "/a/b", "the destination is inside the source"],
    ["/", "/b", "the destination is inside the source"],
    ["/a/b/c", "/a", "the source is inside the destination"],
    ["/a", "/", "the source is inside the destination"],
  ];
  for (const [source, destination, reason] of refused) {
    const error = assertThrows(() => refuseNesting(source, destination), FilesyncError);
    assertEquals([error.code, error.reason], ["usage", reason]);
  }
  refuseNesting("/a", "/ab");
  refuseNesting("/ab", "/a");
  refuseNesting("/a/b", "/a/c");
});

Deno.test("pushOnce() looks once more when the trees turn out to differ from what was known", async () => {
  const options = { deleteExtra: true };
  await using scene = new Scene({ "d/a": "a", "d/b": "b" }, {}, options);
  await scene.pushOnce();
  // The receiver has not seen it yet, and a rename alone cannot mend it.
  Deno.removeSync(`${scene.destination}/d`, { recursive: true });
  Deno.renameSync(`${scene.source}/d`, `${scene.source}/e`);
  await scene.reopen(options);
  await scene.pushOnce();
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("pushOnce() tries what earlier runs tried often enough", async () => {
  await using scene = new Scene({ a: "a" });
  const { queue } = scene.state;
  queue.add([{ action: { type: "remove", path: parsePath("gone") } }]);
  for (let tries = 0; tries < 9; tries++) {
    const [{ id }] = queue.take({ items: 1, bytes: 0 });
    queue.retry([id], { code: "disk-full", message: "the disk is full", permanent: false });
    queue.retryNow();
  }
  const [{ id }] = queue.take({ items: 1, bytes: 0 });
  queue.retry([id], { code: "disk-full", message: "", permanent: false, retryAfter: 3_600_000 });
  await scene.pushOnce();
  assertEquals(queue.size, 0);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("watch() goes on while its state has no room, from its first look on, and says so", async () => {
  await using scene = new Scene({
    ...TREE,
    many: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [i, `${i}`])),
  });
  const limit = (pages: number) => scene.state.index.sql(`PRAGMA max_page_count = ${pages}`).get();
  limit(1);
  scene.watch();
  await scene.event((event) => event.type === "notice" && event.message.endsWith("the disk is full"));
  limit(1 << 30);
  await scene.same();
  await scene.stop();
});

Deno.test("pushOnce() sends what a power cut left of a file whose new content was seen", async () => {
  await using scene = new Scene({ f: "new content" });
  await scene.pusher.plan(new AbortController().signal);
  await scene.reopen();
  // The times are those of the last write, the content is that of the one before.
  const at = `${scene.source}/f`;
  Deno.writeTextFileSync(at, "old content");
  Deno.utimeSync(at, 1_000_000, 1_000_000);
  using root = TreeRoot.open(scene.source);
  using anchor = root.anchor();
  const { mtime, ctime } = anchor.lstat(parsePath("f"))!;
  scene.state.index.sql("UPDATE entries SET mtime = ?, ctime = ?").run(mtime, ctime);
  await scene.pushOnce();
  assertEquals([scene.pusher.totals.waiting, scene.pusher.totals.problems], [0, 0]);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("watch() looks again at what it could not read, without any event, less and less often", async () => {
  const pauses: number[] = [];
  const clock: Clock = {
    now: () => systemClock.now(),
    sleep(ms, signal) {
      if (![15_000, 30_000, 60_000, 120_000].includes(ms)) return systemClock.sleep(ms, signal);
      pauses.push(ms);
      return systemClock.sleep(20, signal);
    },
  };
  await using scene = new Scene({ a: "1", f: "2" }, {}, { clock });
  let spoiled = true;
  const { anchor } = TreeRoot.prototype;
  using _stub = stub(TreeRoot.prototype, "anchor", function (this: TreeRoot) {
    const real = anchor.call(this);
    const { openRead } = real;
    real.openRead = (path) => {
      if (!spoiled || path !== "f") return openRead.call(real, path);
      throw new FilesyncError({ code: "io", operation: 'read "f"', reason: "the disk reports an error" });
    };
    return real;
  });
  scene.watch();
  for (const end = performance.now() + DEADLINE_MS; pauses.length < 3 && performance.now() < end;) {
    await systemClock.sleep(20);
  }
  assertEquals(pauses.slice(0, 3), [15_000, 30_000, 60_000]);
  spoiled = false;
  await scene.same();
  assertEquals(scene.state.problems(), []);
  await scene.stop();
});
