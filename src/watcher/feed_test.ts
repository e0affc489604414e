import { assert, assertEquals, assertObjectMatch } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { endOf, type FeedMessage, runFeed, toTree } from "./feed.ts";

/** A watch that says what a test lets it say. */
class FakeWatch implements Deno.FsWatcher {
  #queue: (Deno.FsEvent | Error)[] = [];
  #wake = () => {};
  #closed = false;

  say(...what: (Deno.FsEvent | Error)[]) {
    this.#queue.push(...what);
    this.#wake();
  }

  close() {
    this.#closed = true;
    this.#wake();
  }

  [Symbol.dispose]() {
    this.close();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Deno.FsEvent> {
    const iterator: AsyncIterableIterator<Deno.FsEvent> = {
      [Symbol.asyncIterator]: () => iterator,
      next: async () => {
        while (this.#queue.length === 0 && !this.#closed) {
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
        const next = this.#queue.shift();
        if (next instanceof Error) throw next;
        return next === undefined ? { done: true, value: undefined } : { done: false, value: next };
      },
    };
    return iterator;
  }
}

/** Runs a feed on a fake watch; `until` waits for a message. */
function fed(canaryMs = 60_000, echoMs = 60_000) {
  const root = Deno.makeTempDirSync({ prefix: "feed" });
  const state = Deno.makeTempDirSync({ prefix: "feed-state" });
  const watch = new FakeWatch();
  const messages: FeedMessage[] = [];
  let arrived = Promise.withResolvers<void>();
  const settings = { root, canaryDirectory: `${state}/canary`, canaryMs, echoMs, release: false };
  const ended = runFeed(settings, (message) => {
    messages.push(message);
    arrived.resolve();
    arrived = Promise.withResolvers();
  }, () => watch);
  return {
    root,
    watch,
    messages,
    canaryFile: `${state}/canary/canary`,
    async until(type: FeedMessage["type"]): Promise<FeedMessage> {
      for (;;) {
        const found = messages.find((message) => message.type === type);
        if (found !== undefined) return found;
        await arrived.promise;
      }
    },
    async [Symbol.asyncDispose]() {
      watch.close();
      await ended;
      Deno.removeSync(root, { recursive: true });
      Deno.removeSync(state, { recursive: true });
    },
  };
}

Deno.test("runFeed() tells paths once, whatever kind of event", async () => {
  await using feed = fed();
  const paths = [`${feed.root}/a`];
  feed.watch.say({ kind: "create", paths }, { kind: "remove", paths }, { kind: "modify", paths });
  assertEquals(await feed.until("paths"), { type: "paths", paths: ["a"] });
  assertEquals(feed.messages.filter(({ type }) => type === "paths").length, 1);
});

Deno.test("runFeed() tells that events were lost when the watch says rescan", async () => {
  await using feed = fed();
  feed.watch.say({ kind: "any", paths: [feed.root], flag: "rescan" });
  assert(await feed.until("lost"));
});

Deno.test("runFeed() goes on after a name that is not valid Unicode", async () => {
  await using feed = fed();
  feed.watch.say(new TypeError("path contains invalid UTF-8 characters"));
  await feed.until("unnamable");
  feed.watch.say({ kind: "any", paths: [`${feed.root}/a`] });
  await feed.until("paths");
});

Deno.test("runFeed() ends when the watch limit is hit, and says which", async () => {
  await using feed = fed();
  feed.watch.say(new Error('OS file watch limit reached. about ["/x"]'));
  assertObjectMatch(await feed.until("ended"), { end: { why: "exhausted", limit: "watches" } });
});

Deno.test("runFeed() ends when the watch ends by itself", async () => {
  await using feed = fed();
  await feed.until("ready");
  feed.watch.close();
  assertObjectMatch(await feed.until("ended"), { end: { why: "failed" } });
});

Deno.test("runFeed() ends when the canary has no echo", async () => {
  await using feed = fed(20, 20);
  assertObjectMatch(await feed.until("ended"), { end: { why: "stalled" } });
});

Deno.test("runFeed() gives a sign of life when the canary has its echo", async () => {
  await using feed = fed();
  await feed.until("ready");
  feed.watch.say({ kind: "modify", paths: [feed.canaryFile] });
  await feed.until("alive");
  assertEquals(feed.messages.filter(({ type }) => type === "paths"), []);
});

Deno.test("runFeed() tells that events were lost when one came by the name of a link that is gone", async () => {
  await using feed = fed();
  Deno.symlinkSync(".", `${feed.root}/link`);
  assertEquals(await feed.until("paths"), { type: "paths", paths: ["link"] });
  feed.watch.say({ kind: "modify", paths: [`${feed.root}/other name/of it/file`] });
  await feed.until("lost");
});

Deno.test("toTree() names what lies behind a link by its place in the tree", () => {
  const root = Deno.realPathSync(Deno.makeTempDirSync());
  Deno.mkdirSync(`${root}/real/sub`, { recursive: true });
  Deno.symlinkSync("real", `${root}/link`);
  Deno.symlinkSync(Deno.realPathSync("."), `${root}/outside`);
  const paths = [
    root,
    `${root}/link/a`,
    `${root}/real/a`,
    `${root}/link/sub/b`,
    `${root}/link`,
    `${root}/outside/x`,
    `${root}/gone/y`,
    "/elsewhere/z",
  ];
  assertEquals(toTree(root, paths), {
    told: ["", "real/a", "real/sub/b", "link", "gone/y"],
    strays: ["gone"],
  });
  Deno.removeSync(root, { recursive: true });
});

Deno.test("endOf() tells what a failure of watching asks for", () => {
  assertEquals(endOf(new Error("Too many open files (os error 24)")), {
    why: "exhausted",
    reason: "Too many open files (os error 24)",
    limit: "instances",
  });
  assertEquals(endOf(new Deno.errors.PermissionDenied("x")).why, "denied");
  assertEquals(endOf(new Error("x")).why, "failed");
});

Deno.test("runFeed() does not take a state that cannot be written for a lack of watches", async () => {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/state`, "no directory");
  const messages: FeedMessage[] = [];
  await runFeed({
    root: temp.directory("tree"),
    canaryDirectory: `${temp.path}/state/canary`,
    canaryMs: 10,
    echoMs: 10,
    release: false,
  }, (message) => messages.push(message));
  const reason = "its state cannot be written: a file stands where a directory is expected";
  assertEquals(messages, [{ type: "ended", end: { why: "failed", reason } }]);
});
