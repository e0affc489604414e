import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { InterceptedReceiver } from "../../../tests/support/intercepted_receiver.ts";
import type { MemoryReceiverOptions } from "../../../tests/support/memory_receiver.ts";
import { Replica } from "../../../tests/support/replica.ts";
import { TwoWayPair, type TwoWayPairOptions } from "../../../tests/support/two_way_bench.ts";
import { FilesyncError } from "../../core/errors.ts";
import { parsePath } from "../../core/path.ts";
import type { Receiver } from "../../transport/receiver.ts";
import type { TwoWayOptions, TwoWayResult } from "./sync_two_way.ts";

/** A noon in February; whatever is done in a scene takes a second or more. */
const NOON = Date.UTC(2026, 1, 3, 12, 0, 0);

/** Two trees in memory. */
class Scene implements Disposable {
  readonly a: Replica;
  readonly b: Replica;
  readonly pair: TwoWayPair;
  #time = NOON;

  constructor(options: TwoWayPairOptions = {}, ofB: MemoryReceiverOptions = {}) {
    const tick = () => this.#time += 1_000;
    this.a = new Replica(tick);
    this.b = new Replica(tick, ofB);
    this.pair = new TwoWayPair(this.a.receiver, this.b.receiver, options);
  }

  /** Syncs once; everything must go well. */
  async sync(options?: Partial<TwoWayOptions>): Promise<TwoWayResult> {
    const result = await this.pair.sync(options);
    assertEquals(result.problems, []);
    return result;
  }

  /** Both trees, which must be the same, mode and times too. */
  get both(): string[] {
    assertEquals(this.b.entries, this.a.entries);
    return this.a.text;
  }

  [Symbol.dispose](): void {
    this.pair[Symbol.dispose]();
  }
}

/** A scene in step, with the tree that `make` makes. */
async function inStep(make: (a: Replica) => void, options?: TwoWayPairOptions) {
  const scene = new Scene(options);
  make(scene.a);
  await scene.sync();
  return scene;
}

/** Lines without the times in the names of conflict copies. */
function timeless(lines: string[]): string[] {
  return lines.map((line) => line.replace(/ 2026-02-03 12\.\d\d\.\d\d/, ""));
}

Deno.test("syncTwoWay() merges two trees that never met, and removes nothing", async () => {
  using scene = new Scene();
  scene.a.write("only/a", "1");
  scene.b.write("only/b", "2");
  scene.a.write("same", "3");
  scene.b.write("same", "3");
  scene.a.write("differs.txt", "older");
  scene.b.write("differs.txt", "newer");
  scene.a.makeDirectory("empty");
  scene.b.link("link", "same");
  const { conflicts } = await scene.sync();
  assertEquals(timeless(scene.both), [
    'differs (conflict laptop).txt "older"',
    'differs.txt "newer"',
    "empty/",
    "link -> same",
    "only/",
    'only/a "1"',
    'only/b "2"',
    'same "3"',
  ]);
  assertEquals(conflicts.map(({ path, winner }) => [path as string, winner]), [["differs.txt", "b"]]);
});

Deno.test("syncTwoWay() carries changes of both sides over, and says what it did", async () => {
  using scene = await inStep((a) => ["x", "y", "z", "d/w"].forEach((path) => a.write(path, path)));
  scene.a.write("x", "edited on a");
  scene.a.write("new on a", "1");
  scene.b.remove("d");
  scene.b.write("y", "edited on b");
  scene.b.chmod("z", 0o600);
  const { totals, conflicts, inStep: isInStep } = await scene.sync();
  assertEquals(scene.both, ['new on a "1"', 'x "edited on a"', 'y "edited on b"', 'z "z"']);
  assertEquals([totals.a, totals.b], [
    { put: 2, directory: 0, symlink: 0, remove: 2, move: 0, bytes: 12, sentBytes: 11 },
    { put: 2, directory: 0, symlink: 0, remove: 0, move: 0, bytes: 12, sentBytes: 12 },
  ]);
  assertEquals([conflicts, isInStep], [[], true]);
});

