import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import {
  InterceptedReceiver,
  type ReceiverCall,
  withFault,
} from "../../tests/support/intercepted_receiver.ts";
import { SourceBench } from "../../tests/support/source_bench.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { assertSameTree, makeTree, type TreeSpec, treeText } from "../../tests/support/trees.ts";
import { randomBytes } from "../../tests/support/bytes.ts";
import { systemClock } from "../core/clock.ts";
import { type ErrorDetails, FilesyncError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import type { TreePath } from "../core/path.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import type { Batch, BatchResult } from "../transport/receiver.ts";
import type { PushEvent } from "./push_event.ts";
import { Sender, type SenderOptions } from "./sender.ts";
import { STATE_FILE } from "./source_state.ts";

type Fail = (call: ReceiverCall) => unknown;

/** A sender between a source and a directory, with time that passes on command. */
class Scene implements AsyncDisposable {
  readonly #temp = new TempDirectory();
  readonly source = this.#temp.directory("source");
  readonly destination = this.#temp.directory("destination");
  readonly clock = new FakeClock();
  readonly local: LocalReceiver;
  readonly receiver: InterceptedReceiver;
  /** Whether the receiver says so when it is empty; when not, it is asked what it lacks. */
  saysEmpty = false;
  readonly events: PushEvent[] = [];
  /** Paths that the sender wants to be looked at again. */
  readonly lookedAgain: TreePath[] = [];
  bench: SourceBench;
  sender!: Sender;
  #looking = new Mutex();
  #stop = new AbortController();
  #running: Promise<void> | undefined;

  private constructor(source: TreeSpec, destination: TreeSpec) {
    makeTree(this.source, source);
    makeTree(this.destination, destination);
    this.bench = this.#openBench();
    this.local = new LocalReceiver(this.destination, { clock: systemClock });
    this.receiver = new InterceptedReceiver(this.local);
    const { open } = this.receiver;
    this.receiver.open = async () => {
      const info = await open();
      return this.saysEmpty ? info : { ...info, hasContents: true };
    };
  }

  /** With a source that has been looked at, and nothing sent. */
  static async of(source: TreeSpec, destination: TreeSpec = {}): Promise<Scene> {
    const scene = new Scene(source, destination);
    await scene.local.ready;
    await scene.bench.inspector.lookAtAll();
    return scene;
  }

  /** With a destination that is equal to the source. */
  static async inStep(source: TreeSpec, destination: TreeSpec = {}): Promise<Scene> {
    const scene = new Scene(source, destination);
    await scene.local.ready;
    scene.start();
    // In the order of a pusher: what waits already cannot be compared.
    await scene.sender.met;
    await scene.bench.inspector.lookAtAll();
    await scene.idle();
    await scene.stop();
    scene.receiver.calls.length = 0;
    scene.events.length = 0;
    return scene;
  }

  start(options: Partial<SenderOptions> = {}): void {
    this.#stop = new AbortController();
    this.#looking = new Mutex();
    this.sender = new Sender({
      receiver: this.receiver,
      root: () => this.bench.root,
      state: this.bench.state,
      clock: this.clock,
      random: () => 0.5,
      looking: this.#looking,
      lookAgain: (path) => this.lookedAgain.push(path),
      onEvent: (event) => this.events.push(event),
      ...options,
    });
    this.#running = this.sender.run(this.#stop.signal);
    this.#running.catch(() => {});
  }

  /** Resolves or rejects as the sender's run does. */
  get running(): Promise<void> {
    return this.#running!;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#running = undefined;
  }

  /** Makes the calls for which `fail` gives something fail with it. */
  failing(fail: Fail): void {
    this.receiver.intercept = (call, forward) => {
      const error = fail(call);
      return error === undefined ? forward() : Promise.reject(error);
    };
  }

  /** Lets real time pass, but none on the clock, until `condition` holds. */
  async until(condition: () => boolean, milliseconds = 0): Promise<void> {
    for (const end = performance.now() + 30_000; !condition();) {
      if (performance.now() > end) {
        throw new Error(
          `It does not come to it; queued: ${this.bench.queued}; ${JSON.stringify(this.events)}`,
        );
      }
      await this.clock.advance(milliseconds);
    }
  }

  /** Lets time pass until nothing is left to do. */
  async idle(): Promise<void> {
    await this.until(() => !this.sender.isBusy(Infinity) && this.bench.state.queue.size === 0, 500);
  }

  /** Looks at what the sender wants looked at, as a pusher does. */
  async lookAgain(): Promise<void> {
    await this.bench.look(...this.lookedAgain.splice(0));
  }

  write(path: string, content: string): void {
    Deno.writeTextFileSync(`${this.source}/${path}`, content);
  }

  reopen(wrapRoot?: (root: TreeRoot) => TreeRoot, whileClosed = () => {}): void {
    this.bench[Symbol.dispose]();
    whileClosed();
    this.bench = this.#openBench(wrapRoot);
  }

  eventsOf<T extends PushEvent["type"]>(type: T): (PushEvent & { type: T })[] {
    return this.events.filter((event) => event.type === type) as (PushEvent & { type: T })[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running !== undefined) await this.stop().catch(() => {});
    this.bench[Symbol.dispose]();
    await this.local.close();
    this.#temp[Symbol.dispose]();
  }

  #openBench(wrapRoot?: (root: TreeRoot) => TreeRoot): SourceBench {
    return new SourceBench(this.source, `${this.#temp.path}/state`, { clock: this.clock, wrapRoot });
  }
}

