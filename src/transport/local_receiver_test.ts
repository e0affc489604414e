import { assert, assertEquals, assertLess, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import { existsSync } from "@std/fs";
import { randomBytes } from "../../tests/support/bytes.ts";
import { openFilesIn } from "../../tests/support/open_files.ts";
import { openSubject, serveTree } from "../../tests/support/subjects.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { assertSameTree, file, makeTree, snapshotTree, treeText } from "../../tests/support/trees.ts";
import type { Action } from "../core/action.ts";
import { systemClock } from "../core/clock.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { parentOf, parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import { problemResponse } from "../server/problem_document.ts";
import { LocalReceiver } from "./local_receiver.ts";
import type { Receiver } from "./receiver.ts";
import { receiverContract } from "./receiver_contract.ts";

receiverContract("LocalReceiver", () => openSubject((local) => local));
receiverContract("LocalReceiver without fsync", () => openSubject((local) => local, { fsync: false }));
receiverContract(
  "LocalReceiver that keeps versions",
  () => openSubject((local) => local, { keep: { retention: { count: 3 } } }),
  { keeps: true },
);

const OLD = Date.UTC(2024, 0, 1, 0, 0, 0, 5);

/** A tree of `count` small files, `perDirectory` in each directory. */
function manyFiles(directory: string, count: number, perDirectory = 100): void {
  for (let i = 0; i < count; i++) {
    const parent = `${directory}/d${Math.floor(i / perDirectory)}`;
    if (i % perDirectory === 0) Deno.mkdirSync(parent, { recursive: true });
    Deno.writeTextFileSync(`${parent}/${i}`, `file ${i}`);
    Deno.utimeSync(`${parent}/${i}`, new Date(OLD), new Date(OLD));
  }
}

async function put(receiver: Receiver, path: string, content: Uint8Array<ArrayBuffer>) {
  const digest = sha256(content);
  const action: Action = {
    type: "put",
    path: parsePath(path),
    size: content.length,
    mtime: OLD,
    mode: 0o644,
    digest,
  };
  const { results: [result] } = await receiver.apply({
    key: crypto.randomUUID(),
    actions: [action],
    contents: new Map([[digest, content]]),
  });
  return result;
}

Deno.test("LocalReceiver answers `indexing` while the tree is read", async () => {
  using temp = new TempDirectory();
  manyFiles(temp.path, 300);
  const seen: number[] = [];
  const impatient = { now: systemClock.now, sleep: () => Promise.resolve() };
  await using receiver = new LocalReceiver(temp.path, {
    clock: impatient,
    onProgress: (progress) => seen.push(progress.seen),
  });
  const questions: (() => Promise<unknown>)[] = [
    () => receiver.open(),
    () => Array.fromAsync(receiver.tree()),
    () => receiver.entry(parsePath("d0")),
    () => receiver.check([]),
    () => receiver.stage([]),
    () => receiver.apply({ key: "12345678", actions: [], contents: new Map() }),
    () => receiver.read(parsePath("d0/0")),
    () => receiver.history({}),
  ];
  for (const ask of questions) {
    const { code, permanent, retryAfter } = await assertRejects(ask, FilesyncError) as FilesyncError;
    assertEquals([code, permanent, retryAfter], ["indexing", false, 1_000]);
  }
  const { read, problems } = await receiver.ready;
  assertEquals([read, problems], [300, []]);
  assertEquals(seen.at(-1), 303);
  assertEquals((await Array.fromAsync(receiver.tree())).length, 303);
});

Deno.test("open() waits a little for the index instead of sending the client away", async () => {
  using temp = new TempDirectory();
  manyFiles(temp.path, 20);
  const patient = { now: systemClock.now, sleep: () => new Promise<void>(() => {}) };
  await using receiver = new LocalReceiver(temp.path, { clock: patient });
  await receiver.open();
  assertEquals((await Array.fromAsync(receiver.tree())).length, 21);
});

Deno.test("LocalReceiver refuses a directory that is served already, and leaves the first one alone", async () => {
  using temp = new TempDirectory();
  const first = new LocalReceiver(temp.path, { clock: systemClock });
  await first.ready;
  const error = assertThrows(() => new LocalReceiver(temp.path, { clock: systemClock }), FilesyncError);
  assertEquals([(error as FilesyncError).code, (error as FilesyncError).permanent], ["locked", true]);
  assertEquals(await put(first, "a", randomBytes(1, 10)), { done: true });
  await first.close();
  await using second = new LocalReceiver(temp.path, { clock: systemClock });
  await second.ready;
  assertEquals((await Array.fromAsync(second.tree())).length, 1);
});

Deno.test("LocalReceiver says what is wrong with a directory that it cannot take", () => {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/file`, "");
  for (const [name, code] of [["missing", "not-found"], ["file", "conflict"]] as const) {
    const error = assertThrows(
      () => new LocalReceiver(`${temp.path}/${name}`, { clock: systemClock }),
      FilesyncError,
    );
    assertEquals((error as FilesyncError).code, code);
    assert((error as FilesyncError).hint !== undefined);
  }
});

Deno.test("LocalReceiver finds at its start what was changed behind its back", async () => {
  using temp = new TempDirectory();
  makeTree(temp.path, {
    kept: file("kept", { mtime: OLD }),
    changed: file("before", { mtime: OLD }),
    removed: file("removed", { mtime: OLD }),
    d: { moved: file("moved", { mtime: OLD }) },
  });
  {
    await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
    assertEquals((await receiver.ready).read, 4);
    assertEquals(await receiver.history({}), [], "the first look is no history");
  }
  Deno.writeTextFileSync(`${temp.path}/changed`, "beyond");
  Deno.utimeSync(`${temp.path}/changed`, new Date(OLD), new Date(OLD + 1));
  Deno.removeSync(`${temp.path}/removed`);
  Deno.renameSync(`${temp.path}/d/moved`, `${temp.path}/moved`);
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  const { read, removed } = await receiver.ready;
  assertEquals([read, removed], [2, 2]);
  const found = await receiver.history({});
  assertEquals(
    found.map(({ what, path }) => `${what} ${path}`).filter((line) => line !== "found d").sort(),
    ["found changed", "found moved", "found-gone d/moved", "found-gone removed"],
  );
  const changed = await receiver.entry(parsePath("changed"));
  assertEquals(changed?.kind === "file" && changed.digest, sha256(new TextEncoder().encode("beyond")));
});

Deno.test("LocalReceiver removes what an earlier run left half written", async () => {
  using temp = new TempDirectory();
  makeTree(temp.path, { ".filesync": { tmp: { "left over": "half a fi", another: "" } }, a: "a" });
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  assertEquals([...Deno.readDirSync(`${temp.path}/.filesync/tmp`)], []);
  assertEquals(await treeText(temp.path), 'a "a"');
});

Deno.test("LocalReceiver brings to the disk what one that was killed did, before that is taken for done", async () => {
  using temp = new TempDirectory();
  const trees = ["killed", "as it left it"].map((name) => temp.directory(name));
  await using killed = new LocalReceiver(trees[0], { clock: systemClock });
  if (!killed.root.canSyncFileSystem) return;
  await killed.ready;
  await put(killed, "a", randomBytes(1, 10));
  await new Deno.Command("cp", { args: ["-a", `${trees[0]}/.`, trees[1]] }).output();
  for (const syncs of [1, 0]) {
    await using receiver = new LocalReceiver(trees[1], { clock: systemClock });
    using sync = stub(receiver.root, "syncFileSystem", () => Promise.resolve());
    await receiver.ready;
    assertEquals(sync.calls.length, syncs);
  }
});

Deno.test("LocalReceiver answers for a name that another batch may not have brought to the disk yet", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const content = randomBytes(1, 10);
  const digest = sha256(content);
  const actions: Action[] = [
    { type: "put", path: parsePath("d/f"), size: 10, mtime: OLD, mode: 0o644, digest },
    { type: "symlink", path: parsePath("e/l"), mtime: OLD, target: "x" },
    { type: "directory", path: parsePath("g/d"), mtime: OLD, mode: 0o755 },
    { type: "remove", path: parsePath("h/gone") },
    { type: "directory", path: parsePath("h"), mtime: OLD, mode: 0o755 },
  ];
  const apply = (actions: Action[]) =>
    receiver.apply({ key: crypto.randomUUID(), actions, contents: new Map([[digest, content]]) });
  await apply(actions);
  for (const action of actions) {
    const synced: string[] = [];
    const makeAnchor = receiver.root.anchor.bind(receiver.root);
    using _anchor = stub(receiver.root, "anchor", () => {
      const anchor = makeAnchor();
      stub(anchor, "syncDirectory", (path) => void synced.push(path));
      return anchor;
    });
    await apply([action]);
    assert(synced.includes(parentOf(action.path)), `${action.type}: ${synced}`);
  }
});

Deno.test("LocalReceiver goes on with an index where it was interrupted", async () => {
  using temp = new TempDirectory();
  manyFiles(temp.path, 2_000);
  let closing: Promise<void> | undefined;
  const first = new LocalReceiver(temp.path, {
    clock: systemClock,
    onProgress: () => closing ??= first.close(),
  });
  await assertRejects(() => first.ready);
  await closing;
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  const { read } = await receiver.ready;
  assert(read > 0);
  assertLess(read, 2_000);
  assertEquals((await Array.fromAsync(receiver.tree())).length, 2_020);
});

Deno.test("LocalReceiver leaves no open files behind", async () => {
  using temp = new TempDirectory();
  {
    await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
    await receiver.ready;
    const path = parsePath("a");
    await put(receiver, path, randomBytes(1, 1 << 20));
    const before = openFilesIn(temp.path);
    for (let i = 0; i < 50; i++) {
      await put(receiver, path, randomBytes(i, 1 << 20));
      await (await receiver.read(path)).cancel();
      await new Response(await receiver.read(path, { start: 5, end: 900_000 })).bytes();
      await assertRejects(() => receiver.read(path, { start: 2 << 20, end: 3 << 20 }));
      await assertRejects(() => receiver.read(parsePath("b")));
    }
    assertEquals(openFilesIn(temp.path), before);
  }
  assertEquals(openFilesIn(temp.path), 0);
});

Deno.test("a full disk at the destination is answered with 507, and nothing is half written", async (t) => {
  using temp = new TempDirectory();
  const small = temp.directory("small");
  using mounted = mountTmpfs(small, "24m");
  if (mounted === undefined) {
    await t.step("no file system can be mounted here: only the words are tested", async () => {
      const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      const response = problemResponse(toFilesyncError('write "a"', full));
      assertEquals([response.status, (await response.json()).code], [507, "disk-full"]);
    });
    return;
  }
  // It is there before, because on its way it would take twice the room.
  Deno.writeFileSync(`${small}/filler`, randomBytes(1, 16 << 20));
  await using served = await serveTree({ directory: small });
  const { receiver, request } = served;
  const fits = randomBytes(5, 2 << 20);
  const old = randomBytes(2, 100_000);
  assertEquals((await request("PUT", "/v1/files/d/old", { body: old })).status, 200);
  const before = await snapshotTree(small);

  // As a stream of chunks, and as a batch with content beside it; in the place of a file, and anew.
  for (const path of ["d/old", "e/new"]) {
    const response = await request("PUT", `/v1/files/${path}`, { body: randomBytes(3, 24 << 20) });
    assertEquals([response.status, (await response.json()).code], [507, "disk-full"]);
    const result = await put(receiver, path, randomBytes(4, 8 << 20));
    assert(!result.done);
    assertEquals([result.problem.code, result.problem.permanent], ["disk-full", false]);
    assertMatch(result.problem.message, /disk is full/);
  }
  await assertSameTree(before, small, { directoryMtime: true });
  assertEquals([...Deno.readDirSync(`${small}/.filesync/tmp`)], []);
  assertEquals(await (await request("GET", "/v1/files/d/old")).bytes(), old);

  assertEquals((await request("DELETE", "/v1/files/filler")).status, 200);
  assertEquals((await request("PUT", "/v1/files/e/new", { body: fits })).status, 200);
  assertEquals(Deno.readFileSync(`${small}/e/new`), fits);
});

/** Mounts an empty file system of so many bytes, where that is allowed. */
function mountTmpfs(directory: string, size: string): Disposable | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const run = (command: string, ...args: string[]) =>
    new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
  try {
    if (!run("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory)) return undefined;
  } catch {
    return undefined;
  }
  return { [Symbol.dispose]: () => assert(run("umount", directory), `Cannot unmount ${directory}`) };
}

Deno.test("apply() looks at the tree before it goes on, when what it did could not be recorded", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const data = new Uint8Array([1]);
  const digest = sha256(data);
  const apply = (key: string, ...actions: Action[]) =>
    receiver.apply({ key, actions, contents: new Map([[digest, data]]) });
  const put = (path: string): Action => ({
    type: "put",
    path: parsePath(path),
    size: 1,
    mtime: 0,
    mode: 0o644,
    digest,
  });
  await apply("the first one", put("stays"));
  const limit = (pages: number) => receiver.index.sql(`PRAGMA max_page_count = ${pages}`).get();
  limit(1);
  const many = Array.from({ length: 500 }, (_, i) => put(`f${i}`));
  const error = await assertRejects(() => apply("no room for it", ...many), FilesyncError) as FilesyncError;
  assertEquals([error.code, existsSync(`${temp.path}/f7`), receiver.index.get(parsePath("f7"))], [
    "disk-full",
    true,
    undefined,
  ]);
  // While nothing can be recorded, nothing is done.
  assertEquals(
    (await assertRejects(() => apply("nor for this", put("g")), FilesyncError) as FilesyncError).code,
    "disk-full",
  );
  assertEquals(existsSync(`${temp.path}/g`), false);
  limit(1 << 30);
  const { results } = await apply("it was not wanted", { type: "remove", path: parsePath("f7") });
  assertEquals([results, existsSync(`${temp.path}/f7`), existsSync(`${temp.path}/f8`)], [
    [{ done: true }],
    false,
    true,
  ]);
});

Deno.test("apply() stops nothing because a directory cannot be given its time", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const { anchor } = receiver.root;
  let spoiled = true;
  receiver.root.anchor = () => {
    const real = anchor.call(receiver.root);
    const { setAttributes } = real;
    real.setAttributes = (path, attributes) => {
      if (!spoiled || path !== "d") return setAttributes.call(real, path, attributes);
      throw new FilesyncError({
        code: "permission",
        operation: 'set mode and time of "d"',
        reason: "not permitted",
      });
    };
    return real;
  };
  const data = new Uint8Array([1]);
  const digest = sha256(data);
  const put = (path: string): Action => ({
    type: "put",
    path: parsePath(path),
    size: 1,
    mtime: 0,
    mode: 0o644,
    digest,
  });
  const directory: Action = { type: "directory", path: parsePath("d"), mtime: 7_000, mode: 0o755 };
  const apply = async (key: string, ...actions: Action[]) => {
    const { results } = await receiver.apply({ key, actions, contents: new Map([[digest, data]]) });
    return results.map((result) => result.done ? "done" : result.problem.code);
  };
  assertEquals(await apply("the first one", directory, put("d/a"), put("b")), ["permission", "done", "done"]);
  assertEquals(await apply("without the directory", put("d/c")), ["done"]);
  assertEquals(await treeText(temp.path), 'b "\\u0001"\nd/\nd/a "\\u0001"\nd/c "\\u0001"');
  assertEquals(await apply("once more", directory), ["permission"]);
  spoiled = false;
  assertEquals(await apply("at last", directory), ["done"]);
  assertEquals(Deno.statSync(`${temp.path}/d`).mtime?.getTime(), 7_000);
});

Deno.test("apply() refuses a name that the file system takes for another one", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const put = async (path: string, text: string) => {
    const data = new TextEncoder().encode(text);
    const digest = sha256(data);
    const action = {
      type: "put",
      path: parsePath(path),
      size: data.length,
      mtime: 0,
      mode: 0o644,
      digest,
    } as const;
    const { results: [result] } = await receiver.apply({
      key: `put ${path} ${text}`,
      actions: [action],
      contents: new Map([[digest, data]]),
    });
    return result.done
      ? "done"
      : `${result.problem.code} ${result.problem.permanent}: ${result.problem.message}`;
  };
  assertEquals(await put("name", "one"), "done");
  assertEquals(await put("other", "two"), "done");
  // As a file system looks that knows no case.
  Deno.linkSync(`${temp.path}/name`, `${temp.path}/NAME`);
  assertEquals(
    await put("NAME", "three"),
    'bad-path false: Cannot write "NAME": here it is the same name as "name"',
  );
  assertEquals(Deno.readTextFileSync(`${temp.path}/name`), "one");
  // What only is the same file has a name of its own.
  Deno.linkSync(`${temp.path}/name`, `${temp.path}/elsewhere`);
  assertEquals(await put("elsewhere", "three"), "done");
  // It goes on when the other one has gone.
  Deno.removeSync(`${temp.path}/NAME`);
  assertEquals(await put("NAME", "three"), "done");
});

Deno.test("LocalReceiver with its state elsewhere leaves nothing of ours in the tree", async () => {
  using temp = new TempDirectory();
  const [tree, state] = [temp.directory("tree"), `${temp.path}/state`];
  makeTree(tree, { a: "a" });
  const first = new LocalReceiver(tree, { clock: systemClock, state });
  const { indexId } = await first.refresh();
  assertEquals([...Deno.readDirSync(tree)].length, 1);
  assertEquals(await put(first, "b", randomBytes(1, 10)), { done: true });
  const twice = assertThrows(() => new LocalReceiver(tree, { clock: systemClock, state }), FilesyncError);
  assertEquals((twice as FilesyncError).code, "locked");
  await first.close();
  assertEquals([...Deno.readDirSync(tree)].map(({ name }) => name).sort(), ["a", "b"]);
  await using second = new LocalReceiver(tree, { clock: systemClock, state });
  assertEquals((await second.refresh()).indexId, indexId);
});

Deno.test("LocalReceiver with its state elsewhere keeps off a tree that is served", async () => {
  using temp = new TempDirectory();
  const [tree, state] = [temp.directory("tree"), `${temp.path}/state`];
  const served = new LocalReceiver(tree, { clock: systemClock });
  await served.ready;
  const open = () => new LocalReceiver(tree, { clock: systemClock, state });
  assertEquals((assertThrows(open, FilesyncError) as FilesyncError).code, "locked");
  await served.close();
  await open().close();
  assert([...Deno.readDirSync(`${tree}/.filesync`)].length > 0, "what is not of this one stays");
});

Deno.test("refresh() brakes when another directory stands at the path, or none", async () => {
  using temp = new TempDirectory();
  const tree = temp.directory("tree");
  makeTree(tree, { a: "a" });
  await using receiver = new LocalReceiver(tree, { clock: systemClock });
  await receiver.ready;
  Deno.renameSync(tree, `${tree}-away`);
  const refreshed = () => receiver.refresh();
  assertEquals((await assertRejects(refreshed, FilesyncError) as FilesyncError).code, "brake");
  Deno.mkdirSync(tree);
  assertEquals((await assertRejects(refreshed, FilesyncError) as FilesyncError).code, "brake");
  Deno.removeSync(tree);
  Deno.renameSync(`${tree}-away`, tree);
  assertEquals((await receiver.refresh()).hasContents, true);
});

Deno.test("apply() has the tree looked at once for all batches that met something else in it", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const names = ["a", "b", "c", "d"];
  for (const name of names) Deno.writeTextFileSync(`${temp.path}/${name}`, "foreign");
  const makeAnchor = receiver.root.anchor.bind(receiver.root);
  let looks = 0;
  using _anchor = stub(receiver.root, "anchor", () => {
    const anchor = makeAnchor();
    const list = anchor.listWithStats.bind(anchor);
    stub(anchor, "listWithStats", (path) => {
      looks++;
      return list(path);
    });
    return anchor;
  });
  const removals = names.map((name) =>
    receiver.apply({
      key: `remove ${name}`,
      actions: [{ type: "remove", path: parsePath(name) }],
      contents: new Map(),
    })
  );
  for (const { results: [result] } of await Promise.all(removals)) {
    assertEquals(!result.done && result.problem.code, "exists-unknown");
  }
  await receiver.refresh();
  assertEquals((await Array.fromAsync(receiver.tree())).length, 4);
  assertLess(looks, 4);
});