Deno.test("syncTwoWay() asks for nothing but a look when nothing changed", async () => {
  using scene = await inStep((a) => a.write("x", "1"));
  await scene.sync();
  const receivers: InterceptedReceiver[] = [];
  const wrap = (receiver: Receiver) => {
    const intercepted = new InterceptedReceiver(receiver);
    receivers.push(intercepted);
    return intercepted;
  };
  assertEquals((await scene.pair.sync({}, wrap)).inStep, true);
  assertEquals(receivers.map(({ calls }) => calls.map(({ method }) => method)), [["refresh"], ["refresh"]]);
  // With other settings everything is compared again, and when the index was lost too; nothing comes of it.
  for (const change of [() => {}, () => scene.b.receiver.indexId = "another"]) {
    change();
    const { totals } = await scene.sync({ conflict: "both" });
    assertEquals([totals.a.put, totals.b.put, scene.both.length], [0, 0, 1]);
  }
});

for (
  const [policy, winner] of [
    ["newer", "newer"],
    ["source", "older"],
    ["backup", "newer"],
    ["both", "newer"],
  ] as const
) {
  Deno.test(`syncTwoWay() lets the right one win with the policy ${policy}, and keeps the other`, async () => {
    for (const keepsLosers of [false, true]) {
      using scene = await inStep((a) => a.write("d/f.txt", "0"), { conflict: policy, keepsLosers });
      scene.a.write("d/f.txt", "older");
      scene.b.write("d/f.txt", "newer");
      await scene.sync();
      const isCopied = policy === "both" || !keepsLosers;
      const loser = winner === "newer" ? '(conflict laptop).txt "older"' : '(conflict server).txt "newer"';
      assertEquals(timeless(scene.both), [
        "d/",
        ...isCopied ? [`d/f ${loser}`] : [],
        `d/f.txt "${winner}"`,
      ]);
      assertEquals(scene.pair.versions.size, isCopied ? 0 : 1);
    }
  });
}

Deno.test("syncTwoWay() takes the same edit on both sides for what it is", async () => {
  using scene = await inStep((a) => a.write("f", "0"));
  scene.a.write("f", "1");
  scene.b.write("f", "1");
  const { conflicts, totals } = await scene.sync();
  // Only the time differed.
  assertEquals([conflicts, totals.a.sentBytes + totals.b.sentBytes, scene.both], [[], 0, ['f "1"']]);
});

Deno.test("syncTwoWay() joins a new mode with a new content", async () => {
  using scene = await inStep((a) => a.write("f", "0"));
  scene.a.write("f", "1");
  scene.b.chmod("f", 0o600);
  await scene.sync();
  assertEquals(scene.both, ['f "1"']);
  assertEquals(scene.a.entries.map((entry) => entry.kind === "file" && entry.mode), [0o600]);
});

Deno.test("syncTwoWay() keeps what was edited where the other side removed it, with its parents", async () => {
  using scene = await inStep((a) => ["d/e/f", "d/e/g", "d/h/i", "x"].forEach((path) => a.write(path, path)));
  scene.a.remove("d");
  scene.b.write("d/e/f", "edited");
  await scene.sync();
  assertEquals(scene.both, ["d/", "d/e/", 'd/e/f "edited"', 'x "x"']);
});

Deno.test("syncTwoWay() removes what only has another mode or time on the other side", async () => {
  using scene = await inStep((a) => ["f", "g"].forEach((path) => a.write(path, path)));
  scene.a.remove("f");
  scene.b.chmod("f", 0o600);
  await scene.sync();
  assertEquals(scene.both, ['g "g"']);
});