function failure(code: ErrorDetails["code"], more: Partial<ErrorDetails> = {}): FilesyncError {
  return new FilesyncError({ code, operation: "do it", reason: "not now", ...more });
}

/** Fails the first `times` calls of `method`. */
function failTimes(method: ReceiverCall["method"], times: number, error: unknown): Fail {
  let left = times;
  return (call) => call.method === method && left-- > 0 ? error : undefined;
}

const TREE = { a: "1", d: { b: "2", e: { c: "3" } } };

Deno.test("run() sends everything, and compares the trees only once", async () => {
  await using scene = await Scene.of(TREE);
  scene.start();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination, { directoryMtime: true });
  assertEquals(scene.receiver.count("tree"), 1);
  const { put, directory, bytes, sentBytes } = scene.sender.totals;
  assertEquals([put, directory, bytes, sentBytes], [3, 2, 3, 3]);
  assertEquals(scene.eventsOf("applied").length, 5);
  assertEquals(scene.eventsOf("progress").at(-1)?.doneItems, 5);
});

Deno.test("run() asks a receiver that has not changed for nothing but its name", async () => {
  await using scene = await Scene.inStep(TREE);
  scene.reopen();
  scene.start();
  await scene.until(() => !scene.sender.isBusy(Infinity));
  assertEquals(scene.receiver.calls.map(({ method }) => method), ["open"]);
});

Deno.test("run() sends what is new without asking for the tree", async () => {
  await using scene = await Scene.inStep(TREE);
  scene.start();
  for (const content of ["x", "y", "z"]) {
    scene.write("a", content);
    await scene.bench.look("a");
    await scene.idle();
    assertEquals(Deno.readTextFileSync(`${scene.destination}/a`), content);
  }
  assertEquals([scene.receiver.count("tree"), scene.receiver.count("open")], [0, 1]);
});

Deno.test("run() sends no content that the receiver has", async () => {
  await using scene = await Scene.inStep(TREE);
  makeTree(scene.source, { copy: "1", another: "2" });
  scene.start();
  await scene.bench.look("copy", "another");
  await scene.idle();
  assertEquals([scene.sender.totals.put, scene.sender.totals.sentBytes], [2, 0]);
});

Deno.test("run() waits longer and longer for a receiver that is out of reach", async () => {
  await using scene = await Scene.of(TREE);
  scene.failing(failTimes("open", 9, failure("unreachable")));
  const started = scene.clock.now();
  scene.start();
  for (let tries = 1; tries <= 9; tries++) {
    await scene.until(() => scene.eventsOf("connection").length === tries);
    await scene.clock.advance(scene.eventsOf("connection").at(-1)!.retryAt! - scene.clock.now());
  }
  await scene.idle();
  const states = scene.eventsOf("connection");
  assertEquals(states.map(({ state }) => state), [...Array(9).fill("offline"), "online"]);
  let at = started;
  const waits = states.slice(0, 9).map(({ retryAt }) => -at + (at = retryAt!));
  assertEquals(waits, [275, 550, 1_100, 2_200, 4_400, 8_800, 17_600, 33_000, 33_000]);
  assertEquals(states[0].detail, "not now");
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() waits as long as the receiver asks for", async () => {
  await using scene = await Scene.of(TREE);
  scene.failing(failTimes("open", 1, failure("too-many", { retryAfter: 5_000 })));
  scene.start();
  await scene.until(() => scene.eventsOf("connection").length > 0);
  await scene.clock.advance(4_999);
  assertEquals(scene.receiver.count("open"), 1);
  await scene.clock.advance(1);
  assert(scene.receiver.count("open") > 1);
  await scene.idle();
});

Deno.test("run() waits for a receiver that reads its files, however long", async () => {
  await using scene = await Scene.of(TREE);
  scene.failing(failTimes("open", 40, failure("indexing", { retryAfter: 1_000 })));
  scene.start({ giveUpAfter: 10_000 });
  await scene.idle();
  assertEquals(scene.eventsOf("connection").filter(({ state }) => state === "indexing").length, 40);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() waits for a receiver that begins to read its files between two requests", async () => {
  await using scene = await Scene.of(TREE);
  scene.failing(failTimes("apply", 1, failure("indexing", { retryAfter: 1_000 })));
  scene.start();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() gives up in time when it is told to, and keeps the queue", async () => {
  await using scene = await Scene.of(TREE);
  scene.failing(({ method }) => method === "open" ? failure("unreachable") : undefined);
  const started = scene.clock.now();
  scene.start({ giveUpAfter: 10_000 });
  let ended = false;
  scene.running.catch(() => ended = true);
  await scene.until(() => ended, 100);
  await assertRejects(() => scene.running, FilesyncError, "not now");
  const waited = scene.clock.now() - started;
  assert(waited >= 10_000 && waited < 11_000, `${waited}`);
  assertEquals(scene.bench.state.queue.size, 5);
});

