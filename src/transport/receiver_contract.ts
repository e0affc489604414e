/**
 * What every {@linkcode Receiver} must keep to, as tests. A receiver that passes
 * {@linkcode receiverContract} can stand wherever the port is asked for. All of them end at a
 * directory of this machine, which the suite looks into, and changes behind their back.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertNotEquals,
  assertRejects,
  fail,
} from "@std/assert";
import fc from "fast-check";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { wholeRegion } from "../chunking/changed_regions.ts";
import { composeDelta, rangesToSign } from "../chunking/compose_delta.ts";
import { DeltaBuilder } from "../chunking/delta.ts";
import { describeBytes } from "../chunking/describe.ts";
import { groupsOf, packGroups, rebuildOutline } from "../chunking/manifest_groups.ts";
import { outlineOf } from "../chunking/outline.ts";
import { signatureOf } from "../chunking/signature.ts";
import type { Action, PutAction } from "../core/action.ts";
import { type Chunk, type ChunkRun, packManifest, unpackManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { systemClock } from "../core/clock.ts";
import { type ErrorCode, FilesyncError } from "../core/errors.ts";
import { expectationOf } from "../core/expectation.ts";
import { parsePath, STATE_DIRECTORY } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import { type BatchResult, type ContentOffer, MAX_SIGNED_BYTES, type Receiver } from "./receiver.ts";

/** A receiver to be tested, and where its tree is. */
export interface ReceiverSubject extends AsyncDisposable {
  readonly receiver: Receiver;
  /** The directory of this machine that it ends at. */
  readonly directory: string;
  /** The directory with the state of what it ends at. @default {`.filesync` in `directory`} */
  readonly state?: string;
  /** Lets go of the receiver and opens another over the same directory, which {@linkcode receiver} is from then on. */
  reopen(): Promise<void>;
}

type Content = string | Uint8Array;

/** A time with milliseconds, long enough ago that nothing takes it for a change of just now. */
const TIME = Date.UTC(2024, 1, 29, 12, 34, 56, 789);

/** Longest time that work in the background is waited for, milliseconds. */
const DEADLINE_MS = 30_000;

/**
 * Registers the suite. `open` gives a receiver over an empty directory that is ready to be used.
 *
 * @param options.keeps Whether it still has what was replaced and removed.
 * @param options.computes Whether what it ends at can read what it holds: to find parts of a content in other
 * files, and to sign blocks for deltas. If not, its times are of whole seconds, too.
 */