Deno.test("syncTwoWay() follows renames with edits of the other side, of files and of directories", async () => {
  using scene = await inStep((a) =>
    ["f", "d/1", "d/2", "d/sub/3", "d/sub/5", "e/4"].forEach((path) => a.write(path, path))
  );
  scene.a.rename("f", "renamed");
  scene.b.write("f", "edited");
  scene.b.rename("d", "moved/d2");
  scene.a.write("d/1", "edited too");
  scene.a.write("d/sub/new", "added");
  scene.a.remove("d/2");
  const { totals, conflicts } = await scene.sync();
  assertEquals(scene.both, [
    "e/",
    'e/4 "e/4"',
    "moved/",
    "moved/d2/",
    'moved/d2/1 "edited too"',
    "moved/d2/sub/",
    'moved/d2/sub/3 "d/sub/3"',
    'moved/d2/sub/5 "d/sub/5"',
    'moved/d2/sub/new "added"',
    'renamed "edited"',
  ]);
  assertEquals([conflicts, totals.a.move, totals.b.move, totals.a.remove + totals.b.remove], [[], 1, 1, 1]);
});

Deno.test("syncTwoWay() takes a rename that failed for no rename, and removes nothing because of it", async () => {
  using scene = await inStep((a) => ["d/1", "d/2", "d/3"].forEach((path) => a.write(path, path)));
  scene.a.rename("d", "e");
  const wrap = (receiver: Receiver) =>
    new InterceptedReceiver(receiver, async ({ method }, forward) => {
      if (receiver === scene.b.receiver && method === "apply" && !inTheWay) {
        inTheWay = true;
        scene.b.write("e", "in the way");
      }
      return await forward();
    });
  let inTheWay = false;
  const { problems } = await scene.pair.sync({ allowMassDelete: true }, wrap);
  assertEquals([problems, inTheWay], [[], true]);
  assertEquals(timeless(scene.both), [
    "e/",
    'e (conflict server) "in the way"',
    'e/1 "d/1"',
    'e/2 "d/2"',
    'e/3 "d/3"',
  ]);
});

Deno.test("syncTwoWay() gives a file both names when both sides renamed it", async () => {
  using scene = await inStep((a) => a.write("f", "0"));
  scene.a.rename("f", "one");
  scene.b.rename("f", "two");
  await scene.sync();
  assertEquals(scene.both, ['one "0"', 'two "0"']);
});

Deno.test("syncTwoWay() keeps a file that one side renamed and the other removed", async () => {
  using scene = await inStep((a) => ["f", "other"].forEach((path) => a.write(path, path)));
  scene.a.rename("f", "g");
  scene.b.remove("f");
  await scene.sync();
  assertEquals(scene.both, ['g "f"', 'other "other"']);
});

Deno.test("syncTwoWay() replaces a file by a directory and the other way round", async () => {
  using scene = await inStep((a) => {
    a.write("file", "0");
    a.write("directory/in", "1");
    a.link("link", "file");
  });
  scene.a.remove("file");
  scene.a.write("file/in", "2");
  scene.b.write("directory", "3");
  scene.b.write("link", "4");
  await scene.sync();
  assertEquals(scene.both, ['directory "3"', "file/", 'file/in "2"', 'link "4"']);
});

Deno.test("syncTwoWay() gives the name to the directory when a file wants it too", async () => {
  using scene = new Scene({ conflict: "source" });
  scene.a.write("x", "file");
  scene.b.write("x/in", "in the directory");
  await scene.sync();
  assertEquals(timeless(scene.both), ["x/", 'x (conflict laptop) "file"', 'x/in "in the directory"']);
});

Deno.test("syncTwoWay() renames to another case where names are folded", async () => {
  using scene = new Scene({}, { foldsNames: true });
  scene.a.write("readme", "0");
  scene.a.write("d/f", "1");
  await scene.sync();
  scene.a.rename("readme", "README");
  scene.a.rename("d", "D");
  await scene.sync();
  assertEquals(scene.both, ["D/", 'D/f "1"', 'README "0"']);
});