Deno.test("run() ends when the receiver refuses us", async () => {
  for (const method of ["open", "check", "apply", "tree"] as const) {
    await using scene = await Scene.of(TREE);
    let refused = false;
    scene.failing((call) => {
      if (call.method === method) refused = true;
      // A server that refuses one request refuses all that follow.
      return refused ? failure("unauthorized", { permanent: true }) : undefined;
    });
    scene.start();
    let ended = false;
    scene.running.catch(() => ended = true);
    await scene.until(() => ended, 100);
    await assertRejects(() => scene.running, FilesyncError, "not now");
    assertEquals([scene.bench.state.queue.size, scene.bench.state.queue.failedCount], [5, 0], method);
  }
});

Deno.test("run() keeps what the receiver has no room for, and tries it again", async () => {
  await using scene = await Scene.of(TREE);
  let full = true;
  scene.receiver.intercept = (call, forward) =>
    full && call.method === "apply" ? withFault("disk-full", call, forward) : forward();
  scene.start();
  await scene.until(() => scene.eventsOf("problem").length > 0);
  const [first] = scene.bench.state.queue.pending();
  assertEquals([first.error?.code, first.attempts], ["disk-full", 1]);
  assert(first.readyAt > scene.clock.now());
  await scene.until(() => scene.bench.state.queue.pending().some(({ attempts }) => attempts > 3), 1_000);
  full = false;
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() puts what can never succeed on the list of failures, and goes on", async () => {
  await using scene = await Scene.of(TREE);
  scene.receiver.intercept = async ({ method, args }, forward) => {
    if (method !== "apply") return await forward();
    const result = await forward() as BatchResult;
    const [{ actions }] = args as [{ actions: { path: string }[] }];
    const problem = { code: "bad-path" as const, message: "Cannot write it: no", permanent: true };
    result.results = result.results.map((r, i) => actions[i].path === "d/b" ? { done: false, problem } : r);
    return result;
  };
  scene.start();
  await scene.idle();
  assertEquals(
    scene.bench.state.queue.failed().map(({ action, error }) => `${action.path}: ${error?.code}`),
    [
      "d/b: bad-path",
    ],
  );
  assertEquals(scene.eventsOf("problem").map(({ problem }) => problem.path), ["d/b"]);
  assertEquals(scene.sender.totals.put, 2);
});

Deno.test("run() finds the one action that spoils a request", async () => {
  for (const method of ["apply", "check"] as const) {
    await using scene = await Scene.of({ a: "1", b: "22", c: "333", d: "4444" });
    // The file of 3 bytes is refused, and takes every request down with it.
    scene.failing((call) => {
      if (call.method !== method) return undefined;
      const [what] = call.args as [{ actions: { size?: number }[] } & { size: number }[]];
      const items = method === "check" ? what : what.actions;
      return items.some(({ size }) => size === 3) ? failure("bad-request", { permanent: true }) : undefined;
    });
    scene.start();
    await scene.idle();
    assertEquals(scene.bench.state.queue.failed().map(({ action }) => action.path), ["c"]);
    assertEquals(await treeText(scene.destination), 'a "1"\nb "22"\nd "4444"');
  }
});

Deno.test("run() asks an empty receiver nothing, and sends no content twice", async () => {
  await using scene = await Scene.of({ a: "same", b: { c: "same", d: "other" } });
  scene.saysEmpty = true;
  scene.start();
  await scene.idle();
  scene.write("e", "same");
  await scene.bench.look("e");
  await scene.idle();
  assertEquals(scene.receiver.count("check"), 0);
  assertEquals(scene.sender.totals.sentBytes, "same".length + "other".length);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() sends again what an empty receiver got and lost", async () => {
  await using scene = await Scene.of({ a: "same" });
  scene.saysEmpty = true;
  scene.start();
  await scene.idle();
  Deno.removeSync(`${scene.source}/a`);
  await scene.bench.look("a");
  await scene.idle();
  scene.write("b", "same");
  await scene.bench.look("b");
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  // And when others took it away.
  await using other = await Scene.of({ a: "same" });
  other.saysEmpty = true;
  other.start();
  await other.idle();
  Deno.removeSync(`${other.destination}/a`);
  other.write("b", "same");
  await other.bench.look("b");
  await other.idle();
  assertEquals(Deno.readTextFileSync(`${other.destination}/b`), "same");
});

for (
  const [what, cutShort, lies, problems] of [
    ["what turns out to be missing, without a word", 0, 1, []],
    ["what turns out to be missing after a try that was cut short, without a word", 1, 1, []],
    ["what is missing twice, and says so", 0, 2, ["content-missing"]],
  ] as const
) {
  Deno.test(`run() offers again ${what}`, async () => {
    await using scene = await Scene.of({ a: "1" });
    for (let i = 0; i < cutShort; i++) {
      assertEquals(scene.bench.state.queue.take({ items: 1, bytes: 1 }).length, 1);
      scene.reopen();
    }
    let left: number = lies;
    scene.receiver.intercept = (call, forward) => {
      if (call.method !== "check" || left === 0) return forward();
      left--;
      return Promise.resolve(["nothing"]);
    };
    scene.start();
    await scene.idle();
    assertEquals([scene.receiver.count("check"), scene.receiver.count("apply")], [lies + 1, lies + 1]);
    assertEquals(scene.eventsOf("problem").map(({ problem }) => problem.code), [...problems]);
    await assertSameTree(scene.source, scene.destination);
  });
}

