import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import type { Action } from "../core/action.ts";
import { systemClock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { parsePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { openDatabase, transaction } from "../database/open.ts";
import { ActionQueue, QUEUE_MIGRATION, type QueueOptions } from "./action_queue.ts";

const put = (path: string, size = 1): Action => ({
  type: "put",
  path: parsePath(path),
  size,
  mtime: 1,
  mode: 0o644,
  digest: "d".repeat(64) as Digest,
});
const remove = (path: string): Action => ({ type: "remove", path: parsePath(path) });
const move = (from: string, path: string): Action => ({
  type: "move",
  from: parsePath(from),
  path: parsePath(path),
});
const busy: Problem = { code: "io", message: "Cannot write: busy", permanent: false };
const denied: Problem = { code: "permission", message: "Cannot write: denied", permanent: true };
const all = { items: 100, bytes: 1e9 };

function make(options: Partial<QueueOptions> = {}) {
  const db = new DatabaseSync(":memory:");
  db.exec(QUEUE_MIGRATION);
  const clock = new FakeClock();
  const queue = new ActionQueue(db, { clock, random: () => 0, ...options });
  const add = (...actions: Action[]) => queue.add(actions.map((action) => ({ action })));
  return { db, clock, queue, add };
}

const paths = (rows: { action: Action }[]) => rows.map(({ action }) => `${action.type} ${action.path}`);

Deno.test("ActionQueue.add() keeps every kind of action as it was", () => {
  const { queue, add } = make();
  const actions: Action[] = [
    put("a", 7),
    { type: "directory", path: parsePath("d"), mtime: 3, mode: 0o2755 },
    { type: "symlink", path: parsePath("l"), mtime: -4, target: "../ü" },
    remove("r"),
    move("m", "n"),
  ];
  add(...actions);
  assertEquals(queue.pending().map(({ action }) => action), actions);
  assertEquals([queue.size, queue.bytes], [5, 7]);
});

Deno.test("ActionQueue.add() joins what comes together as if it came one by one", () => {
  const given = [
    put("a"),
    put("a"),
    put("b/c"),
    remove("b/d"),
    put("b"),
    put("x-y"),
    put("x"),
    move("b", "e"),
    put("b/c"),
    put("e"),
  ];
  for (const before of [[], [put("a")], [remove("x"), put("q")], [move("q", "r")], [put("x/y")]]) {
    for (let length = 1; length <= given.length; length++) {
      const [together, apart] = [make(), make()];
      for (const { add } of [together, apart]) add(...before);
      together.add(...given.slice(0, length));
      for (const action of given.slice(0, length)) apart.add(action);
      assertEquals(together.queue.pending(), apart.queue.pending());
      assertEquals([together.queue.size, together.queue.bytes], [apart.queue.size, apart.queue.bytes]);
    }
  }
});

Deno.test("ActionQueue.add() joins the caller's transaction, and is undone with it", () => {
  const { db, queue, add } = make();
  assertThrows(() =>
    transaction(db, () => {
      add(put("a"));
      throw new Error("no");
    })
  );
  assertEquals([queue.size, queue.bytes, queue.pending()], [0, 0, []]);
});

Deno.test("ActionQueue.take() hands out what depends on nothing before it, in order", () => {
  const { queue, add } = make();
  add(put("d/a"), put("x"), move("d", "e"), put("y"), remove("e/b"));
  const first = queue.take(all);
  assertEquals(paths(first), ["put x", "move e", "put y"]);
  assertEquals(queue.take(all), []);
  queue.done(first.map(({ id }) => id));
  assertEquals(paths(queue.take(all)), ["put e/a", "remove e/b"]);
});

Deno.test("ActionQueue.take() keeps to its limits, but takes one that is bigger", () => {
  const { queue, add } = make();
  add(put("big", 50), put("a", 4), put("b", 4), put("c", 4));
  assertEquals(paths(queue.take({ items: 9, bytes: 8 })), ["put big"]);
  assertEquals(paths(queue.take({ items: 9, bytes: 8 })), ["put a", "put b"]);
  assertEquals(queue.take({ items: 0, bytes: 8 }), []);
  assertEquals(paths(queue.take({ items: 1, bytes: 8 })), ["put c"]);
});

Deno.test("ActionQueue.take() looks beyond any number of actions that wait", () => {
  const { queue, add } = make();
  add(move("x", "d"), ...Array.from({ length: 1500 }, (_, i) => remove(`d/${i}`)), put("free"));
  assertEquals(paths(queue.take(all)), ["move d", "put free"]);
});

Deno.test("ActionQueue.take() counts the try before it returns", () => {
  const { db, queue, add } = make();
  add(put("a"));
  assertEquals(queue.take(all)[0].attempts, 1);
  const { attempts, tried } = new ActionQueue(db, { clock: systemClock }).pending()[0];
  assertEquals([attempts, tried], [1, true]);
  assertThrows(() => transaction(db, () => queue.take(all)), Error, "within a transaction");
});

Deno.test("ActionQueue.done() that is rolled back leaves the action waiting", () => {
  const { db, queue, add } = make();
  add(put("a"));
  const ids = queue.take(all).map(({ id }) => id);
  assertThrows(() =>
    transaction(db, () => {
      queue.done(ids);
      throw new Error("no");
    })
  );
  assertEquals(queue.take(all).map(({ id }) => id), ids);
});

Deno.test("ActionQueue lets what was in flight be taken again when what became of it cannot be recorded", () => {
  const { db, queue, add } = make();
  add(put("a"));
  for (
    const end of [
      (id: number) => queue.done([id]),
      (id: number) => queue.fail(id, denied),
      (id: number) => queue.retry([id], busy),
      (id: number) => queue.release([id]),
    ]
  ) {
    const [{ id }] = queue.take(all);
    db.exec("PRAGMA query_only = ON");
    assertThrows(() => end(id));
    db.exec("PRAGMA query_only = OFF");
    assertEquals(queue.nextReadyAt() !== undefined, true);
  }
});

Deno.test("ActionQueue.retry() backs off twice as long each time, and blocks what depends on it", async () => {
  const { clock, queue, add } = make({ backoff: { base: 1000, cap: 3000 } });
  add(put("d/a"), remove("d/a/x"), put("z"));
  for (const [wait, free] of [[100, 1], [200, 0], [300, 0], [300, 0]]) {
    const [flight, ...others] = queue.take(all);
    assertEquals(paths([flight]), ["put d/a"]);
    assertEquals(others.length, free);
    queue.done(others.map(({ id }) => id));
    queue.retry([flight.id], busy);
    assertEquals(queue.nextReadyAt(), clock.now() + wait);
    await clock.advance(wait - 1);
    assertEquals(queue.take(all), []);
    await clock.advance(1);
  }
  assertEquals(queue.pending()[0].error, busy);
});

Deno.test("ActionQueue.retry() never comes before the receiver's Retry-After, for a later put of the path neither", async () => {
  const { clock, queue, add } = make();
  add(put("a"));
  const [{ id }] = queue.take(all);
  add(put("a", 2));
  queue.retry([id], { ...busy, retryAfter: 90_000 });
  assertEquals(queue.pending().map(({ action, attempts }) => [action, attempts]), [[put("a", 2), 1]]);
  add(put("a", 3));
  await clock.advance(89_999);
  assertEquals(queue.take(all), []);
  await clock.advance(1);
  assertEquals(queue.take(all)[0].action, put("a", 3));
});

Deno.test("ActionQueue.release() puts back at once and takes back the try, but remembers it", () => {
  const { queue } = make();
  queue.add([{ action: put("a"), fresh: true }]);
  const [{ id }] = queue.take(all);
  queue.release([id]);
  const [{ attempts, tried, readyAt }] = queue.pending();
  assertEquals([attempts, tried, readyAt], [0, true, queue.nextReadyAt()]);
  queue.add([{ action: remove("a") }]);
  assertEquals(paths(queue.take(all)), ["remove a"]);
});

Deno.test("ActionQueue.fail() lists the action, blocks nothing, and ends when the path is queued again", () => {
  const { queue, add } = make();
  add(put("d/a", 5), put("b"), put("d/c"));
  for (const { id } of queue.take(all)) queue.fail(id, denied);
  assertEquals([queue.size, queue.bytes, queue.failedCount], [0, 0, 3]);
  assertEquals(queue.failed().map(({ error }) => error), [denied, denied, denied]);
  add(put("b"));
  assertEquals(paths(queue.failed()), ["put d/a", "put d/c"]);
  add(move("d", "e"));
  assertEquals(paths(queue.failed()), ["put e/a", "put e/c"]);
  add(remove("e"));
  assertEquals([queue.failed(), queue.failedCount], [[], 0]);
});

Deno.test("ActionQueue.fail() does not keep what waiting actions overtake", () => {
  const { queue, add } = make();
  add(remove("d"), put("a"));
  const taken = queue.take(all);
  add(put("d/x"), put("a", 2));
  for (const { id } of taken) queue.fail(id, denied);
  assertEquals(queue.failed(), []);
  assertEquals(paths(queue.take(all)), ["put d/x", "put a"]);
});

Deno.test("ActionQueue.retryFailed() queues what failed anew, at a path and below or everywhere", () => {
  const { queue, add } = make();
  add(put("d/a", 5), put("d-b"), put("c"));
  for (const { id } of queue.take(all)) queue.fail(id, denied);
  assertEquals(queue.retryFailed(parsePath("d")), 1);
  assertEquals(queue.pending().map(({ action, attempts, error }) => [action, attempts, error]), [[
    put("d/a", 5),
    0,
    undefined,
  ]]);
  assertEquals([queue.size, queue.bytes, queue.failedCount], [1, 5, 2]);
  assertEquals(queue.retryFailed(), 2);
  assertEquals(queue.retryFailed(), 0);
  assertEquals(paths(queue.take(all)), ["put d/a", "put d-b", "put c"]);
});

Deno.test("ActionQueue.retryNow() lets what waits for its next try go at once", () => {
  const { queue, add } = make();
  add(put("a"), put("b"));
  for (let tries = 0; tries < 3; tries++) {
    const [{ id }] = queue.take({ items: 1, bytes: 0 });
    queue.retry([id], { ...denied, permanent: false });
    queue.retryNow();
  }
  const [first, second] = queue.take(all);
  assertEquals([first.action.path, first.attempts, second.action.path, second.attempts], ["a", 1, "b", 1]);
});

Deno.test("ActionQueue.about() finds everything that touches the path, in whatever state", () => {
  const { queue, add } = make();
  add(put("d/failed"), put("d/flying"));
  const [failing] = queue.take(all);
  queue.fail(failing.id, denied);
  add(put("d/waiting"), move("d/from", "x"), put("da"), put("d-a"), put("e"));
  assertEquals(paths(queue.about(parsePath("d"))), [
    "put d/flying",
    "put d/waiting",
    "move x",
    "put d/failed",
  ]);
  assertEquals(paths(queue.about(parsePath("x/y/z"))), ["move x"]);
});

Deno.test("ActionQueue.nextReadyAt() is undefined when only flights are waited for", () => {
  const { queue, add } = make();
  assertEquals(queue.nextReadyAt(), undefined);
  add(put("d/a"));
  assert(queue.nextReadyAt() !== undefined);
  queue.take(all);
  add(remove("d"));
  assertEquals(queue.nextReadyAt(), undefined);
});

Deno.test("ActionQueue.changed() resolves for what happens after the call, and rejects when aborted", async () => {
  const { queue, add } = make();
  let changes = 0;
  const watch = () => void queue.changed().then(() => changes++);
  const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
  add(put("a"), put("b"), put("c"));
  watch();
  await turn();
  assertEquals(changes, 0);
  const [a, b, c] = queue.take(all).map(({ id }) => id);
  for (
    const act of [
      () => queue.done([a]),
      () => queue.retry([b], busy),
      () => queue.release([c]),
      () => add(put("e")),
    ]
  ) {
    const before = changes;
    act();
    await turn();
    assertEquals(changes, before + 1);
    watch();
  }
  const stop = new AbortController();
  const stopped = queue.changed(stop.signal);
  stop.abort(new Error("stopped"));
  await assertRejects(() => stopped, Error, "stopped");
  await assertRejects(() => queue.changed(stop.signal), Error, "stopped");
});

Deno.test("ActionQueue is all there after kill -9, for a process that only looks too", async () => {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/queue.db`;
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    import { openDatabase } from ${url("../database/open.ts")};
    import { ActionQueue, QUEUE_MIGRATION } from ${url("./action_queue.ts")};
    const db = openDatabase(${JSON.stringify(path)}, { name: "queue", migrations: [QUEUE_MIGRATION] });
    const queue = new ActionQueue(db, { clock: { now: () => 0 } });
    queue.add(["a", "b", "c"].map((path) => ({ action: { type: "remove", path } })));
    const [{ id }] = queue.take({ items: 2, bytes: 0 });
    queue.done([id]);
    console.log("ready");
    setInterval(() => {}, 1000);`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", config, script],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const options = { name: "queue", migrations: [QUEUE_MIGRATION] };
  {
    using looking = openDatabase(path, { ...options, readOnly: true });
    assertEquals(paths(new ActionQueue(looking, { clock: systemClock }).pending()), ["remove b", "remove c"]);
  }
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();

  using db = openDatabase(path, options);
  const queue = new ActionQueue(db, { clock: systemClock });
  assertEquals(queue.take(all).map(({ action, attempts }) => [action.path as string, attempts]), [["b", 2], [
    "c",
    1,
  ]]);
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("ActionQueue.take() does not wait for a time that a clock set back since would bring in a day", async () => {
  const { clock, queue, add } = make();
  add(put("a"));
  queue.retry(queue.take(all).map(({ id }) => id), { ...busy, retryAfter: 60_000 });
  clock.set(clock.now() - 86_400_000);
  assertEquals(queue.nextReadyAt(), clock.now());
  const [{ id }] = queue.take(all);
  queue.retry([id], { ...busy, retryAfter: 60_000 });
  assertEquals([queue.take(all), queue.nextReadyAt()], [[], clock.now() + 60_000]);
  await clock.advance(60_000);
  assertEquals(queue.take(all).map(({ id }) => id), [id]);
});

Deno.test("ActionQueue.take() comes at once when the clock was set forward", () => {
  const { clock, queue, add } = make();
  add(put("a"));
  queue.retry(queue.take(all).map(({ id }) => id), { ...busy, retryAfter: 60_000 });
  clock.set(clock.now() + 86_400_000);
  assertEquals(queue.take(all).length, 1);
});
