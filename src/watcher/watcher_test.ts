import { constants, openSync } from "node:fs";
import { assert, assertEquals, assertGreater, assertLess, assertMatch, assertThrows } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { systemClock } from "../core/clock.ts";
import { parsePath, type TreePath } from "../core/path.ts";
import { type FeedMessage, type FeedSettings, type OpenFeed, openWorkerFeed } from "./feed.ts";
import { Watcher, type WatcherOptions, type WatchEvent } from "./watcher.ts";

const linux = { ignore: Deno.build.os !== "linux" };

/** Keeps what a watcher says, and waits for it. */
class Listener {
  readonly events: WatchEvent[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(events: AsyncIterable<WatchEvent>, act: (event: WatchEvent) => void = () => {}) {
    (async () => {
      for await (const event of events) {
        this.events.push(event);
        act(event);
        this.#arrived.resolve();
        this.#arrived = Promise.withResolvers();
      }
    })();
  }

  get paths(): string[] {
    return this.events.flatMap((event) => event.type === "dirty" ? event.looks.map(({ path }) => path) : []);
  }

  types(): string[] {
    return this.events.map(({ type }) => type).filter((type) => type !== "dirty");
  }

  /** Waits until `reached`, for `seconds` at most. */
  async until(reached: () => boolean, seconds = 15): Promise<void> {
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(
      () =>
        timeout.reject(new Error(`Not reached in ${seconds} s: ${JSON.stringify(this.events.slice(-5))}`)),
      seconds * 1000,
    );
    try {
      while (!reached()) await Promise.race([this.#arrived.promise, timeout.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async told(...paths: string[]): Promise<void> {
    await this.until(() => {
      const told = new Set(this.paths);
      return paths.every((path) => told.has(path));
    });
  }

  async event<T extends WatchEvent["type"]>(type: T): Promise<WatchEvent & { type: T }> {
    let found: WatchEvent | undefined;
    await this.until(() => (found = this.events.find((event) => event.type === type)) !== undefined);
    return found as WatchEvent & { type: T };
  }

  clear(): void {
    this.events.length = 0;
  }
}

interface Setting extends AsyncDisposable {
  root: string;
  watcher: Watcher;
  heard: Listener;
  write(path: string, content?: string): void;
}

/** A watched directory. */
async function watched(
  options: Partial<WatcherOptions> = {},
  prepare: (root: string) => void = () => {},
  act?: (event: WatchEvent, watcher: Watcher, root: string) => void,
): Promise<Setting> {
  const base = Deno.makeTempDirSync({ prefix: "watcher" });
  const root = `${base}/tree`;
  Deno.mkdirSync(root);
  prepare(root);
  const watcher = new Watcher(root, { clock: systemClock, stateDirectory: `${base}/state`, ...options });
  const heard = new Listener(watcher.events(), (event) => act?.(event, watcher, root));
  await watcher.ready;
  return {
    root,
    watcher,
    heard,
    write: (path, content = "x") => Deno.writeTextFileSync(`${root}/${path}`, content),
    async [Symbol.asyncDispose]() {
      await watcher[Symbol.asyncDispose]();
      Deno.removeSync(base, { recursive: true });
    },
  };
}

/** Feeds that a test speaks for. */
function fakeFeeds() {
  const opened: { settings: FeedSettings; post: (message: FeedMessage) => void; disposed: boolean }[] = [];
  const openFeed: OpenFeed = (settings, post) => {
    const feed = { settings, post, disposed: false };
    opened.push(feed);
    return { [Symbol.dispose]: () => void (feed.disposed = true) };
  };
  return {
    opened,
    openFeed,
    say: (message: FeedMessage) => opened.at(-1)!.post(message),
    ready: () => opened.at(-1)!.post({ type: "ready", pipes: [] }),
  };
}

/** A watcher of fake feeds, at a clock that stands still. */
function staged(options: Partial<WatcherOptions> = {}) {
  const clock = new FakeClock();
  const feeds = fakeFeeds();
  const base = Deno.makeTempDirSync({ prefix: "watcher" });
  const root = `${base}/tree`;
  Deno.mkdirSync(root);
  const watcher = new Watcher(root, {
    clock,
    stateDirectory: `${base}/state`,
    openFeed: feeds.openFeed,
    ...options,
  });
  const heard = new Listener(watcher.events());
  return {
    clock,
    feeds,
    root,
    watcher,
    heard,
    async [Symbol.asyncDispose]() {
      await watcher[Symbol.asyncDispose]();
      Deno.removeSync(base, { recursive: true });
    },
  };
}

async function shell(script: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", script, "sh", ...args] }).output();
  assert(success, new TextDecoder().decode(stderr));
}

// 1. Events mark a path; a look decides.

Deno.test("events() tells a written file and its directory, soon", async () => {
  await using tree = await watched({}, (root) => Deno.mkdirSync(`${root}/a`));
  const delays: number[] = [];
  for (let i = 0; i < 20; i++) {
    tree.write(`a/${i}`);
    const written = performance.now();
    await tree.heard.told("a", `a/${i}`);
    delays.push(performance.now() - written);
  }
  assertLess(delays.sort((a, b) => a - b)[10], 40);
});

Deno.test("events() tells a file that was made, removed and made again, whatever the kinds said", async () => {
  await using tree = await watched();
  let content = "";
  const seen: string[] = [];
  for (let i = 0; i < 20; i++) {
    tree.write("a", content = `${i}`);
    if (i < 19) Deno.removeSync(`${tree.root}/a`);
    if (i % 5 === 0) await tree.heard.told("a");
  }
  tree.heard.clear();
  await tree.heard.until(() => {
    if (tree.heard.paths.includes("a")) seen.push(Deno.readTextFileSync(`${tree.root}/a`));
    return seen.length > 0;
  });
  assertEquals(seen.at(-1), content);
});

Deno.test("events() tells the file of an editor that saves by renaming", async () => {
  await using tree = await watched({}, (root) => Deno.writeTextFileSync(`${root}/note`, "old"));
  tree.write(".note.swp", "new");
  Deno.renameSync(`${tree.root}/.note.swp`, `${tree.root}/note`);
  await tree.heard.told("note");
});

Deno.test("events() never acts on what a feed claims, only on what stands there", async () => {
  await using stage = staged();
  stage.feeds.ready();
  Deno.mkdirSync(`${stage.root}/directory`);
  stage.feeds.say({ type: "paths", paths: ["directory", "never-there"] });
  await stage.clock.advance(100);
  assertEquals(stage.heard.paths, ["directory"]);
  await stage.clock.advance(100);
  assertEquals(stage.heard.paths, ["directory", "never-there"]);
});

// 2. A directory that appears is listed again.

Deno.test("revisit() asks for a deep look later", async () => {
  await using stage = staged();
  stage.watcher.revisit(parsePath("a"));
  stage.watcher.revisit(parsePath("b"), 5000);
  await stage.clock.advance(999);
  assertEquals(stage.heard.events, []);
  await stage.clock.advance(1);
  assertEquals(stage.heard.events, [{ type: "dirty", looks: [{ path: parsePath("a"), deep: true }] }]);
  await stage.clock.advance(4000);
  assertEquals(stage.heard.paths, ["a", "b"]);
});

Deno.test("revisit() finds what was put into directories before their watches stood", async () => {
  const seen = new Set<string>();
  const list = (root: string, path: TreePath, again: (path: TreePath) => void) => {
    const isNew = !seen.has(path);
    seen.add(path);
    let names: Deno.DirEntry[];
    try {
      names = Array.from(Deno.readDirSync(`${root}/${path}`));
    } catch {
      return;
    }
    if (isNew) again(path);
    for (const { name, isDirectory } of names) {
      const child = parsePath(`${path}/${name}`);
      if (isDirectory) list(root, child, again);
      else seen.add(child);
    }
  };
  await using tree = await watched({}, undefined, (event, watcher, root) => {
    if (event.type !== "dirty") return;
    for (const { path, deep } of event.looks) {
      const isDirectory = Deno.lstatSync(`${root}/${path}`).isDirectory;
      if (isDirectory && (deep || !seen.has(path))) list(root, path, (added) => watcher.revisit(added, 500));
      seen.add(path);
    }
  });
  await shell(
    `cd "$1"; for i in $(seq 1 40); do mkdir -p $i/a/b/c; for f in 1 2 3 4 5; do echo x > $i/$f; echo x > $i/a/b/c/$f; done; done`,
    tree.root,
  );
  await tree.heard.until(() => seen.size >= 40 * 14);
});

// 3. Where events may be missing, everything is looked at.

Deno.test("events() asks for a rescan when the feed lost events", async () => {
  await using stage = staged();
  stage.feeds.ready();
  stage.feeds.say({ type: "lost", reason: "more events came than could be taken" });
  assertEquals((await stage.heard.event("rescan")).reason, "more events came than could be taken");
});

Deno.test("events() loses nothing of a burst while its consumer sleeps", linux, async () => {
  const base = Deno.makeTempDirSync();
  Deno.mkdirSync(`${base}/tree`);
  await using watcher = new Watcher(`${base}/tree`, { clock: systemClock, stateDirectory: `${base}/state` });
  await watcher.ready;
  const files = 12_000;
  await shell(`cd "$1"; seq 1 ${files} | xargs touch`, `${base}/tree`);
  const heard = new Listener(watcher.events());
  await heard.until(() => heard.types().includes("rescan") || new Set(heard.paths).size >= files, 30);
  Deno.removeSync(base, { recursive: true });
});

Deno.test("events() makes more changed paths than fit into memory one rescan", async () => {
  await using stage = staged({ maxPaths: 10 });
  stage.feeds.ready();
  stage.feeds.say({ type: "paths", paths: Array.from({ length: 11 }, (_, i) => `${i}`) });
  await stage.heard.event("rescan");
  await stage.clock.advance(1000);
  assertEquals(stage.heard.types(), ["rescan"]);
});

Deno.test("events() tells a name that is not valid Unicode, and goes on", linux, async () => {
  await using tree = await watched();
  await shell(`cd "$1"; echo x > "$(printf 'bad\\377')"`, tree.root);
  const { problem } = await tree.heard.event("problem");
  assertMatch(problem.message, /^Cannot watch a file in .*: its name is not valid Unicode$/);
  await tree.heard.event("rescan");
  tree.write("good");
  await tree.heard.told("good");
});

Deno.test(
  "events() goes on although a named pipe hangs the watch, and polls when it keeps doing so",
  linux,
  async () => {
    await using tree = await watched({ canaryMs: 100, echoMs: 100, pollMs: 50, retryMs: 60_000 });
    await shell(`mkfifo "$1/pipe"`, tree.root);
    await tree.heard.event("rescan");
    tree.heard.clear();
    tree.write("a");
    await tree.heard.told("a");
    // The watch that hung has let go of the pipe: a writer finds no reader.
    const flags = constants.O_WRONLY | constants.O_NONBLOCK;
    assertThrows(() => openSync(`${tree.root}/pipe`, flags), Error, "ENXIO");

    for (let stalls = 1; stalls < 3; stalls++) {
      tree.heard.clear();
      Deno.chmodSync(`${tree.root}/pipe`, 0o600 + stalls);
      await tree.heard.event("rescan");
    }
    const { hint } = await tree.heard.event("polling");
    assertEquals(hint, 'Move the named pipe "pipe" out of the directory; watching goes on by itself');
    tree.heard.clear();
    await tree.heard.event("rescan");

    Deno.removeSync(`${tree.root}/pipe`);
    await tree.heard.until(() =>
      tree.heard.events.some((event) => "reason" in event && /anew/.test(event.reason))
    );
    tree.write("b");
    await tree.heard.told("b");
  },
);

Deno.test("events() calls what is behind a link by its own name, and outlives the link", linux, async () => {
  await using tree = await watched({}, (root) => {
    Deno.mkdirSync(`${root}/real`);
    Deno.symlinkSync("real", `${root}/alink`);
    Deno.symlinkSync("real", `${root}/zlink`);
  });
  tree.write("real/a");
  await tree.heard.told("real/a");
  Deno.removeSync(`${tree.root}/alink`);
  await tree.heard.event("rescan");
  tree.write("real/b");
  await tree.heard.told("real/b");
  assert(!tree.heard.paths.some((path) => path.includes("link/")));
});

// 4. The watcher's own Worker, and the root.

Deno.test("events() restarts a feed that died without a word", async () => {
  await using stage = staged();
  stage.feeds.ready();
  for (let s = 0; s < 30; s++) {
    await stage.clock.advance(1000);
    stage.feeds.say({ type: "alive" });
  }
  assertEquals(stage.feeds.opened.length, 1);
  await stage.clock.advance(17_000);
  assertEquals(stage.feeds.opened.length, 2);
  assert(stage.feeds.opened[0].disposed);
  assertEquals(stage.heard.types(), []);
  stage.feeds.ready();
  await stage.heard.event("rescan");
});

Deno.test("events() goes on after its Worker was killed", async () => {
  let kill = () => {};
  const openFeed: OpenFeed = (settings, post) => {
    const feed = openWorkerFeed(settings, post);
    kill = () => feed[Symbol.dispose]();
    return feed;
  };
  await using tree = await watched({ openFeed, canaryMs: 50, echoMs: 50, rootCheckMs: 50 });
  kill();
  tree.write("unseen");
  await tree.heard.event("rescan");
  tree.write("a");
  await tree.heard.told("a");
});

Deno.test("events() waits longer and longer for feeds that keep failing, then polls and says why", async () => {
  await using stage = staged();
  for (let failures = 1; failures <= 3; failures++) {
    assertEquals(stage.feeds.opened.length, failures);
    stage.feeds.say({ type: "ended", end: { why: "failed", reason: "it rains" } });
    await stage.clock.advance(1000);
  }
  assertEquals((await stage.heard.event("polling")).reason, "it rains");
});

Deno.test("events() tells that the root went and came back, and watches the new one", async () => {
  await using tree = await watched({ rootCheckMs: 20 }, (root) => Deno.writeTextFileSync(`${root}/a`, ""));
  Deno.removeSync(tree.root, { recursive: true });
  assertEquals((await tree.heard.event("root-lost")).reason, "the directory does not exist");
  Deno.mkdirSync(tree.root);
  await tree.heard.event("root-found");
  await tree.heard.event("rescan");
  assertEquals(tree.heard.types(), ["root-lost", "root-found", "rescan"]);
  tree.write("b");
  await tree.heard.told("b");
});

Deno.test("events() notices a root that was removed and made again at once", async () => {
  // Some file systems give the new directory the old one's inode number.
  await using tree = await watched({ rootCheckMs: 20 });
  Deno.removeSync(tree.root);
  Deno.mkdirSync(tree.root);
  await tree.heard.event("rescan");
  tree.write("a");
  await tree.heard.told("a");
});

Deno.test("events() notices that another directory took the root's place", async () => {
  await using tree = await watched({ rootCheckMs: 20 }, (root) => Deno.mkdirSync(`${root}-other`));
  Deno.renameSync(tree.root, `${tree.root}-old`);
  Deno.renameSync(`${tree.root}-other`, tree.root);
  await tree.heard.event("rescan");
  assertEquals(tree.heard.types(), ["root-lost", "root-found", "rescan"]);
  tree.write("a");
  await tree.heard.told("a");
});

Deno.test("events() does not tell the files of a lost root as gone", async () => {
  await using stage = staged();
  Deno.writeTextFileSync(`${stage.root}/a`, "");
  stage.feeds.ready();
  Deno.renameSync(stage.root, `${stage.root}-elsewhere`);
  stage.feeds.say({ type: "paths", paths: ["a"] });
  await stage.clock.advance(500);
  assertEquals(stage.heard.paths, []);
  assertEquals(stage.heard.types(), ["root-lost"]);
});

Deno.test("events() waits for a root that does not exist yet", async () => {
  const base = Deno.makeTempDirSync();
  await using watcher = new Watcher(`${base}/tree`, {
    clock: systemClock,
    stateDirectory: `${base}/state`,
    rootCheckMs: 20,
  });
  const heard = new Listener(watcher.events());
  await heard.event("root-lost");
  Deno.mkdirSync(`${base}/tree`);
  await heard.event("root-found");
  Deno.removeSync(base, { recursive: true });
});

// 5. Correctness never rests on events.

Deno.test("events() asks for a rescan periodically", async () => {
  await using stage = staged({ rescanMs: 60_000, canaryMs: 10_000_000 });
  stage.feeds.ready();
  await stage.clock.advance(59_999);
  assertEquals(stage.heard.types(), []);
  await stage.clock.advance(1);
  await stage.clock.advance(60_000);
  assertEquals(stage.heard.types(), ["rescan", "rescan"]);
});

Deno.test("events() polls when watches run out, says what to set, and watches again later", async () => {
  await using stage = staged();
  stage.feeds.say({
    type: "ended",
    end: { why: "exhausted", reason: "the limit is reached", limit: "watches" },
  });
  await stage.watcher.ready;
  const { hint } = await stage.heard.event("polling");
  assertEquals(hint, "Allow more with: sudo sysctl fs.inotify.max_user_watches=1048576");
  await stage.clock.advance(59_000);
  assertEquals(stage.heard.types(), ["polling", ...Array(11).fill("rescan")]);
  await stage.clock.advance(2_000);
  assertEquals(stage.feeds.opened.length, 2);

  stage.heard.clear();
  stage.feeds.ready();
  await stage.clock.advance(0);
  assertEquals(stage.heard.types(), ["rescan"]);
  Deno.mkdirSync(`${stage.root}/a`);
  stage.feeds.say({ type: "paths", paths: ["a"] });
  await stage.heard.told("a");
});

Deno.test("events() meets the real watch limit", linux, async (test) => {
  const base = Deno.makeTempDirSync();
  for (const name of ["1", "2", "3", "4", "5"]) Deno.mkdirSync(`${base}/tree/${name}`, { recursive: true });
  const script = `
    import { Watcher } from ${JSON.stringify(import.meta.resolve("./watcher.ts"))};
    import { systemClock } from ${JSON.stringify(import.meta.resolve("../core/clock.ts"))};
    await using watcher = new Watcher("tree", { clock: systemClock, stateDirectory: "state", pollMs: 10 });
    for await (const event of watcher.events()) {
      console.log(JSON.stringify(event));
      if (event.type === "rescan") break;
    }`;
  // A user namespace of its own has a limit of its own, which its root may lower.
  const { code, stdout } = await new Deno.Command("unshare", {
    args: [
      "--user",
      "--map-root-user",
      "sh",
      "-c",
      'echo 3 > /proc/sys/user/max_inotify_watches || exit 42; exec "$1" eval --ext=ts --config "$2" "$3"',
      "sh",
      Deno.execPath(),
      new URL(import.meta.resolve("../../deno.json")).pathname,
      script,
    ],
    cwd: base,
    stderr: "null",
  }).output().catch(() => ({ code: 42, stdout: new Uint8Array() }));
  Deno.removeSync(base, { recursive: true });
  await test.step({
    name: "where user namespaces may be made",
    ignore: code === 42 || (code === 1 && stdout.length === 0),
    fn() {
      const [first, second] = new TextDecoder().decode(stdout).trim().split("\n").map((line) =>
        JSON.parse(line)
      );
      assertEquals(first.type, "polling");
      assertMatch(first.hint, /max_user_watches/);
      assertEquals(second.type, "rescan");
    },
  });
});

// 6. Settling and renames.

Deno.test("events() tells a file once it has stopped growing", async () => {
  await using tree = await watched();
  using file = Deno.openSync(`${tree.root}/a`, { create: true, write: true });
  for (let i = 0; i < 30; i++) {
    file.writeSync(new Uint8Array(1000));
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  const toldWhileGrowing = tree.heard.paths.length;
  await tree.heard.told("a");
  assertLess(toldWhileGrowing, 4); // a test machine may hold the writer up for longer than the settling takes
});

Deno.test("events() tells the new name of a renamed file before the old one", async () => {
  await using tree = await watched({}, (root) => Deno.writeTextFileSync(`${root}/old`, ""));
  Deno.renameSync(`${tree.root}/old`, `${tree.root}/new`);
  await tree.heard.told("old", "new");
  assertGreater(tree.heard.paths.indexOf("old"), tree.heard.paths.indexOf("new"));
});

// What is not told, and the end.

Deno.test("events() leaves out ignored paths and our own state, but not ignore files", async () => {
  await using stage = staged({
    ignores: (path, isDirectory) => path.startsWith("skip") || (path === "both" && isDirectory),
  });
  Deno.mkdirSync(`${stage.root}/skip`);
  for (const path of ["skip/a", "skip/.filesyncignore", "both"]) {
    Deno.writeTextFileSync(`${stage.root}/${path}`, "");
  }
  stage.feeds.ready();
  stage.feeds.say({
    type: "paths",
    paths: ["skip/a", "skip/.filesyncignore", "both", ".filesync/tmp/x", "a/.FileSync", "skip/gone"],
  });
  await stage.clock.advance(1000);
  assertEquals(new Set(stage.heard.paths), new Set(["both", "skip", "skip/.filesyncignore"]));
  assertEquals(stage.heard.types(), []);
});

Deno.test("events() tells a path that cannot be in a tree as a problem, once", async () => {
  await using stage = staged();
  stage.feeds.ready();
  stage.feeds.say({ type: "paths", paths: ["bad\uFFFD"] });
  stage.feeds.say({ type: "paths", paths: ["bad\uFFFD"] });
  await stage.clock.advance(1000);
  assertEquals(stage.heard.types(), ["problem"]);
});

Deno.test("events() ends when its signal aborts, and when the watcher is disposed of", async () => {
  const stage = staged();
  const controller = new AbortController();
  const aborted = Array.fromAsync(stage.watcher.events(controller.signal));
  controller.abort();
  await aborted;
  const disposed = Array.fromAsync(stage.watcher.events());
  await stage[Symbol.asyncDispose]();
  await disposed;
  await stage.watcher.ready;
  assertEquals(stage.clock.sleepers, 0);
});

for (const jump of [-86_400_000, 86_400_000]) {
  const way = jump < 0 ? "back" : "forward";
  Deno.test(`events() tells of a file that is settling while the clock is set ${way} by a day`, async () => {
    await using stage = staged();
    stage.feeds.ready();
    Deno.writeTextFileSync(`${stage.root}/a`, "a");
    stage.feeds.say({ type: "paths", paths: ["a"] });
    stage.clock.set(stage.clock.now() + jump);
    await stage.clock.advance(1_000);
    await stage.heard.told("a");
  });
}