Deno.test("run() compares the trees when a move finds nothing, and sends it anew", async () => {
  await using scene = await Scene.inStep({ d: { a: "1" }, f: "2" });
  await scene.local.apply({
    key: "someone else's",
    actions: [{ type: "remove", path: "d" as TreePath }],
    contents: new Map(),
  });
  // Nobody tells that somebody else was there.
  const sequence = (await scene.local.open()).sequence;
  scene.bench.state.index.setMeta("receiver_sequence", `${sequence}`);
  Deno.renameSync(`${scene.source}/d`, `${scene.source}/n`);
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued, ["move d -> n"]);
  scene.start();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  assertEquals(scene.receiver.count("tree"), 1);
});

Deno.test("run() puts what cannot be moved, and leaves nothing behind", async () => {
  await using scene = await Scene.inStep({ d: { a: "1" }, f: "2" });
  makeTree(scene.destination, { "n/theirs": "x" });
  Deno.renameSync(`${scene.source}/d`, `${scene.source}/n`);
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued, ["move d -> n"]);
  scene.start();
  await scene.until(() => {
    try {
      return Deno.readTextFileSync(`${scene.destination}/n/a`) === "1";
    } catch {
      return false;
    }
  }, 500);
  await scene.idle();
  assertEquals(await treeText(scene.destination), 'f "2"\nn/\nn/a "1"\nn/theirs "x"');
});

Deno.test("run() sends a batch whose answer was lost again under the same key", async () => {
  await using scene = await Scene.of({ a: "1", b: "2" });
  const lose = failTimes("apply", 1, true);
  scene.receiver.intercept = (call, forward) =>
    lose(call) ? withFault("answer-lost", call, forward) : forward();
  scene.start();
  await scene.idle();
  const [first, second, ...more] = scene.receiver.batches;
  assertEquals([first.key, more.length], [second.key, 0]);
  assertEquals((await scene.local.history({})).length, 2);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() does again what a power cut took out of its memory", async () => {
  const first = "first ".repeat(1_000);
  await using scene = await Scene.inStep({ f: first, g: first });
  const { state } = scene.bench;
  state.index.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const file = `${state.directory}/${STATE_FILE}`;
  const saved = Deno.readFileSync(file);
  scene.start();
  for (const content of ["second", "third, and last"]) {
    scene.write("f", content);
    await scene.bench.look("f");
    await scene.idle();
  }
  await scene.stop();
  scene.reopen(undefined, () => Deno.writeFileSync(file, saved));
  // The receiver is made what is remembered; only then the source is looked at.
  scene.start();
  await scene.sender.met;
  await scene.idle();
  await scene.bench.look("f");
  await scene.idle();
  assertEquals(await treeText(scene.destination), await treeText(scene.source));
});

Deno.test("run() backs off from a receiver that answers and then always fails", async () => {
  await using scene = await Scene.of(TREE);
  scene.failing(({ method }) => method === "tree" ? failure("unreachable") : undefined);
  scene.start();
  for (let i = 0; i < 600; i++) await scene.clock.advance(100);
  // In a minute: not thousands, and not none.
  const tries = scene.receiver.count("tree");
  assert(tries > 3 && tries < 20, `${tries}`);
});

Deno.test("run() notices by one number that somebody else changed the receiver", async () => {
  await using scene = await Scene.inStep(TREE);
  scene.start();
  await scene.until(() => scene.receiver.count("open") === 1);
  await scene.local.apply({
    key: "someone else's",
    actions: [{ type: "remove", path: "d/b" as TreePath }],
    contents: new Map(),
  });
  scene.write("a", "new");
  await scene.bench.look("a");
  await scene.idle();
  await scene.until(() => scene.receiver.count("tree") === 1, 500);
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  await scene.clock.advance(600_000);
  assertEquals(scene.receiver.count("tree"), 1);
});

Deno.test("run() is not confused by its own batches, whatever the order of their answers", async () => {
  await using scene = await Scene.inStep({ a: "1" });
  makeTree(scene.source, Object.fromEntries(Array.from({ length: 1_400 }, (_, i) => [`f${i}`, `${i}`])));
  await scene.bench.inspector.lookAtAll();
  const answers: (() => void)[] = [];
  scene.receiver.intercept = async (call, forward) => {
    const answer = await forward();
    // Three batches are under way at once; the last to be done is the first to be answered.
    if (call.method === "apply") await new Promise<void>((resolve) => answers.push(resolve));
    return answer;
  };
  scene.start();
  await scene.until(() => answers.length === 3);
  for (const answer of answers.reverse()) answer();
  await scene.idle();
  assertEquals([scene.receiver.count("apply"), scene.receiver.count("tree")], [3, 0]);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() waits quietly for what is under way before it compares the trees", async () => {
  await using scene = await Scene.inStep({ a: "1" });
  const go = Promise.withResolvers<void>();
  let applied = 0;
  scene.receiver.intercept = async ({ method }, forward) => {
    if (method !== "apply") return await forward();
    if (++applied === 1) await go.promise;
    const result = await forward() as BatchResult;
    const problem = { code: "conflict" as const, message: "Cannot write it: no", permanent: false };
    if (applied === 2) result.results = result.results.map(() => ({ done: false, problem }));
    return result;
  };
  scene.start();
  scene.write("a", "2");
  await scene.bench.look("a");
  await scene.until(() => applied === 1);
  scene.write("b", "3");
  await scene.bench.look("b");
  await scene.until(() => scene.eventsOf("problem").length === 1);
  const { queue } = scene.bench.state;
  const nextReadyAt = queue.nextReadyAt.bind(queue);
  let asked = 0;
  queue.nextReadyAt = () => (asked++, nextReadyAt());
  for (let i = 0; i < 100; i++) await scene.clock.advance(1);
  assert(asked < 10, `${asked}`);
  assertEquals(scene.receiver.count("tree"), 0);
  go.resolve();
  await scene.idle();
  assert(scene.receiver.count("tree") > 0);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() compares the trees when the receiver has another index", async () => {
  await using scene = await Scene.inStep(TREE);
  scene.receiver.intercept = async ({ method }, forward) =>
    method === "open" ? { ...await forward() as object, indexId: "another" } : await forward();
  scene.start();
  await scene.until(() => scene.receiver.count("tree") === 1);
  await scene.idle();
  await scene.stop();
  scene.start();
  await scene.until(() => !scene.sender.isBusy(Infinity));
  assertEquals(scene.receiver.count("tree"), 1);
});