Deno.test("syncTwoWay() refuses the second name where names are folded, and overwrites nothing", async () => {
  using scene = new Scene({}, { foldsNames: true });
  scene.a.write("name", "first");
  await scene.sync();
  scene.a.write("NAME", "second");
  scene.a.write("Dir/x", "1");
  scene.a.write("dir/y", "2");
  scene.a.write("caf\u00e9", "3");
  scene.a.write("cafe\u0301", "4");
  scene.a.write("other", "5");
  const { problems, inStep } = await scene.pair.sync();
  assertEquals(problems.map(({ side, problem }) => [side, problem.path, problem.code]), [
    ["b", "caf\u00e9", "bad-path"],
    ["b", "dir", "bad-path"],
    ["b", "NAME", "bad-path"],
  ]);
  assertEquals(inStep, false);
  assertEquals(scene.b.text, ["Dir/", 'Dir/x "1"', 'cafe\u0301 "4"', 'name "first"', 'other "5"']);
  assertEquals(scene.a.paths.length, 9);
});

Deno.test("syncTwoWay() brakes when a side is empty, and does nothing at all there", async () => {
  using scene = await inStep((a) => ["x", "y", "z"].forEach((path) => a.write(path, path)));
  ["x", "y", "z"].forEach((path) => scene.a.remove(path));
  scene.b.write("x", "edited");
  for (let round = 0; round < 2; round++) {
    const { brake, inStep } = await scene.pair.sync();
    assertEquals([brake, inStep], ["the source is empty, and 3 entries were known in it", false]);
    assertEquals([scene.a.text, scene.b.text.length], [[], 3]);
  }
  await scene.sync({ allowMassDelete: true });
  assertEquals(scene.both, ['x "edited"']);
});

Deno.test("syncTwoWay() brakes when much is gone at once, and goes on with the rest", async () => {
  const paths = Array.from({ length: 30 }, (_, i) => `d${i % 3}/${i}`);
  using scene = await inStep((a) => paths.forEach((path) => a.write(path, path)));
  paths.slice(0, 12).forEach((path) => scene.b.remove(path));
  scene.b.write("new", "1");
  scene.a.write("d1/1", "edited");
  scene.a.write("d2/29", "edited");
  const { brake } = await scene.pair.sync();
  assertEquals(brake, "12 of 33 entries are gone at once");
  // What is edited comes back; what is only missing does not: the word of the user is waited for.
  assertEquals([scene.a.paths.length, scene.b.paths.length], [34, 23]);
  assert(scene.a.text.includes('new "1"') && scene.b.text.includes('d2/29 "edited"'));
  await scene.sync({ allowMassDelete: true });
  assertEquals(scene.both.filter((line) => !line.endsWith("/")).length, 20);
});

Deno.test("syncTwoWay() does not brake for renames", async () => {
  const paths = Array.from({ length: 30 }, (_, i) => `d/${i}`);
  using scene = await inStep((a) => paths.forEach((path) => a.write(path, path)));
  scene.a.rename("d", "e");
  assertEquals((await scene.sync()).brake, undefined);
  paths.forEach((path) => scene.b.rename(path.replace("d", "e"), `f${path}`));
  assertEquals((await scene.sync()).brake, undefined);
  assertEquals(scene.both.filter((line) => line.startsWith("fd/")).length, 31);
});

Deno.test("syncTwoWay() brakes for another directory without the content, not for a restored one", async () => {
  using scene = await inStep((a) => ["w", "x", "y", "z"].forEach((path) => a.write(path, path)));
  scene.a.receiver.rootId = "restored";
  scene.a.remove("x");
  assertEquals((await scene.sync()).brake, undefined);
  scene.a.receiver.rootId = "another";
  ["w", "y", "z"].forEach((path) => scene.a.remove(path));
  scene.a.write("stranger", "1");
  const { brake } = await scene.pair.sync();
  assertEquals(brake, "another directory stands in place of the source, without 3 of 3 entries");
  assertEquals(scene.b.text, ['w "w"', 'y "y"', 'z "z"']);
});