export function receiverContract(
  name: string,
  open: () => Promise<ReceiverSubject>,
  { keeps = false, computes = true } = {},
): void {
  const grain = computes ? 1 : 1_000;
  const contract = (behaviour: string, test: (subject: ReceiverSubject) => Promise<void>) =>
    Deno.test(`${name}: ${behaviour}`, async () => {
      await using subject = await open();
      await test(subject);
    });

  /** For what rests on reading what is there. */
  const computing: typeof contract = computes ? contract : () => {};

  /** For what rests on a content being gone with the last path that had it. */
  const forgetful: typeof contract = keeps || !computes ? () => {} : contract;

  contract("open() names the same index again after a restart", async (subject) => {
    const first = await subject.receiver.open();
    assertEquals(first.chunking, DEFAULT_CHUNKING.name);
    assertGreater(first.maxBatchBytes, 0);
    assertGreater(first.maxBatchItems, 0);
    await done(subject.receiver, [directoryAction("a")]);
    await subject.reopen();
    assertEquals(await subject.receiver.open(), { ...first, sequence: first.sequence + 1 });
  });

  contract("apply() makes files, directories and links with content, mode and time", async (subject) => {
    const { receiver, directory } = subject;
    await done(receiver, [
      directoryAction("d", { mode: 0o750, mtime: TIME }),
      putAction("d/run.sh", "echo hi", { mode: 0o755, mtime: TIME + 1 }),
      putAction("d/empty", "", { mode: 0o600, mtime: TIME + 2 }),
      symlinkAction("d/link", "../nowhere at all", TIME + 3),
    ], ["echo hi", ""]);
    assertEquals(Deno.readTextFileSync(`${directory}/d/run.sh`), "echo hi");
    assertEquals(Deno.lstatSync(`${directory}/d/empty`).size, 0);
    assertEquals(await entries(receiver), [
      { kind: "directory", path: parsePath("d"), mode: 0o750, mtime: TIME },
      fileEntry("d/empty", "", { mode: 0o600, mtime: TIME + 2 }),
      { kind: "symlink", path: parsePath("d/link"), mtime: TIME + 3, target: "../nowhere at all" },
      fileEntry("d/run.sh", "echo hi", { mode: 0o755, mtime: TIME + 1 }),
    ]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() changes mode and time alone, of files, directories and links", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [directoryAction("d"), putAction("f", "x"), symlinkAction("l", "f")], ["x"]);
    const { needs } = await apply(receiver, [
      directoryAction("d", { mode: 0o700, mtime: TIME + 1 }),
      putAction("f", "x", { mode: 0o640, mtime: TIME + 2 }),
      symlinkAction("l", "f", TIME + 3),
    ]);
    assertEquals(needs, []);
    assertEquals((await entries(receiver)).map(({ mtime }) => mtime - TIME), [1, 2, 3]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract(
    "apply() never lets a file run as the receiver's user or group",
    async ({ receiver, directory }) => {
      await done(receiver, [putAction("f", "x", { mode: 0o6755 })], ["x"]);
      assertEquals(Deno.lstatSync(`${directory}/f`).mode! & 0o7777, 0o755);
    },
  );

  contract("apply() makes missing parents and keeps the declared times of directories", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [directoryAction("a", { mtime: TIME }), putAction("a/b/c/f", "x")], ["x"]);
    await done(receiver, [directoryAction("a/b", { mtime: TIME + 1 })]);
    await done(receiver, [putAction("a/g", "x"), putAction("a/b/h", "x"), removeAction("a/b/c")]);
    assertEquals((await receiver.entry(parsePath("a")))?.mtime, TIME);
    assertEquals((await receiver.entry(parsePath("a/b")))?.mtime, TIME + 1);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() does what it can, and gives a problem for what stands in the way", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [putAction("file", "x"), directoryAction("directory/sub")], ["x"]);
    await assertOutcomes(receiver, [
      [putAction("directory", "x"), "conflict"],
      [symlinkAction("directory", "x"), "conflict"],
      [directoryAction("file"), "conflict"],
      [putAction("file/below", "x"), "conflict"],
      [directoryAction("file/below"), "conflict"],
      [moveAction("file", "directory"), "conflict"],
      [moveAction("directory", "file"), "conflict"],
      [putAction("other", "x"), undefined],
    ]);
    assertEquals((await entries(receiver)).map(({ path, kind }) => `${kind} ${path}`), [
      "directory directory",
      "directory directory/sub",
      "file file",
      "file other",
    ]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() replaces a file by a link and a link by a file", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [putAction("a", "x"), symlinkAction("b", "a")], ["x"]);
    await done(receiver, [symlinkAction("a", "b"), putAction("b", "y")], ["y"]);
    assertEquals((await entries(receiver)).map(({ kind }) => kind), ["symlink", "file"]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() takes several puts of one path, the last one wins", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [putAction("a", "old")], ["old"]);
    await done(receiver, [putAction("a", "new"), putAction("a", "old")], ["new", "old"]);
    assertEquals(await receiver.entry(parsePath("a")), fileEntry("a", "old"));
    await assertTreeIsOnDisk(subject, grain);
    await done(receiver, [symlinkAction("a", "elsewhere"), putAction("a", "old")], ["old"]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() counts its changes, and the history has one record for each", async ({ receiver }) => {
    const { sequence } = await receiver.open();
    const { before, after } = await done(receiver, [
      directoryAction("d"),
      putAction("d/f", "x"),
      moveAction("d", "e"),
      removeAction("e"),
    ], ["x"]);
    assertEquals([before, after], [sequence, sequence + 4]);
    const records = await receiver.history({});
    assertEquals(records.map(({ what, path, from }) => [what, path, from]), [
      ["remove", "e", undefined],
      ["move", "e", "d"],
      ["put", "d/f", undefined],
      ["directory", "d", undefined],
    ]);
    assertEquals(records.map(({ sequence }) => sequence), [after, after - 1, after - 2, after - 3]);
    assertEquals([records[2].size, records[2].digest], [1, digestOf("x")]);
    assertEquals((await receiver.open()).sequence, after);
  });

  contract("apply() of what is there already changes and counts nothing", async ({ receiver }) => {
    const actions = [
      directoryAction("d"),
      putAction("d/f", "x"),
      symlinkAction("d/l", "f"),
      removeAction("no/such"),
    ];
    await done(receiver, actions, ["x"]);
    const again = await done(receiver, actions, ["x"]);
    assertEquals(again.after, again.before);
  });

  contract("apply() answers the same key from memory, after a restart too", async (subject) => {
    const batch = {
      key: crypto.randomUUID(),
      actions: [putAction("a", "x"), moveAction("a", "b")],
      contents: contentsOf(["x"]),
    };
    const first = await subject.receiver.apply(batch);
    assertEquals(first.results, [{ done: true }, { done: true }]);
    assertEquals(await subject.receiver.apply(batch), first);
    await subject.reopen();
    assertEquals(await subject.receiver.apply(batch), first);
    assertEquals((await entries(subject.receiver)).map(({ path }) => path), [parsePath("b")]);
  });

  contract("apply() refuses a key that was that of another batch, and does nothing", async ({ receiver }) => {
    const key = crypto.randomUUID();
    const apply = (actions: Action[]) => receiver.apply({ key, actions, contents: contentsOf(["x"]) });
    const first = await apply([putAction("a", "x")]);
    for (const others of [[], [putAction("b", "x")], [putAction("a", "x"), directoryAction("d")]]) {
      await assertFails(() => apply(others), "bad-request");
    }
    assertEquals(await apply([putAction("a", "x")]), first);
    assertEquals((await entries(receiver)).map(({ path }) => path), [parsePath("a")]);
  });

  contract("apply() tries a key again when something of it failed", async ({ receiver, directory }) => {
    const batch = { key: crypto.randomUUID(), actions: [putAction("a", "x")], contents: new Map() };
    assertEquals(codesOf(await receiver.apply(batch)), ["content-missing"]);
    await done(receiver, [putAction("b", "x")], ["x"]);
    assertEquals(codesOf(await receiver.apply(batch)), [undefined]);
    assertEquals(Deno.readTextFileSync(`${directory}/a`), "x");
  });

  contract("apply() puts content that stands elsewhere, without any bytes sent", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [putAction("a", "same"), putAction("none", "")], ["same", ""]);
    await done(receiver, [putAction("b/copy", "same", { mode: 0o600 }), putAction("b/none", "")]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() puts one content at many paths at once", async (subject) => {
    const { receiver } = subject;
    const large = noise(1, 300_000);
    const paths = ["a", "b", "c/d", "e"];
    await done(receiver, paths.map((path) => putAction(path, "x")), ["x"]);
    const { digest, chunks } = offerOf(large);
    await receiver.check([offerOf(large).offer]);
    await receiver.stage(chunks);
    const modes = [0o600, 0o640, 0o755, 0o444];
    await done(receiver, paths.map((path, i) => putAction(path, large, { mode: modes[i] })));
    const found = await entries(receiver);
    assertEquals(
      found.flatMap((entry) => entry.kind === "file" ? [[entry.mode, entry.digest]] : []),
      modes.map((mode) => [mode, digest]),
    );
    await assertTreeIsOnDisk(subject, grain);
  });

  contract(
    "apply() refuses content that is not what its digest says, the old file whole",
    async (subject) => {
      const { receiver, directory } = subject;
      await done(receiver, [putAction("a", "old")], ["old"]);
      const { sequence } = await receiver.open();
      const result = await receiver.apply({
        key: crypto.randomUUID(),
        actions: [putAction("a", "new"), putAction("b", "new")],
        contents: new Map([[digestOf("new"), bytesOf("not new")]]),
      });
      assertEquals(codesOf(result), ["digest-mismatch", "digest-mismatch"]);
      assertEquals(Deno.readTextFileSync(`${directory}/a`), "old");
      assertEquals((await entries(receiver)).map(({ path }) => path), [parsePath("a")]);
      assertEquals((await receiver.open()).sequence, sequence);
      await assertTreeIsOnDisk(subject, grain);
    },
  );

  contract("apply() refuses a size that is not that of the content, from wherever", async (subject) => {
    const { receiver } = subject;
    const part = noise(2, 200_000);
    await done(receiver, [putAction("a", "known")], ["known"]);
    await receiver.check([offerOf(part).offer]);
    await receiver.stage(offerOf(part).chunks);
    const lie = (content: Content) => ({ ...putAction("b", content), size: 3 });
    const { result } = await apply(receiver, [lie("sent"), lie("known"), lie(part)], ["sent"]);
    assertEquals(codesOf(result), ["digest-mismatch", "digest-mismatch", "digest-mismatch"]);
    // Nothing was forgotten because of it.
    await done(receiver, [putAction("c", "known"), putAction("d", part)]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() says when content is missing", async ({ receiver }) => {
    await assertOutcomes(receiver, [
      [putAction("a", "nowhere"), "content-missing"],
      [directoryAction("b"), undefined],
    ]);
    assertEquals(await receiver.entry(parsePath("a")), undefined);
  });

  contract("apply() moves a file over another, and a name to other case", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [putAction("readme", "1"), putAction("b", "2"), putAction("c", "3")], [
      "1",
      "2",
      "3",
    ]);
    await done(receiver, [moveAction("readme", "README"), moveAction("b", "c")]);
    assertEquals(await entries(receiver), [fileEntry("README", "1"), fileEntry("c", "2")]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() swaps two names by way of a third", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [putAction("a", "1"), directoryAction("b"), putAction("b/f", "2")], ["1", "2"]);
    await done(receiver, [moveAction("a", "third"), moveAction("b", "a"), moveAction("third", "b")]);
    assertEquals(
      (await entries(receiver)).map(({ path, kind }) => `${kind} ${path}`),
      ["directory a", "file a/f", "file b"],
    );
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() moves a directory with all below it, as one change, without content", async (subject) => {
    const { receiver } = subject;
    const names = ["f", "sub/g", "sub/deeper/h", "sub 😀/i", "sub-not"];
    await done(receiver, [
      directoryAction("old 😀", { mtime: TIME }),
      ...names.map((name) => putAction(`old 😀/${name}`, name)),
      putAction("old 😀!", "beside"),
    ], [...names, "beside"]);
    const { before, after } = await done(receiver, [moveAction("old 😀", "in/new")]);
    assertEquals(after, before + 1);
    assertEquals(
      (await entries(receiver)).filter(({ kind }) => kind === "file").map(({ path }) => path).sort(),
      [...names.map((name) => parsePath(`in/new/${name}`)), parsePath("old 😀!")].sort(),
    );
    assertEquals((await receiver.entry(parsePath("in/new")))?.mtime, TIME);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() cannot move what is not there, nor a directory into itself", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [putAction("d/f", "x"), putAction("g", "x")], ["x"]);
    await assertOutcomes(receiver, [
      [moveAction("nowhere", "somewhere/else"), "not-found"],
      [moveAction("d/nowhere", "g"), "not-found"],
      [moveAction("d", "d/e/f"), "conflict"],
      [moveAction("d/f", "d"), "conflict"],
      [moveAction("d", "d"), undefined],
      [moveAction("g", "g"), undefined],
    ]);
    assertEquals((await entries(receiver)).map(({ path }) => String(path)), ["d", "d/f", "g"]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() moves nothing so deep that it could not be told any more", async ({ receiver }) => {
    const [deep, deeper] = ["d/".repeat(300) + "f", "e/".repeat(250) + "e"];
    await done(receiver, [putAction(deep, "x")], ["x"]);
    await assertOutcomes(receiver, [[moveAction("d", deeper), "bad-path"]]);
    await done(receiver, [moveAction("d", "e")]);
    assertEquals((await entries(receiver)).length, 301);
  });

  contract("apply() removes a directory with all that it knows below it", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [
      putAction("d/e/f", "x"),
      symlinkAction("d/e/l", ".."),
      directoryAction("d/g"),
      putAction("d.txt", "x"),
      putAction("d0", "x"),
    ], ["x"]);
    const { before, after } = await done(receiver, [removeAction("d"), removeAction("d")]);
    assertEquals(after, before + 1);
    assertEquals((await entries(receiver)).map(({ path }) => String(path)), ["d.txt", "d0"]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() does not remove what it does not know", async ({ receiver, directory }) => {
    await done(receiver, [putAction("d/known", "x"), putAction("d/sub/known", "x")], ["x"]);
    Deno.writeTextFileSync(`${directory}/d/sub/mine`, "precious");
    Deno.writeTextFileSync(`${directory}/mine`, "precious");
    const problems = await assertOutcomes(receiver, [
      [removeAction("d"), "exists-unknown"],
      [removeAction("mine"), "exists-unknown"],
    ]);
    assert(problems[0].message.includes("d/sub/mine"), problems[0].message);
    assertEquals(Deno.readTextFileSync(`${directory}/d/sub/mine`), "precious");
    assertEquals(Deno.readTextFileSync(`${directory}/mine`), "precious");
    assertEquals([...Deno.readDirSync(`${directory}/d`)].map(({ name }) => name), ["sub"]);
    // What it met it looks at, sooner or later.
    const known = (await entries(receiver)).map(({ path }) => String(path));
    assertEquals(known.filter((path) => !path.endsWith("mine")), ["d", "d/sub"]);
  });

  contract("apply() does not remove what stands in place of something of another kind", async (subject) => {
    const { receiver, directory } = subject;
    await done(receiver, [putAction("d/f", "x"), putAction("g", "x")], ["x"]);
    Deno.removeSync(`${directory}/d`, { recursive: true });
    Deno.writeTextFileSync(`${directory}/d`, "precious");
    Deno.removeSync(`${directory}/g`);
    Deno.symlinkSync("precious", `${directory}/g`);
    await assertOutcomes(receiver, [
      [removeAction("d"), "exists-unknown"],
      [removeAction("g"), "exists-unknown"],
    ]);
    assertEquals(Deno.readTextFileSync(`${directory}/d`), "precious");
    assertEquals(Deno.readLinkSync(`${directory}/g`), "precious");
  });

  contract("apply() never copies content that was changed behind its back", async (subject) => {
    const { receiver, directory } = subject;
    for (const change of ["rewritten", "truncated", "removed", "replaced by a link"]) {
      await done(receiver, [putAction("a", `true ${change}`)], [`true ${change}`]);
      spoil(`${directory}/a`, change);
      const { result } = await apply(receiver, [putAction("b", `true ${change}`)]);
      assertEquals(codesOf(result), ["content-missing"], change);
      assertEquals(await receiver.entry(parsePath("b")), undefined);
      // It is asked for now, and can be sent; where a link leads, it is found again sooner or later.
      const [need] = await receiver.check([{ digest: digestOf(`true ${change}`), size: 99 }]);
      if (change !== "replaced by a link") assertEquals(need, "whole", change);
      await done(receiver, [putAction("b", `true ${change}`)], [`true ${change}`]);
      await eventually(() => assertTreeIsOnDisk(subject, grain));
      await done(receiver, [removeAction("b"), removeAction("a")]);
    }
  });

  forgetful("apply() never builds from parts that were changed behind its back", async (subject) => {
    const { receiver, directory } = subject;
    for (const change of ["rewritten", "truncated", "removed", "replaced by a link"]) {
      const donor = noise(change.length, 400_000);
      const wanted = joined(donor, noise(3, 100_000));
      await push(receiver, "donor", donor);
      spoil(`${directory}/donor`, change);
      const { rounds } = await push(receiver, "wanted", wanted);
      assertEquals(rounds, 2, change);
      assertEquals(Deno.readFileSync(`${directory}/wanted`), wanted);
      await eventually(() => assertTreeIsOnDisk(subject, grain));
      await done(receiver, [removeAction("wanted"), removeAction("donor")]);
    }
  });

  computing("apply() builds a file from parts of others and the chunks that were sent", async (subject) => {
    const { receiver } = subject;
    const old = noise(4, 1_000_000);
    const patch = noise(5, 100);
    const changed = joined(old.slice(0, 500_000), patch, old.slice(500_000));
    await push(receiver, "old", old);
    const { sent } = await push(receiver, "changed", changed);
    assertGreater(sent, patch.length);
    assertLess(sent, 200_000);
    await assertTreeIsOnDisk(subject, grain);
    // In place: what is read from must stay until the new file is whole.
    const again = await push(receiver, "old", joined(patch, old));
    assertLess(again.sent, 200_000);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("apply() works on batches that come at once one after the other", async (subject) => {
    const { receiver } = subject;
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, i) => done(receiver, [putAction(`d/${i}`, `${i}`)], [`${i}`])),
    );
    const spans = results.map(({ before, after }) => [before, after]).sort(([a], [b]) => a - b);
    for (const [i, [before]] of spans.entries()) if (i > 0) assertEquals(before, spans[i - 1][1]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract(
    "apply(), check(), stage() and stageRuns() refuse more items than they take",
    async ({ receiver }) => {
      const { maxBatchItems } = await receiver.open();
      const many = <T>(item: T) => Array.from({ length: maxBatchItems + 1 }, () => item);
      const chunk: Chunk = { digest: digestOf("x"), data: bytesOf("x") };
      await assertFails(() => receiver.check(many({ digest: chunk.digest, size: 1 })), "too-large");
      await assertFails(() => receiver.stage(many(chunk)), "too-large");
      const run = { content: chunk.digest, first: 0, data: chunk.data };
      await assertFails(() => receiver.stageRuns(many(run)), "too-large");
      await assertFails(() => apply(receiver, many(removeAction("x"))), "too-large");
      await receiver.check(many({ digest: chunk.digest, size: 1 }).slice(1));
    },
  );

  contract("apply() takes every name that Linux takes, and none twice", async (subject) => {
    const { receiver } = subject;
    const names = [
      "new\nline",
      `"quoted" 'name' \\ back`,
      "emoji 👩‍👩‍👧‍👦",
      "é".normalize("NFC"),
      "é".normalize("NFD"),
      " lead and trail ",
      "-rf *",
      "a?b#c&d=e%41+f",
      "%2e%2e",
      "...",
      "tab\tbell\x07",
      "con.",
      "\u202Eright to left",
      "x".repeat(255),
      "ä".repeat(127),
    ];
    await done(receiver, names.map((name) => putAction(`${name}/${name}`, name)), names);
    const files = (await entries(receiver)).filter(({ kind }) => kind === "file").map(({ path }) => path);
    assertEquals(files.sort(), names.map((name) => parsePath(`${name}/${name}`)).sort());
    for (const name of names) {
      const path = parsePath(`${name}/${name}`);
      assertEquals(await receiver.entry(path), fileEntry(path, name));
      assertEquals(await text(receiver, path), name);
      assertEquals((await receiver.history({ under: path })).length, 1);
    }
    await assertTreeIsOnDisk(subject, grain);
    await done(receiver, names.map((name, i) => moveAction(name, `moved ${i}`)));
    await assertTreeIsOnDisk(subject, grain);
    await done(receiver, names.map((_, i) => removeAction(`moved ${i}`)));
    assertEquals(await entries(receiver), []);
  });

  contract("apply() writes nothing outside through a link in the tree", async (subject) => {
    const { receiver, directory } = subject;
    const outside = Deno.makeTempDirSync();
    try {
      Deno.writeTextFileSync(`${outside}/victim`, "outside");
      Deno.mkdirSync(`${outside}/empty`);
      await done(receiver, [
        directoryAction("d/sub"),
        directoryAction("d/empty"),
        putAction("d/victim", "inside"),
        putAction("f", "inside"),
      ], ["inside"]);
      const through = ["link", "d"];
      await done(receiver, [symlinkAction("link", outside)]);
      // The receiver knows `d` as a directory; somebody swaps it for a link.
      Deno.renameSync(`${directory}/d`, `${directory}/aside`);
      Deno.symlinkSync(outside, `${directory}/d`);
      for (const link of through) {
        const { result } = await apply(receiver, [
          putAction(`${link}/new`, "inside"),
          putAction(`${link}/victim`, "inside", { mtime: TIME + 5 }),
          directoryAction(`${link}/made`),
          directoryAction(`${link}/empty`, { mode: 0o700 }),
          symlinkAction(`${link}/l`, "x"),
          moveAction("f", `${link}/moved`),
          moveAction(`${link}/victim`, "stolen"),
        ]);
        assert(result.results.every((one) => !one.done), JSON.stringify(result));
        // Through a link nothing stands, so nothing is left to be removed; but nothing is removed either.
        await apply(receiver, [removeAction(`${link}/victim`), removeAction(`${link}/empty`)]);
        await assertRejects(() => receiver.read(parsePath(`${link}/victim`)), FilesyncError);
      }
      assertEquals([...Deno.readDirSync(outside)].map(({ name }) => name).sort(), ["empty", "victim"]);
      assertEquals(Deno.readTextFileSync(`${outside}/victim`), "outside");
      assertNotEquals(Deno.lstatSync(`${outside}/empty`).mode! & 0o777, 0o700);
      await done(receiver, [removeAction("d"), removeAction("link")]);
      assertEquals(Deno.readTextFileSync(`${outside}/victim`), "outside");
    } finally {
      Deno.removeSync(outside, { recursive: true });
    }
  });

  contract("apply() leaves the tree as tree() tells it, whatever the batch", async (subject) => {
    const { receiver } = subject;
    const path = fc.constantFrom("a", "b", "c", "a/x", "a/y", "b/x", "a/x/deep");
    const content = fc.constantFrom("", "one", "two");
    const mtime = fc.constantFrom(TIME, TIME + 1);
    const mode = fc.constantFrom(0o644, 0o700);
    const action: fc.Arbitrary<Action> = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(path, content, mode, mtime).map(([p, c, m, t]) =>
          putAction(p, c, { mode: m, mtime: t })
        ),
      },
      fc.tuple(path, mtime).map(([p, t]) => directoryAction(p, { mtime: t })),
      fc.tuple(path, mtime).map(([p, t]) => symlinkAction(p, "a", t)),
      path.map(removeAction),
      { weight: 2, arbitrary: fc.tuple(path, path).map(([from, to]) => moveAction(from, to)) },
    );
    const batches = fc.array(
      fc.record({ actions: fc.array(action, { maxLength: 8 }), sent: fc.subarray(["", "one", "two"]) }),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(batches, async (batches) => {
        await done(receiver, ["a", "b", "c"].map(removeAction));
        for (const { actions, sent } of batches) {
          const { result: { before, after } } = await apply(receiver, actions, sent);
          await assertTreeIsOnDisk(subject, grain);
          const limit = Math.max(1, after - before);
          assertEquals(
            (await receiver.history({ limit })).filter((r) => r.sequence > before).length,
            after - before,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  contract("tree() gives everything once, parents before what they hold", async ({ receiver }) => {
    const expected = new Set<string>();
    for (const top of ["b", "a", "a-", "a.b", "ä", "Z", "z\n"]) {
      const names = Array.from({ length: 200 }, (_, i) => `${top}/${i % 7}/${i}`);
      await done(receiver, names.map((path) => putAction(path, "x")), ["x"]);
      for (const path of names) {
        for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
          expected.add(path.slice(0, at));
        }
        expected.add(path);
      }
    }
    const seen = new Set<string>();
    for await (const { path } of receiver.tree()) {
      assert(!seen.has(path), `${path} came twice`);
      const slash = path.lastIndexOf("/");
      if (slash > 0) assert(seen.has(path.slice(0, slash)), `${path} came before its directory`);
      seen.add(path);
    }
    assertEquals([...seen].sort(), [...expected].sort());
  });

  contract("entry() gives nothing for a path where nothing stands", async ({ receiver }) => {
    await done(receiver, [putAction("a", "x")], ["x"]);
    assertEquals(await receiver.entry(parsePath("b")), undefined);
    assertEquals(await receiver.entry(parsePath("a/b")), undefined);
  });

  contract(
    "history() gives the newest first, below a path, before a sequence, no more than asked",
    async ({ receiver }) => {
      const { after } = await done(receiver, [
        directoryAction("d"),
        putAction("d/f", "x"),
        putAction("d.txt", "x"),
        putAction("d/g", "y"),
        moveAction("d/f", "f"),
      ], ["x", "y"]);
      const told = async (query: Parameters<Receiver["history"]>[0]) =>
        (await receiver.history(query)).map(({ what, path, from }) =>
          [what, path, ...from ? [from] : []].join(" ")
        );
      assertEquals(await told({ limit: 2 }), ["move f d/f", "put d/g"]);
      assertEquals(await told({ limit: 2, before: after - 1 }), ["put d.txt", "put d/f"]);
      assertEquals(await told({ under: parsePath("d.txt") }), ["put d.txt"]);
      // What was moved out of a directory has changed it.
      assertEquals(await told({ under: parsePath("d") }), [
        "move f d/f",
        "put d/g",
        "put d/f",
        "directory d",
      ]);
      assertEquals(await told({ under: parsePath("d/f") }), ["move f d/f", "put d/f"]);
      assertEquals(await told({ under: parsePath("f") }), ["move f d/f"]);
      assertEquals(await told({ before: 1 }), []);
      assertEquals((await receiver.history({})).every(({ time }) => time > TIME), true);
    },
  );

  contract("read() gives a file, or the part asked for", async ({ receiver }) => {
    const content = noise(6, 600_000);
    await push(receiver, "big", content);
    await done(receiver, [putAction("empty", "")], [""]);
    const big = parsePath("big");
    const part = async (start: number, end: number) => await bytes(await receiver.read(big, { start, end }));
    assertEquals(await bytes(await receiver.read(big)), content);
    assertEquals(await part(0, 1), content.slice(0, 1));
    assertEquals(await part(299_999, 300_002), content.slice(299_999, 300_002));
    assertEquals(await part(1, 600_000), content.slice(1));
    assertEquals(await part(599_999, 9_999_999), content.slice(599_999));
    assertEquals(await text(receiver, parsePath("empty")), "");
    await assertFails(() => part(600_000, 600_001), "bad-range");
    await assertFails(() => part(5, 5), "bad-range");
    await assertFails(() => receiver.read(parsePath("nowhere")), "not-found");
    // Half read is no reason to keep it open.
    await (await receiver.read(big)).cancel();
  });

  contract("read() refuses directories and links", async ({ receiver }) => {
    await done(receiver, [directoryAction("d"), putAction("f", "x"), symlinkAction("l", "f")], ["x"]);
    await assertRejects(() => receiver.read(parsePath("d")), FilesyncError);
    await assertRejects(() => receiver.read(parsePath("l")), FilesyncError);
  });

  forgetful(
    "check() asks for each missing chunk once, and for nothing that is here",
    async ({ receiver }) => {
      const block = noise(7, 300_000);
      const { offer, chunks } = offerOf(block);
      const twice: ContentOffer = {
        digest: sha256(joined(block, block)),
        size: 600_000,
        manifest: [...offer.manifest!, ...offer.manifest!],
      };
      const all = chunks.map((_, i) => i);
      assertEquals(await receiver.check([]), []);
      assertEquals(await receiver.check([offer, offer, twice]), [all, all, all]);
      const whole = { digest: offer.digest, size: offer.size };
      assertEquals(await receiver.check([whole, offer]), ["whole", all]);
      await receiver.stage([chunks[0], chunks[2]]);
      assertEquals(await receiver.check([offer]), [all.filter((i) => i !== 0 && i !== 2)]);
      await receiver.stage(chunks);
      assertEquals(await receiver.check([offer, twice]), [[], []]);
      await done(receiver, [putAction("a", block)]);
      assertEquals(await receiver.check([offer, whole, twice]), ["nothing", "nothing", []]);
      await done(receiver, [{ ...putAction("b", "", {}), size: 600_000, digest: twice.digest }]);
      assertEquals(await bytes(await receiver.read(parsePath("b"))), joined(block, block));
      await done(receiver, [removeAction("a"), removeAction("b")]);
      assertEquals(await receiver.check([offer, whole]), [all, "whole"]);
    },
  );

  contract("check() goes by the manifest that was offered last", async ({ receiver, directory }) => {
    const content = noise(8, 200_000);
    const { offer, chunks } = offerOf(content);
    const wrong = { ...offer, manifest: [{ digest: digestOf("never sent"), length: content.length }] };
    await receiver.check([wrong]);
    await receiver.check([offer]);
    await receiver.stage(chunks);
    await done(receiver, [putAction("a", content)]);
    assertEquals(Deno.readFileSync(`${directory}/a`), content);
  });

  contract("stage() keeps chunks over a restart, and knows them when they come again", async (subject) => {
    const content = noise(9, 500_000);
    const { offer, chunks } = offerOf(content);
    await subject.receiver.check([offer]);
    await subject.receiver.stage(chunks.slice(0, 5));
    await subject.reopen();
    await subject.receiver.stage(chunks.slice(0, 5));
    const missing = chunks.map((_, i) => i).slice(5);
    assertEquals(await subject.receiver.check([offer]), [missing]);
    await subject.receiver.stage(chunks.slice(5));
    await subject.reopen();
    await done(subject.receiver, [putAction("a", content)]);
    assertEquals(Deno.readFileSync(`${subject.directory}/a`), content);
  });

  computing(
    "signatures() gives those of the ranges, for every content that is here",
    async ({ receiver }) => {
      const content = noise(11, 3_000_000);
      await done(receiver, [putAction("small", "x"), putAction("empty", "")], ["x", ""]);
      await push(receiver, "big", content);
      const ranges = [{ start: 2_000_001, end: 2_999_999 }, { start: 0, end: 700 }, { start: 9, end: 9 }];
      const signed = joined(
        signatureOf(content.slice(2_000_001, 2_999_999), 640),
        signatureOf(content.slice(0, 700), 640),
      );
      const x = { content: digestOf("x"), ranges: [{ start: 0, end: 1 }], blockSize: 64 };
      const answers = await receiver.signatures([
        { content: digestOf(content), ranges, blockSize: 640 },
        { content: digestOf("nowhere"), ranges, blockSize: 640 },
        x,
        { ...x, content: digestOf(""), ranges: [] },
        { ...x, content: digestOf(content), ranges: [{ start: 0, end: 3_000_000 }], blockSize: 1 << 20 },
      ]);
      assertEquals(answers, [
        signed,
        undefined,
        signatureOf(bytesOf("x"), 64),
        new Uint8Array(),
        signatureOf(content, 1 << 20),
      ]);
      assertEquals(await receiver.signatures([]), []);
    },
  );

  computing("signatures() refuses what cannot be, and more than it takes", async ({ receiver }) => {
    await done(receiver, [putAction("a", "abc")], ["abc"]);
    const { maxBatchItems } = await receiver.open();
    const request = (end: number, blockSize = 512, start = 0) => ({
      content: digestOf("abc"),
      ranges: [{ start, end }],
      blockSize,
    });
    const many = Array.from({ length: maxBatchItems + 1 }, () => ({ start: 0, end: 1 }));
    await assertFails(() => receiver.signatures([request(4)]), "bad-range");
    await assertFails(() => receiver.signatures([request(3, 0)]), "bad-request");
    await assertFails(() => receiver.signatures([request(3, 2 ** 40)]), "bad-request");
    await assertFails(() => receiver.signatures([request(MAX_SIGNED_BYTES), request(1)]), "too-large");
    await assertFails(() => receiver.signatures([{ ...request(3), ranges: many }]), "too-large");
    await assertFails(() => receiver.signatures(many.map(() => request(3))), "too-large");
    assertEquals(
      (await receiver.signatures([{ ...request(3), ranges: many.slice(1) }]))[0]!.length,
      maxBatchItems * 5,
    );
  });

  computing("signatures() has none of content that was changed behind its back", async (subject) => {
    const { receiver, directory } = subject;
    for (const change of ["truncated", "removed", "replaced by a link"]) {
      await done(receiver, [putAction("a", `true ${change}`)], [`true ${change}`]);
      const request = { content: digestOf(`true ${change}`), ranges: [{ start: 0, end: 9 }], blockSize: 512 };
      assertEquals((await receiver.signatures([request]))[0]?.length, 5, change);
      spoil(`${directory}/a`, change);
      assertEquals(await receiver.signatures([request]), [undefined], change);
      // Whoever else has it is asked in its place.
      await done(receiver, [putAction("b", `true ${change}`)], [`true ${change}`]);
      assertEquals((await receiver.signatures([request]))[0]?.length, 5, change);
      await done(receiver, [removeAction("b")]);
      await eventually(() => done(receiver, [removeAction("a")]).then(() => {}));
    }
  });

  contract("manifestGroups() and groupChunks() tell the chunks of a content", async ({ receiver }) => {
    const content = noise(12, 3_000_000);
    const { offer, digest } = offerOf(content);
    const packed = packManifest(offer.manifest!);
    await push(receiver, "big", content);
    const told = await receiver.manifestGroups({ digest });
    assertEquals(told, { digest, size: 3_000_000, groups: packGroups(groupsOf(packed)) });
    assertEquals(await receiver.manifestGroups({ path: parsePath("big") }), told);
    const all = groupsOf(packed).map((_, position) => position);
    const chunks = await receiver.groupChunks(digest, all);
    assertEquals(rebuildOutline(groupsOf(packed), new Uint8Array(), chunks!, 3_000_000), outlineOf(packed));
    assertEquals(await receiver.groupChunks(digest, []), new Uint8Array());

    await done(receiver, [putAction("empty", ""), directoryAction("d")], [""]);
    assertEquals((await receiver.manifestGroups({ path: parsePath("empty") }))?.groups, new Uint8Array());
    assertEquals(await receiver.manifestGroups({ path: parsePath("d") }), undefined);
    assertEquals(await receiver.manifestGroups({ path: parsePath("nowhere") }), undefined);
    assertEquals(await receiver.manifestGroups({ digest: digestOf("nowhere") }), undefined);
    assertEquals(await receiver.groupChunks(digestOf("nowhere"), [0]), undefined);
    const { maxBatchItems } = await receiver.open();
    await assertFails(() => receiver.groupChunks(digest, new Array(maxBatchItems + 1).fill(0)), "too-large");
  });

  contract("manifest() tells the chunks of a content", async ({ receiver }) => {
    const content = noise(20, 300_000);
    const { offer, digest } = offerOf(content);
    await push(receiver, "big", content);
    await done(receiver, [putAction("small", "x"), putAction("empty", "")], ["x", ""]);
    assertEquals(await receiver.manifest(digest), offer.manifest);
    assertEquals(await receiver.manifest(digestOf("x")), [{ digest: digestOf("x"), length: 1 }]);
    assertEquals(await receiver.manifest(digestOf("")), []);
    assertEquals(await receiver.manifest(digestOf("nowhere")), undefined);
  });

  contract("pieces() gives parts of contents, in the order of the ranges", async ({ receiver }) => {
    const content = noise(21, 300_000);
    await push(receiver, "big", content);
    await done(receiver, [putAction("small", "x"), putAction("empty", "")], ["x", ""]);
    const ranges = [{ start: 200_001, end: 300_000 }, { start: 0, end: 7 }, { start: 9, end: 9 }];
    assertEquals(
      await receiver.pieces([
        { content: digestOf(content), ranges },
        { content: digestOf("nowhere"), ranges },
        { content: digestOf("x"), ranges: [{ start: 0, end: 1 }] },
        { content: digestOf(""), ranges: [{ start: 0, end: 0 }] },
      ]),
      [joined(content.slice(200_001), content.slice(0, 7)), undefined, bytesOf("x"), bytesOf("")],
    );
    assertEquals(await receiver.pieces([]), []);
  });

  contract("pieces() refuses what cannot be, and more than it takes", async ({ receiver }) => {
    await done(receiver, [putAction("a", "abc")], ["abc"]);
    const { maxBatchBytes, maxBatchItems } = await receiver.open();
    const request = (end: number) => ({ content: digestOf("abc"), ranges: [{ start: 0, end }] });
    const many = Array.from({ length: maxBatchItems + 1 }, () => request(1));
    await assertFails(() => receiver.pieces([request(4)]), "bad-range");
    await assertFails(() => receiver.pieces([request(maxBatchBytes), request(1)]), "too-large");
    await assertFails(() => receiver.pieces(many), "too-large");
    assertEquals((await receiver.pieces(many.slice(1))).length, maxBatchItems);
  });

  contract("pieces() has none of content that was changed behind its back", async (subject) => {
    const { receiver, directory } = subject;
    for (const change of ["truncated", "removed", "replaced by a link"]) {
      await done(receiver, [putAction(change, `true ${change}`)], [`true ${change}`]);
      spoil(`${directory}/${change}`, change);
      const request = { content: digestOf(`true ${change}`), ranges: [{ start: 0, end: 2 }] };
      assertEquals(await receiver.pieces([request]), [undefined], change);
    }
  });

  contract("refresh() finds what was changed behind its back, and counts it", async (subject) => {
    const { receiver, directory } = subject;
    await done(receiver, [putAction("a", "x"), putAction("b", "y"), directoryAction("d")], ["x", "y"]);
    const { problems: none, ...before } = await receiver.refresh();
    assertEquals([none, before], [[], await receiver.open()]);
    assertNotEquals(before.rootId, "");
    Deno.writeTextFileSync(`${directory}/a`, "edited");
    Deno.removeSync(`${directory}/b`);
    Deno.mkdirSync(`${directory}/d/new`);
    const { problems, ...after } = await receiver.refresh();
    assertEquals([problems, after], [[], await receiver.open()]);
    assertGreater(after.sequence, before.sequence);
    assertEquals((await entries(receiver)).map(({ path }) => path as string), ["a", "d", "d/new"]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract("refresh() tells what it could not look at, and judges nothing of it", async (subject) => {
    const { receiver, directory } = subject;
    // Root may read everything, so it is a name that no path can have.
    await done(receiver, [putAction("d/f", "x")], ["x"]);
    Deno.mkdirSync(`${directory}/d/.FileSync`);
    const { problems } = await receiver.refresh();
    assertEquals(problems.map(({ path, code }) => [path, code]), [["d/.FileSync", "bad-path"]]);
    assertEquals((await entries(receiver)).map(({ path }) => path as string), ["d", "d/f"]);
  });

  contract("refresh() is shared by those who ask at the same time", async ({ receiver }) => {
    const all = await Promise.all(Array.from({ length: 20 }, () => receiver.refresh()));
    for (const info of all) assertEquals(info, all[0]);
  });

  contract("apply() does what it should where it finds what it expects", async (subject) => {
    const { receiver } = subject;
    await done(receiver, [
      putAction("f", "old"),
      symlinkAction("l", "f"),
      directoryAction("d"),
      putAction("d/in", "in"),
      putAction("g", "gone"),
      putAction("m", "moved"),
    ], ["old", "in", "gone", "moved"]);
    const actions = [
      expecting(putAction("f", "new"), fileEntry("f", "old")),
      expecting(putAction("n", "new"), undefined),
      expecting(symlinkAction("l", "n"), symlinkEntry("l", "f")),
      expecting(moveAction("m", "e/m"), fileEntry("m", "moved")),
      expecting(removeAction("g"), fileEntry("g", "gone")),
      expecting(removeAction("d/in"), fileEntry("d/in", "in")),
      expecting(removeAction("d"), directoryEntry("d")),
      expecting(directoryAction("d2"), undefined),
    ];
    await done(receiver, actions, ["new"]);
    assertEquals((await entries(receiver)).map(({ path }) => path as string), [
      "d2",
      "e",
      "e/m",
      "f",
      "l",
      "n",
    ]);
    await assertTreeIsOnDisk(subject, grain);
    // Done already is as good: the answer may have been lost. A move cannot be told from another one.
    const again = actions.filter(({ type }) => type !== "move");
    const { before, after } = await done(receiver, again, ["new"]);
    assertEquals(after, before);
  });

  contract(
    "apply() leaves alone what is not what it expects, on the disk or in the index",
    async (subject) => {
      const { receiver, directory } = subject;
      await done(receiver, [
        putAction("edited", "old"),
        putAction("racy", "old"),
        putAction("gone", "old"),
        putAction("kept", "kept"),
        symlinkAction("link", "kept"),
        directoryAction("full"),
      ], ["old", "kept"]);
      Deno.writeTextFileSync(`${directory}/edited`, "edited by somebody");
      // Of the same length, and as fast as can be.
      Deno.writeTextFileSync(`${directory}/racy`, "OLD");
      Deno.removeSync(`${directory}/gone`);
      Deno.writeTextFileSync(`${directory}/appeared`, "somebody's");
      Deno.removeSync(`${directory}/link`);
      Deno.symlinkSync("edited", `${directory}/link`);
      Deno.writeTextFileSync(`${directory}/full/f`, "somebody's");
      await assertOutcomesWith(receiver, ["new"], [
        [expecting(putAction("edited", "new"), fileEntry("edited", "old")), "conflict"],
        [expecting(removeAction("edited"), fileEntry("edited", "old")), "conflict"],
        [expecting(moveAction("edited", "to"), fileEntry("edited", "old")), "conflict"],
        [expecting(putAction("racy", "new"), fileEntry("racy", "old")), "conflict"],
        [expecting(putAction("gone", "new"), fileEntry("gone", "old")), "conflict"],
        [expecting(putAction("appeared", "new"), undefined), "conflict"],
        [expecting(symlinkAction("appeared", "new"), undefined), "conflict"],
        [expecting(directoryAction("appeared"), undefined), "conflict"],
        [expecting(moveAction("kept", "appeared"), fileEntry("kept", "kept")), "conflict"],
        [expecting(symlinkAction("link", "new"), symlinkEntry("link", "kept")), "conflict"],
        [expecting(removeAction("link"), symlinkEntry("link", "kept")), "conflict"],
        [expecting(removeAction("full"), directoryEntry("full")), "conflict"],
        [expecting(removeAction("full"), fileEntry("full", "x")), "conflict"],
        [expecting(putAction("kept", "new"), fileEntry("kept", "other")), "conflict"],
      ]);
      await receiver.refresh();
      await assertTreeIsOnDisk(subject, grain);
      const now = (path: string) => Deno.readTextFileSync(`${directory}/${path}`);
      assertEquals(["edited", "racy", "appeared", "full/f", "kept"].map(now), [
        "edited by somebody",
        "OLD",
        "somebody's",
        "somebody's",
        "kept",
      ]);
    },
  );

  contract("apply() replaces what was put a moment ago, as what it is", async ({ receiver }) => {
    // Its time is now: a look cannot tell that nobody has written to it since.
    const mtime = systemClock.now();
    for (let i = 0; i < 3; i++) {
      const before = i === 0 ? undefined : fileEntry("a", String(i - 1));
      await done(receiver, [expecting(putAction("a", String(i), { mtime }), before)], [String(i)]);
    }
  });

  computing("apply() makes content from a delta, in place, elsewhere, at many paths", async (subject) => {
    const { receiver, directory } = subject;
    const old = noise(13, 5_000_000);
    const edits = [
      joined(noise(14, 10), old),
      joined(old.slice(4_000_000), noise(15, 100_000), old.slice(0, 4_000_000)),
      old.slice(100, 3_000),
      joined(old, old),
      new Uint8Array(),
    ];
    for (const now of edits) {
      await push(receiver, "old", old);
      const paths = ["copy", "other/copy", "old"];
      const actions = paths.map((path) => putAction(path, now));
      const { results } = await applyDelta(receiver, actions, now, await deltaOf(receiver, old, now));
      assertEquals(results, actions.map(() => ({ done: true as const })));
      for (const path of paths) {
        assertEquals(sha256(Deno.readFileSync(`${directory}/${path}`)), digestOf(now));
      }
      await assertTreeIsOnDisk(subject, grain);
      // Its chunks are known, as if they had been sent.
      const told = await receiver.manifestGroups({ digest: digestOf(now) });
      const manifest = packManifest(offerOf(now).offer.manifest!);
      if (now.length > 1 << 20) assertEquals(told?.groups, packGroups(groupsOf(manifest)));
    }
  });

  forgetful("apply() of a delta asks for the content when its base has changed", async (subject) => {
    const { receiver, directory } = subject;
    for (const change of ["rewritten", "truncated", "removed", "replaced by a link"]) {
      const old = noise(16 + change.length, 200_000);
      const now = joined(noise(17, 10), old);
      await push(receiver, "old", old);
      const delta = await deltaOf(receiver, old, now);
      spoil(`${directory}/old`, change);
      const actions = [putAction("new", now), putAction("other", now)];
      const result = await applyDelta(receiver, actions, now, delta);
      assertEquals(codesOf(result), ["content-missing", "content-missing"], change);
      assertEquals(await receiver.entry(parsePath("new")), undefined);
      await push(receiver, "new", now);
      await eventually(() => assertTreeIsOnDisk(subject, grain));
      await done(receiver, [removeAction("new"), removeAction("old")]);
    }
    const delta = new DeltaBuilder();
    delta.copy(0, 1);
    const nowhere = delta.encode(digestOf("nowhere"));
    const result = await applyDelta(receiver, [putAction("a", "n")], bytesOf("n"), nowhere);
    assertEquals(codesOf(result), ["content-missing"]);
  });

  computing("apply() refuses deltas that make something else, the old file whole", async (subject) => {
    const { receiver, directory } = subject;
    const [old, now] = [noise(18, 10_000), noise(19, 10_000)];
    const delta = (start: number, literal: number) => {
      const builder = new DeltaBuilder();
      builder.copy(start, 5_000);
      builder.literal(now.slice(0, literal));
      return builder.encode(digestOf(old));
    };
    const cases: [Uint8Array<ArrayBuffer>, ErrorCode][] = [
      [delta(0, 5_000), "content-missing"],
      [delta(5_001, 5_000), "content-missing"],
      [delta(0, 4_999), "digest-mismatch"],
      [delta(0, 5_000).slice(0, -1), "bad-request"],
      [new Uint8Array(), "bad-request"],
    ];
    for (const [encoded, code] of cases) {
      await done(receiver, [putAction("a", old)], [old]);
      const result = await applyDelta(receiver, [putAction("a", now), directoryAction("d")], now, encoded);
      assertEquals(codesOf(result), [code, undefined]);
      assertEquals(Deno.readFileSync(`${directory}/a`), old);
    }
    await eventually(() => assertTreeIsOnDisk(subject, grain));
  });

  contract("stageRuns() keeps chunks over a restart, and put() completes the file", async (subject) => {
    const content = joined(noise(20, 300_000), new Uint8Array(200_000), noise(21, 300_000));
    const { digest, offer, chunks } = offerOf(content);
    assertEquals(await subject.receiver.check([offer]), [distinct(chunks)]);
    await subject.receiver.stageRuns([runOf(content, 3, 6), runOf(content, 0, 1)]);
    await subject.receiver.stageRuns([runOf(content, 4, 7)]);
    await subject.reopen();
    const { receiver, directory } = subject;
    const missing = distinct(chunks).filter((at) => at > 6 || at === 1 || at === 2);
    assertEquals(await receiver.check([offer]), [missing]);
    assertEquals((await apply(receiver, [putAction("a", content)])).needs, ["content-missing"]);
    // What arrived is still there, and what is alike was asked for once.
    assertEquals(await receiver.check([offer]), [missing]);
    await receiver.stageRuns(missing.map((at) => runOf(content, at, at + 1)));
    await done(receiver, [putAction("a", content), putAction("b", content)]);
    assertEquals(sha256(Deno.readFileSync(`${directory}/b`)), digest);
    await assertTreeIsOnDisk(subject, grain);
    assertEquals(stateFiles(subject), []);
  });

  computing("stageRuns() fills what is missing from other files of the tree", async (subject) => {
    const { receiver } = subject;
    const donor = noise(22, 600_000);
    const content = joined(noise(23, 400_000), donor, noise(24, 10_000));
    await push(receiver, "donor", donor);
    const { offer } = offerOf(content);
    const [need] = await receiver.check([offer]) as number[][];
    assertLess(need.length, offer.manifest!.length / 2 + 4);
    await receiver.stageRuns(need.map((at) => runOf(content, at, at + 1)));
    await done(receiver, [putAction("a", content)]);
    await assertTreeIsOnDisk(subject, grain);
  });

  contract(
    "stageRuns() refuses what is not chunks of an offered content, and keeps none of it",
    async (subject) => {
      const { receiver } = subject;
      const content = noise(25, 400_000);
      const { digest, offer, chunks } = offerOf(content);
      await assertFails(() => receiver.stageRuns([runOf(content, 0, 1)]), "content-missing");
      await receiver.check([offer]);
      const first = runOf(content, 0, 2);
      const wrong = { ...first, data: first.data.map((byte, i) => i === 5 ? byte ^ 1 : byte) };
      await assertFails(() => receiver.stageRuns([runOf(content, 2, 4), wrong]), "digest-mismatch");
      const cut = { ...first, data: first.data.slice(0, -1) };
      await assertFails(() => receiver.stageRuns([runOf(content, 2, 4), cut]), "bad-request");
      const beyond = { content: digest, first: chunks.length, data: first.data };
      await assertFails(() => receiver.stageRuns([beyond]), "bad-request");
      assertEquals(await receiver.check([offer]), [chunks.map((_, at) => at)]);
      await receiver.stageRuns([]);
    },
  );

  contract("stageRuns() and put() are not deceived by a manifest that lies", async (subject) => {
    const { receiver, directory } = subject;
    const [content, other] = [noise(26, 400_000), noise(27, 400_000)];
    const [honest, strange] = [offerOf(content), offerOf(other)];
    // All chunks are what they are said to be, and make another content than is said.
    const lie = { ...honest.offer, manifest: strange.offer.manifest };
    await receiver.check([lie]);
    await receiver.stageRuns([{ ...runOf(other, 0, strange.chunks.length), content: honest.digest }]);
    assertEquals((await apply(receiver, [putAction("a", content)])).needs, ["content-missing"]);
    assertEquals(await receiver.entry(parsePath("a")), undefined);
    // Nothing of it was believed: neither content is taken to be there, nor any chunk of them.
    assertEquals(await receiver.check([lie]), [strange.chunks.map((_, at) => at)]);
    assertEquals(await receiver.check([honest.offer]), [honest.chunks.map((_, at) => at)]);
    // What arrived by one manifest does not count for another.
    await receiver.check([lie]);
    await receiver.stageRuns([{ ...runOf(other, 0, 3), content: honest.digest }]);
    assertEquals(await receiver.check([honest.offer]), [honest.chunks.map((_, at) => at)]);
    await receiver.stageRuns([runOf(content, 0, honest.chunks.length)]);
    await done(receiver, [putAction("a", content)]);
    assertEquals(Deno.readFileSync(`${directory}/a`), content);
    assertEquals(await receiver.check([strange.offer]), [strange.chunks.map((_, at) => at)]);
    await assertTreeIsOnDisk(subject, grain);
  });

  computing(
    "apply() starts a file anew when what arrived of it was changed behind its back",
    async (subject) => {
      const { receiver } = subject;
      const content = noise(28, 400_000);
      const { offer, chunks } = offerOf(content);
      const all = runOf(content, 0, chunks.length);
      await receiver.check([offer]);
      await receiver.stageRuns([all]);
      const [name] = stateFiles(subject);
      {
        using file = Deno.openSync(`${stateOf(subject)}/tmp/${name}`, { write: true });
        file.writeSync(bytesOf("something else"));
      }
      assertEquals((await apply(receiver, [putAction("a", content)])).needs, ["content-missing"]);
      assertEquals(stateFiles(subject), []);
      assertEquals(await receiver.check([offer]), [chunks.map((_, at) => at)]);
      await receiver.stageRuns([all]);
      await done(receiver, [putAction("a", content)]);
      await assertTreeIsOnDisk(subject, grain);
    },
  );

  contract("stage() keeps none when one is not what its digest says", async ({ receiver }) => {
    const { offer, chunks } = offerOf(noise(10, 200_000));
    const wrong = { digest: chunks[1].digest, data: bytesOf("something else") };
    await assertFails(() => receiver.stage([chunks[0], wrong, chunks[2]]), "digest-mismatch");
    assertEquals(await receiver.check([offer]), [chunks.map((_, i) => i)]);
    await receiver.stage([]);
  });
}

// Actions and content

interface Attributes {
  mode?: number;
  mtime?: number;
}

function putAction(
  path: string,
  content: Content,
  { mode = 0o644, mtime = TIME }: Attributes = {},
): PutAction {
  const { length } = bytesOf(content);
  return { type: "put", path: parsePath(path), size: length, mtime, mode, digest: digestOf(content) };
}

function directoryAction(path: string, { mode = 0o755, mtime = TIME }: Attributes = {}): Action {
  return { type: "directory", path: parsePath(path), mtime, mode };
}

function symlinkAction(path: string, target: string, mtime = TIME): Action {
  return { type: "symlink", path: parsePath(path), mtime, target };
}

function removeAction(path: string): Action {
  return { type: "remove", path: parsePath(path) };
}

function moveAction(from: string, path: string): Action {
  return { type: "move", from: parsePath(from), path: parsePath(path) };
}

function directoryEntry(path: string): Entry {
  return { kind: "directory", path: parsePath(path), mode: 0o755, mtime: TIME };
}

function symlinkEntry(path: string, target: string): Entry {
  return { kind: "symlink", path: parsePath(path), mtime: TIME, target };
}

/** The action, to be done only while `entry`, or nothing, stands where it is to be done. */
function expecting(action: Action, entry: Entry | undefined): Action {
  return { ...action, expected: expectationOf(entry) };
}

function fileEntry(path: string, content: Content, attributes?: Attributes): Entry {
  const { type: _, ...rest } = putAction(path, content, attributes);
  return { kind: "file", ...rest };
}

function bytesOf(content: Content): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
}

function digestOf(content: Content): Digest {
  return sha256(bytesOf(content));
}

function contentsOf(contents: readonly Content[]): Map<Digest, Uint8Array<ArrayBuffer>> {
  return new Map(contents.map((content) => [digestOf(content), bytesOf(content)]));
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** The same incompressible bytes for the same seed: xorshift32 of G. Marsaglia, "Xorshift RNGs", 2003. */
function noise(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed + 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    words[i] = state ^= state << 5;
  }
  return new Uint8Array(words.buffer).slice(0, length);
}

/** What a client offers of `content`, and the chunks it would stage. */
function offerOf(content: Uint8Array): { digest: Digest; offer: ContentOffer; chunks: Chunk[] } {
  const { digest, size, packedManifest } = describeBytes(content, DEFAULT_CHUNKING);
  const manifest = unpackManifest(packedManifest);
  let start = 0;
  const chunks = manifest.map((chunk): Chunk => ({
    digest: chunk.digest,
    data: new Uint8Array(content.subarray(start, start += chunk.length)),
  }));
  return { digest, offer: { digest, size, manifest }, chunks };
}

/** The chunks of `content` from one position in its manifest to before another. */
function runOf(content: Uint8Array, first: number, end: number): ChunkRun {
  const { digest, chunks } = offerOf(content);
  return { content: digest, first, data: joined(...chunks.slice(first, end).map(({ data }) => data)) };
}

/** The positions of chunks, of those that are alike only the first. */
function distinct(chunks: readonly Chunk[]): number[] {
  const seen = new Set<Digest>();
  return chunks.flatMap(({ digest }, at) => seen.has(digest) ? [] : (seen.add(digest), [at]));
}

/** The names of the files in the making. */
function stateFiles(subject: ReceiverSubject): string[] {
  return [...Deno.readDirSync(`${stateOf(subject)}/tmp`)].map(({ name }) => name);
}

function stateOf({ directory, state = `${directory}/${STATE_DIRECTORY}` }: ReceiverSubject): string {
  return state;
}

/** Changes a file behind the receiver's back so that a look at its size and time does not show it, where that can be. */
function spoil(path: string, change: string): void {
  const { mtime, size } = Deno.lstatSync(path);
  switch (change) {
    case "rewritten":
      Deno.writeFileSync(path, new Uint8Array(size).fill(33));
      return Deno.utimeSync(path, mtime!, mtime!);
    case "truncated":
      Deno.truncateSync(path, 3);
      return Deno.utimeSync(path, mtime!, mtime!);
    case "removed":
      return Deno.removeSync(path);
    case "replaced by a link":
      Deno.renameSync(path, `${path}.real`);
      Deno.symlinkSync(`${path}.real`, path);
      return;
  }
}

// Doing

async function apply(receiver: Receiver, actions: Action[], sent: readonly Content[] = []) {
  const result = await receiver.apply({ key: crypto.randomUUID(), actions, contents: contentsOf(sent) });
  assertEquals(result.results.length, actions.length);
  return { result, needs: codesOf(result).filter((code) => code !== undefined) };
}

/** Applies actions all of which must succeed. */
async function done(receiver: Receiver, actions: Action[], sent?: readonly Content[]): Promise<BatchResult> {
  const { result } = await apply(receiver, actions, sent);
  assertEquals(result.results, actions.map(() => ({ done: true as const })));
  return result;
}

/** Brings a file over as a client does: offers, stages what is missing and puts, again as long as content is missing. */
async function push(receiver: Receiver, path: string, content: Uint8Array) {
  const { offer, chunks } = offerOf(content);
  let sent = 0;
  for (let rounds = 1; rounds <= 5; rounds++) {
    const [need] = await receiver.check([offer]);
    const missing = Array.isArray(need) ? need.map((at) => chunks[at]) : [];
    await receiver.stage(missing);
    for (const { data } of missing) sent += data.length;
    const { needs } = await apply(receiver, [putAction(path, content)]);
    if (needs.length === 0) return { sent, rounds };
    assertEquals(needs, ["content-missing"]);
  }
  fail(`"${path}" did not arrive however often it was offered`);
}

/** The delta that makes `now` from `old`, by signatures that the receiver gives; as a client makes it. */
async function deltaOf(receiver: Receiver, old: Uint8Array, now: Uint8Array) {
  const segments = wholeRegion(old.length, now.length);
  const [blockSize, ranges, content] = [512, rangesToSign(segments), digestOf(old)];
  const [signature] = await receiver.signatures([{ content, ranges, blockSize }]);
  const read = (start: number, end: number) => now.subarray(start, end);
  const delta = await composeDelta({ segments, signature: signature!, blockSize, read, most: Infinity });
  return delta!.encode(content);
}

/** Applies actions with `delta`, which makes `now`. */
function applyDelta(receiver: Receiver, actions: Action[], now: Uint8Array, delta: Uint8Array<ArrayBuffer>) {
  const deltas = new Map([[digestOf(now), delta]]);
  return receiver.apply({ key: crypto.randomUUID(), actions, contents: new Map(), deltas });
}

function codesOf({ results }: BatchResult): (ErrorCode | undefined)[] {
  return results.map((result) => result.done ? undefined : result.problem.code);
}

async function bytes(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  return await new Response(stream).bytes();
}

async function text(receiver: Receiver, path: string): Promise<string> {
  return await new Response(await receiver.read(parsePath(path))).text();
}

async function entries(receiver: Receiver): Promise<Entry[]> {
  return await Array.fromAsync(receiver.tree());
}

// Judging

/** Applies actions, each with the code of the problem that it must have, or `undefined`; gives the problems. */
function assertOutcomes(receiver: Receiver, expected: [Action, ErrorCode | undefined][]) {
  return assertOutcomesWith(receiver, [], expected);
}

/** Like {@linkcode assertOutcomes}, with content sent along. */
async function assertOutcomesWith(
  receiver: Receiver,
  sent: readonly Content[],
  expected: [Action, ErrorCode | undefined][],
) {
  const { result } = await apply(receiver, expected.map(([action]) => action), sent);
  assertEquals(codesOf(result), expected.map(([, code]) => code));
  return result.results.flatMap((one) => one.done ? [] : [one.problem]);
}

async function assertFails(act: () => Promise<unknown>, code: ErrorCode): Promise<void> {
  const error = await assertRejects(act, FilesyncError);
  assertEquals((error as FilesyncError).code, code);
}

/** The receiver knows exactly what stands on the disk, times as far as `grain` milliseconds. */
async function assertTreeIsOnDisk({ receiver, directory }: ReceiverSubject, grain: number): Promise<void> {
  const grained = (entry: Entry): [string, Entry] => [
    entry.path,
    { ...entry, mtime: Math.floor(entry.mtime / grain) * grain },
  ];
  const told = new Map((await entries(receiver)).map(grained));
  const standing = new Map([...walk(directory)].map(grained));
  assertEquals(told, standing);
}

function* walk(directory: string, prefix = ""): Generator<Entry> {
  for (const { name } of Deno.readDirSync(`${directory}/${prefix}`)) {
    if (prefix === "" && name === STATE_DIRECTORY) continue;
    const path = parsePath(prefix + name);
    const native = `${directory}/${path}`;
    const info = Deno.lstatSync(native);
    const mtime = info.mtime!.getTime();
    const mode = info.mode! & 0o7777;
    if (info.isDirectory) {
      yield { kind: "directory", path, mtime, mode };
      yield* walk(directory, `${path}/`);
    } else if (info.isSymlink) yield { kind: "symlink", path, mtime, target: Deno.readLinkSync(native) };
    else {yield {
        kind: "file",
        path,
        size: info.size,
        mtime,
        mode,
        digest: sha256(Deno.readFileSync(native)),
      };}
  }
}

/** Waits until `check` throws no longer. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (const start = performance.now();;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() - start > DEADLINE_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