Deno.test("run() has a file looked at again that changed since, and sends what it is then", async () => {
  for (const size of [10, 300_000]) {
    await using scene = await Scene.of({ a: "1" });
    scene.write("f", "x".repeat(size));
    await scene.bench.look("f");
    scene.write("f", "y".repeat(size));
    scene.start();
    await scene.until(() => scene.lookedAgain.length > 0);
    assertEquals(scene.lookedAgain, ["f"] as TreePath[]);
    await scene.lookAgain();
    await scene.idle();
    assertEquals(Deno.readTextFileSync(`${scene.destination}/f`), "y".repeat(size));
    assertEquals(scene.eventsOf("problem"), []);
  }
});

Deno.test("run() gives back once what changed in a batch that fails later", async () => {
  await using scene = await Scene.of({ f: randomBytes(1, 2 << 20), g: randomBytes(2, 3 << 20) });
  const [staged, applied] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let fails = true;
  scene.receiver.intercept = async ({ method, args }, forward) => {
    if (method === "stage" && fails) await staged.promise;
    const isHeld = method === "apply" && (args[0] as Batch).actions.some(({ path }) => path === "f");
    if (isHeld) await applied.promise;
    return await forward();
  };
  scene.write("f", "second");
  scene.start();
  await scene.until(() => scene.lookedAgain.length > 0 && scene.receiver.count("stage") > 0);
  fails = false;
  await scene.lookAgain();
  // The new content is on its way while the batch that was to bring the old one is not over yet.
  await scene.until(() => scene.receiver.count("apply") > 0, 500);
  staged.reject(failure("internal"));
  await scene.until(() => scene.eventsOf("problem").length > 0);
  scene.write("f", "third, and last");
  await scene.bench.look("f");
  applied.resolve();
  await scene.idle();
  assertEquals(Deno.readTextFileSync(`${scene.destination}/f`), "third, and last");
});

Deno.test("run() has a file looked at again that is gone, and drops what cannot be sent", async () => {
  await using scene = await Scene.of({ a: "1" });
  scene.write("f", "x");
  await scene.bench.look("f");
  Deno.removeSync(`${scene.source}/f`);
  scene.start();
  await scene.until(() => scene.lookedAgain.length > 0);
  await scene.lookAgain();
  await scene.idle();
  assertEquals(await treeText(scene.destination), 'a "1"');
});

Deno.test("run() sends the content from wherever it is now", async () => {
  await using scene = await Scene.of({ a: "1" });
  scene.write("f", "content");
  await scene.bench.look("f");
  const [put] = scene.bench.state.queue.pending().filter(({ action }) => action.path === "f");
  Deno.renameSync(`${scene.source}/f`, `${scene.source}/g`);
  await scene.bench.look("f", "g");
  assertEquals(scene.bench.queued, ["put a", "put g"]);
  assertEquals(put.action.type, "put");
  scene.start();
  await scene.idle();
  assertEquals(await treeText(scene.destination), 'a "1"\ng "content"');
});

Deno.test("run() sends the others when one file cannot be read", async () => {
  for (const when of ["open", "read"] as const) {
    for (const size of [10, 300_000]) {
      await using scene = await Scene.of({ a: "1", bad: "x".repeat(size), c: "3" });
      let spoiled = true;
      const root = scene.bench.root;
      const spoil = () => {
        if (spoiled) {
          throw new FilesyncError({ code: "io", operation: 'read "bad"', reason: "input/output error" });
        }
      };
      const wrapped = {
        isInPlace: () => true,
        anchor() {
          const anchor = root.anchor();
          const openRead = anchor.openRead.bind(anchor);
          anchor.openRead = (path) => {
            if (path !== "bad") return openRead(path);
            if (when === "open") spoil();
            const file = openRead(path);
            return {
              ...file,
              read: (into, at) => (spoil(), file.read(into, at)),
              [Symbol.dispose]: () => file[Symbol.dispose](),
            };
          };
          return anchor;
        },
      } as TreeRoot;
      scene.start({ root: () => wrapped });
      await scene.until(() => scene.eventsOf("problem").length > 0);
      await scene.until(() => scene.bench.queued.length === 1, 100);
      assertEquals(scene.eventsOf("problem")[0].problem, {
        code: "io",
        path: "bad",
        message: 'Cannot read "bad": input/output error',
        permanent: false,
      });
      assertEquals(await treeText(scene.destination), 'a "1"\nc "3"');
      spoiled = false;
      await scene.idle();
      await assertSameTree(scene.source, scene.destination);
    }
  }
});