Deno.test("syncTwoWay() writes nothing to another directory, even if much is gone on the other side as well", async () => {
  const paths = Array.from({ length: 30 }, (_, i) => `${i}`);
  using scene = await inStep((a) => paths.forEach((path) => a.write(path, path)));
  paths.slice(0, 12).forEach((path) => scene.a.remove(path));
  scene.a.write("new", "1");
  scene.b.receiver.rootId = "another";
  paths.slice(12, 24).forEach((path) => scene.b.remove(path));
  const { brake } = await scene.pair.sync();
  assertEquals(brake, "another directory stands in place of the backup, without 12 of 30 entries");
  assertEquals(scene.b.paths.length, 18);
});

Deno.test("syncTwoWay() brakes when a receiver says that its directory is not in place", async () => {
  using scene = await inStep((a) => a.write("x", "1"));
  const gone = () =>
    new InterceptedReceiver(
      scene.a.receiver,
      () =>
        Promise.reject(new FilesyncError({ code: "brake", operation: "look", reason: "it is unmounted" })),
    );
  assertEquals((await scene.pair.sync({}, gone)).brake, "Cannot look: it is unmounted");
});

Deno.test("syncTwoWay() judges nothing of what could not be looked at", async () => {
  using scene = await inStep((a) => ["d/s/1", "d/s/2", "d/3", "e"].forEach((path) => a.write(path, path)));
  scene.a.receiver.unreadable.add(parsePath("d/s"));
  scene.b.write("d/s/1", "edited");
  scene.b.remove("d/3");
  const first = await scene.pair.sync();
  assertEquals(first.problems.map(({ side, problem }) => [side, problem.path]), [["a", "d/s"]]);
  assertEquals(scene.a.text, ["d/", "d/s/", 'd/s/1 "d/s/1"', 'd/s/2 "d/s/2"', 'e "e"']);
  // Not even when all around it goes.
  scene.b.remove("d");
  await scene.pair.sync();
  assertEquals(scene.a.text.length, 5);
  scene.a.receiver.unreadable.clear();
  await scene.sync();
  assertEquals(scene.both, ['e "e"']);
});

Deno.test("syncTwoWay() leaves alone what is edited between look and apply, and looks again", async () => {
  using scene = await inStep((a) => ["x", "y", "d/z", "r"].forEach((path) => a.write(path, path)));
  scene.a.write("x", "edited on a");
  scene.a.remove("y");
  scene.a.remove("d");
  scene.a.rename("r", "renamed");
  const wrap = (receiver: Receiver) =>
    new InterceptedReceiver(receiver, async ({ method, number }, forward) => {
      if (receiver === scene.b.receiver && method === "apply" && number === 2) {
        scene.b.write("x", "meanwhile x");
        scene.b.write("y", "meanwhile y");
        scene.b.write("d/new", "meanwhile d");
        scene.b.write("r", "meanwhile r");
      }
      return await forward();
    });
  const { problems, totals } = await scene.pair.sync({}, wrap);
  assertEquals([problems, totals.a.put + totals.b.put], [[], 6]);
  assertEquals(
    timeless(scene.both),
    [
      "d/",
      'd/new "meanwhile d"',
      'renamed "meanwhile r"',
      'x "meanwhile x"',
      'x (conflict laptop) "edited on a"',
      'y "meanwhile y"',
    ].sort(),
  );
});