Deno.test("run() sends only what is new of a big file, and goes on where it was cut", async () => {
  const big = randomBytes(1, 12 << 20);
  await using scene = await Scene.inStep({});
  makeTree(scene.source, { big });
  await scene.bench.inspector.lookAtAll();
  // The second request with chunks is lost, and with it the connection.
  let stages = 0;
  scene.failing(({ method }) => method === "stage" && ++stages === 2 ? failure("unreachable") : undefined);
  scene.start();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  const { sentBytes } = scene.sender.totals;
  assert(sentBytes >= big.length && sentBytes < big.length + (1 << 20), `${sentBytes}`);

  big.set(randomBytes(2, 100), 5 << 20);
  Deno.writeFileSync(`${scene.source}/big`, big);
  await scene.bench.inspector.lookAtAll();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  assert(scene.sender.totals.sentBytes - sentBytes < 1 << 20, `${scene.sender.totals.sentBytes - sentBytes}`);
});

Deno.test("run() tells once of what is foreign, and leaves it alone", async () => {
  await using scene = await Scene.of({ a: "1" }, { theirs: "x", d: { theirs: "y" } });
  for (let round = 0; round < 2; round++) {
    scene.start();
    await scene.idle();
    await scene.stop();
  }
  const [notice, ...more] = scene.eventsOf("notice");
  assertEquals(more, []);
  assertEquals(
    notice.message,
    '3 entries at the receiver are not in the source and were left alone, such as "d"',
  );
  assertEquals(await treeText(scene.destination), 'a "1"\nd/\nd/theirs "y"\ntheirs "x"');
});

Deno.test("run() with deleteExtra removes what is foreign, then and later", async () => {
  await using scene = await Scene.inStep({ a: "1" }, { theirs: "x", d: { theirs: "y" } });
  scene.start({ deleteExtra: true });
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
});

/** A pair that was copied by other means, and is met before the source was looked at. */
async function copied(tree: TreeSpec, theirs: TreeSpec = {}): Promise<Scene> {
  const scene = await Scene.of({}, { ...tree, ...theirs });
  makeTree(scene.source, tree);
  return scene;
}

Deno.test("run() with deleteExtra takes for foreign what it could not queue for removal", async () => {
  await using scene = await Scene.inStep(TREE, { theirs: "x" });
  const { state } = scene.bench;
  const { add } = state.queue;
  let isFull = true;
  state.queue.add = (actions) => {
    if (isFull && actions.some(({ action }) => action.type === "remove")) throw failure("disk-full");
    add.call(state.queue, actions);
  };
  scene.start({ deleteExtra: true });
  await scene.until(() => scene.eventsOf("connection").some(({ state }) => state === "offline"), 100);
  assertEquals(state.foreignWithin("theirs" as TreePath), ["theirs"] as TreePath[]);
  isFull = false;
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() with deleteExtra removes nothing that only was not looked at yet", async () => {
  await using scene = await copied(TREE, { theirs: "x", d: { ...TREE.d, theirs: "y" } });
  scene.start({ deleteExtra: true });
  await scene.sender.met;
  await scene.bench.inspector.lookAtAll();
  await scene.idle();
  assertEquals(
    scene.eventsOf("applied").flatMap(({ action }) => action.type === "remove" ? [action.path] : []),
    [
      "d/theirs",
      "theirs",
    ] as TreePath[],
  );
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() removes nothing foreign while the source is gone", async () => {
  await using scene = await copied(TREE);
  Deno.renameSync(scene.source, `${scene.source}.away`);
  scene.start({ deleteExtra: true });
  await scene.until(() => scene.receiver.count("tree") > 0);
  await scene.clock.advance(10_000);
  assertEquals(scene.bench.queued, []);
  Deno.renameSync(`${scene.source}.away`, scene.source);
});

Deno.test("run() takes a copy that was there for ours, and removes from it what is removed", async () => {
  await using scene = await copied(TREE, { theirs: "x" });
  scene.start();
  await scene.sender.met;
  assertEquals(scene.eventsOf("notice").map(({ message }) => message), [
    '1 entry at the receiver is not in the source and was left alone, such as "theirs"',
  ]);
  await scene.bench.inspector.lookAtAll();
  await scene.idle();
  assertEquals(scene.sender.totals.sentBytes, 0);
  Deno.removeSync(`${scene.source}/d`, { recursive: true });
  await scene.bench.look("d", "d/b", "d/e", "d/e/c");
  await scene.idle();
  assertEquals(await treeText(scene.destination), 'a "1"\ntheirs "x"');
});

Deno.test("run() finishes what is under way when it is stopped", async () => {
  await using scene = await Scene.of(TREE);
  const applying = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  scene.receiver.intercept = async ({ method }, forward) => {
    if (method !== "apply") return await forward();
    applying.resolve();
    await go.promise;
    return await forward();
  };
  scene.start();
  await applying.promise;
  let ended = false;
  const stopping = scene.stop().then(() => ended = true);
  await scene.clock.advance(1_000);
  assertEquals(ended, false);
  go.resolve();
  await stopping;
  assertEquals(scene.bench.state.queue.size, 0);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() can be stopped at any point of its work", async () => {
  for (const method of ["open", "tree", "check", "apply"] as const) {
    await using scene = await Scene.of(TREE);
    const called = Promise.withResolvers<void>();
    scene.failing((call) => {
      if (call.method === method) called.resolve();
      return call.method === method ? failure("unreachable") : undefined;
    });
    scene.start();
    await called.promise;
    await scene.stop();
    scene.receiver.intercept = (_call, forward) => forward();
    scene.start();
    await scene.idle();
    await assertSameTree(scene.source, scene.destination);
  }
});

Deno.test("run() survives whatever a receiver throws", async () => {
  const thrown = [
    new TypeError("x is not a function"),
    new DOMException("stopped", "AbortError"),
    "a string",
    undefined,
    null,
    42,
    failure("internal"),
    failure("too-large"),
    failure("locked"),
    failure("unsupported"),
    failure("upgrade"),
    failure("conflict"),
    Object.assign(new Error("ECONNRESET"), { code: "ECONNRESET" }),
  ];
  const big = "z".repeat(200_000) + "y".repeat(100_000);
  for (const method of ["open", "check", "stage", "apply", "tree"] as const) {
    for (const error of thrown) {
      await using scene = await Scene.of({ ...TREE, big });
      let left = 2;
      scene.receiver.intercept = (call, forward) =>
        call.method === method && left-- > 0 ? Promise.reject(error) : forward();
      scene.start();
      await scene.idle();
      await assertSameTree(scene.source, scene.destination);
    }
  }
});

Deno.test("run() survives whatever a receiver answers", async () => {
  const answers: [ReceiverCall["method"], unknown][] = [
    ["check", undefined],
    ["check", []],
    ["check", ["perhaps"]],
    ["check", [[0, 1, 99]]],
    ["apply", undefined],
    ["apply", {}],
    ["apply", { before: 0, after: 1, results: [] }],
    ["apply", { before: 0, after: 1, results: [null, { done: false }] }],
    ["tree", []],
  ];
  for (const [method, answer] of answers) {
    await using scene = await Scene.of(TREE);
    let left = 2;
    scene.receiver.intercept = (call, forward) =>
      call.method === method && left-- > 0 ? Promise.resolve(answer) : forward();
    scene.start();
    await scene.idle();
    await assertSameTree(scene.source, scene.destination);
  }
});

Deno.test("run() waits while its own disk is full, and loses nothing", async () => {
  await using scene = await Scene.of(TREE);
  const { queue } = scene.bench.state;
  const { take, done } = queue;
  let full = 6;
  const fill = <T extends unknown[], R>(method: (...args: T) => R) => (...args: T): R => {
    if (full-- > 0) throw failure("disk-full");
    return method.apply(queue, args);
  };
  // Before a batch is sent, and after it was done.
  queue.take = fill(take);
  queue.done = fill(done);
  scene.start();
  await scene.idle();
  assert(scene.eventsOf("notice").length > 0);
  await assertSameTree(scene.source, scene.destination);
});