Deno.test("syncTwoWay() tells, and leaves to the next sync, what others change again and again", async () => {
  using scene = await inStep((a) => a.write("x", "0"));
  scene.a.write("x", "edited on a");
  let edits = 0;
  const wrap = (receiver: Receiver) =>
    new InterceptedReceiver(receiver, async ({ method }, forward) => {
      if (receiver === scene.b.receiver && method === "apply") scene.b.write("x", `meanwhile ${++edits}`);
      return await forward();
    });
  const { problems, inStep: isInStep } = await scene.pair.sync({ conflict: "source" }, wrap);
  assertGreater(edits, 2);
  assertEquals(problems.map(({ problem: { code, permanent } }) => [code, permanent]), [["conflict", false]]);
  assertEquals([isInStep, scene.b.text[0]], [false, `x "meanwhile ${edits}"`]);
});

Deno.test("syncTwoWay() plans without doing anything, and then does what it planned", async () => {
  using scene = await inStep((a) => ["x", "y", "r", "c"].forEach((path) => a.write(path, path)));
  scene.a.write("x", "edited");
  scene.a.rename("r", "renamed");
  scene.b.remove("y");
  scene.a.write("c", "on a");
  scene.b.write("c", "on b");
  const before = [scene.a.text, scene.b.text];
  const { plan } = await scene.sync({ dryRun: true });
  assertEquals([scene.a.text, scene.b.text], before);
  const planned = plan!.map(({ side, action }) => `${side} ${action.type} ${action.path}`);
  assertEquals(timeless(planned), [
    "b move renamed",
    "a put c (conflict laptop)",
    "b put c (conflict laptop)",
    "a put c",
    "b put x",
    "a remove y",
  ]);
  const done: string[] = [];
  await scene.sync({
    onEvent: (event) => {
      if (event.type === "applied") done.push(`${event.side} ${event.action.type} ${event.action.path}`);
    },
  });
  assertEquals(done.sort(), planned.sort());
});

Deno.test("syncTwoWay() tries a batch again whose answer was lost, and does nothing twice", async () => {
  using scene = await inStep((a) => a.write("x", "1"));
  scene.a.write("y", "2");
  scene.a.rename("x", "z");
  let failures = 0;
  const wrap = (receiver: Receiver) =>
    new InterceptedReceiver(receiver, async ({ method }, forward) => {
      const answer = await forward();
      if (method !== "apply" || failures++ % 2 === 1) return answer;
      throw new FilesyncError({ code: "unreachable", operation: "apply", reason: "the answer was lost" });
    });
  const { problems, totals } = await scene.pair.sync({}, wrap);
  assertEquals([problems, totals.b.move, totals.b.put, scene.both], [[], 1, 1, ['y "2"', 'z "1"']]);
});

Deno.test("syncTwoWay() gives up on a side that is out of reach, and goes on from there later", async () => {
  using scene = await inStep((a) => a.write("x", "1"));
  scene.a.write("y", "2");
  const broken = (receiver: Receiver) =>
    new InterceptedReceiver(
      receiver,
      ({ method }, forward) =>
        method === "apply"
          ? Promise.reject(
            new FilesyncError({ code: "unreachable", operation: "apply", reason: "no network" }),
          )
          : forward(),
    );
  await assertRejects(() => scene.pair.sync({}, broken), FilesyncError, "no network");
  await scene.sync();
  assertEquals(scene.both.length, 2);
});

Deno.test("syncTwoWay() ends after what is under way when it is interrupted", async () => {
  const stop = new AbortController();
  using scene = new Scene({}, { maxBatchItems: 2 });
  Array.from({ length: 20 }, (_, i) => scene.a.write(`f${i}`, String(i)));
  const { interrupted, totals, inStep } = await scene.sync({
    signal: stop.signal,
    onEvent: ({ type }) => type === "applied" && stop.abort(),
  });
  assertEquals([interrupted, inStep], [true, false]);
  assertGreater(totals.b.put, 0);
  assertEquals([scene.b.paths.length, totals.b.put < 20], [totals.b.put, true]);
  await scene.sync();
  assertEquals(scene.both.length, 20);
});