/** A destination whose files are older versions of the source's, and a sender that knows it. */
async function edited(
  before: Uint8Array<ArrayBuffer>,
  edit: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Promise<Scene> {
  const scene = await Scene.inStep({ f: before });
  // Small files are not worth a comparison with what is near.
  Object.defineProperty(scene.receiver, "isNear", { value: false });
  Deno.writeFileSync(`${scene.source}/f`, edit(before.slice()));
  await scene.bench.look("f");
  return scene;
}

function overwrite(at: number): (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> {
  return (bytes) => {
    bytes.set(new TextEncoder().encode("something else"), at);
    return bytes;
  };
}

Deno.test("run() asks a far receiver once for small files, new and changed, and not for the tiny", async () => {
  await using scene = await edited(randomBytes(1, 20_000), overwrite(10_000));
  Deno.writeFileSync(`${scene.source}/new`, randomBytes(2, 300_000));
  Deno.writeFileSync(`${scene.source}/tiny`, randomBytes(3, 200));
  await scene.bench.look("new", "tiny");
  scene.start();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  assertEquals([scene.receiver.count("check"), scene.receiver.count("signatures")], [1, 1]);
});

Deno.test("run() asks a far receiver nothing for what is tiny", async () => {
  await using scene = await edited(randomBytes(1, 200), overwrite(100));
  scene.start();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  assertEquals([scene.receiver.count("check"), scene.receiver.count("signatures")], [0, 0]);
});

for (const [what, size] of [["small", 20_000], ["big", 3_000_000]] as const) {
  Deno.test(`run() sends what changed in a ${what} file, and nothing else of it`, async () => {
    await using scene = await edited(randomBytes(1, size), overwrite(size / 2));
    scene.start();
    await scene.idle();
    await assertSameTree(scene.source, scene.destination);
    const { sentBytes } = scene.sender.totals;
    assert(sentBytes > 0 && sentBytes < 1_500, `${sentBytes} bytes`);
    assertEquals([scene.receiver.count("stage"), scene.receiver.count("manifestGroups")], [0, 0]);
    assertEquals(scene.bench.state.baseOf("f" as TreePath), undefined);
  });

  Deno.test(`run() sends a ${what} file another way when its delta makes something else`, async () => {
    await using scene = await edited(randomBytes(2, size), overwrite(0));
    let deltas = 0;
    scene.receiver.intercept = (call, forward) => {
      const [batch] = call.args as [Batch];
      if (call.method === "apply") {
        for (const delta of batch.deltas?.values() ?? []) delta[delta.length - ++deltas] ^= 1;
      }
      return forward();
    };
    scene.start();
    await scene.idle();
    assertEquals(deltas, 1);
    await assertSameTree(scene.source, scene.destination);
    assertEquals(scene.eventsOf("problem"), []);
  });
}

Deno.test("run() sends no delta of a small file to what is near, and none that spares nothing", async () => {
  await using near = await Scene.inStep({ f: randomBytes(3, 20_000) });
  Deno.writeFileSync(`${near.source}/f`, overwrite(0)(randomBytes(3, 20_000)));
  await near.bench.look("f");
  near.start();
  await near.idle();
  assertEquals([near.receiver.count("signatures"), near.sender.totals.sentBytes], [0, 20_000]);
  await using other = await edited(randomBytes(4, 20_000), () => randomBytes(5, 20_000));
  other.start();
  await other.idle();
  assertEquals([other.receiver.count("signatures"), other.sender.totals.sentBytes], [1, 20_000]);
  await assertSameTree(other.source, other.destination);
});

Deno.test("run() stages what is new of a big file that has little in common with the old one", async () => {
  await using scene = await edited(randomBytes(6, 3_000_000), (bytes) => {
    bytes.set(randomBytes(7, 2_900_000));
    return bytes;
  });
  scene.start();
  await scene.idle();
  assertEquals(scene.receiver.count("signatures"), 0);
  assert(scene.receiver.count("stage") > 0);
  await assertSameTree(scene.source, scene.destination);
});

Deno.test("run() compares manifests with a receiver that holds an old version of a big file", async () => {
  const before = randomBytes(8, 3_000_000);
  await using scene = await Scene.of({ f: overwrite(1_000_000)(before.slice()) }, { f: before });
  scene.start();
  await scene.idle();
  await assertSameTree(scene.source, scene.destination);
  assertEquals([scene.receiver.count("manifestGroups"), scene.receiver.count("stage")], [1, 0]);
  assert(scene.sender.totals.sentBytes < 1_500, `${scene.sender.totals.sentBytes} bytes`);
});

Deno.test("run() sends what changed in a file that grew out of its sizes of chunks", async () => {
  // 16 KiB a chunk end at 1 GiB; a sparse file gets there quickly.
  await using scene = await Scene.inStep({});
  Object.defineProperty(scene.receiver, "isNear", { value: false });
  const path = `${scene.source}/f`;
  const write = (at: number, seed: number) => {
    using file = Deno.openSync(path, { write: true, create: true });
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(randomBytes(seed, 300_000));
  };
  write(0, 1);
  Deno.truncateSync(path, 2 ** 30);
  await scene.bench.look("f");
  scene.start();
  await scene.idle();
  const sent = scene.sender.totals.sentBytes;
  write(2 ** 30, 2);
  await scene.bench.look("f");
  await scene.idle();
  const { sentBytes } = scene.sender.totals;
  assert(sentBytes - sent < 400_000, `${sentBytes - sent} bytes`);
  assertEquals(Deno.statSync(`${scene.destination}/f`).size, 2 ** 30 + 300_000);
});

Deno.test("run() sends a file as it is when what it was made of is gone at the receiver", async () => {
  await using scene = await edited(randomBytes(9, 20_000), overwrite(5_000));
  Deno.writeFileSync(`${scene.destination}/f`, randomBytes(10, 20_000));
  scene.start();
  await scene.idle();
  assertEquals(scene.sender.totals.sentBytes, 20_000);
  await assertSameTree(scene.source, scene.destination);
});

const DAY = 86_400_000;

for (const jump of [-DAY, DAY]) {
  const way = jump < 0 ? "back" : "forward";
  Deno.test(`run() goes on with what failed although the clock is set ${way} by a day`, async () => {
    await using scene = await Scene.of(TREE);
    scene.failing(failTimes("apply", 3, failure("io")));
    scene.start();
    await scene.until(() => scene.eventsOf("problem").length > 0);
    scene.clock.set(scene.clock.now() + jump);
    const started = scene.clock.now();
    await scene.idle();
    await assertSameTree(scene.source, scene.destination);
    assert(scene.clock.now() - started < 60_000);
  });

  Deno.test(`run() gives a receiver up in its time although the clock is set ${way} by a day`, async () => {
    await using scene = await Scene.of(TREE);
    scene.failing(failTimes("open", Infinity, failure("unreachable")));
    scene.start({ giveUpAfter: 10_000 });
    await scene.until(() => scene.eventsOf("connection").length === 1);
    scene.clock.set(scene.clock.now() + jump);
    let failed = false;
    scene.running.catch(() => failed = true);
    const started = scene.clock.now();
    await scene.until(() => failed, 500);
    assert(scene.clock.now() - started < 60_000);
  });
}
