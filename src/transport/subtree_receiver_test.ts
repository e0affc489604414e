import { assert, assertEquals } from "@std/assert";
import { openSubject, serveTree, TOKEN } from "../../tests/support/subjects.ts";
import { makeTree, treeText } from "../../tests/support/trees.ts";
import type { Action } from "../core/action.ts";
import { parsePath, ROOT, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { problemOf } from "../core/problem.ts";
import { FilesyncError } from "../core/errors.ts";
import { HttpReceiver } from "./http_receiver.ts";
import type { Receiver } from "./receiver.ts";
import { receiverContract, type ReceiverSubject } from "./receiver_contract.ts";
import { subtreeReceiver } from "./subtree_receiver.ts";

const TOP = parsePath("a/b");

/** The sub-directory of a tree, as a subject of its own. */
async function openSubtree(): Promise<ReceiverSubject> {
  let whole: Receiver;
  const subject = await openSubject((local) => subtreeReceiver(whole = local, TOP));
  await apply(whole!, makes("a/b"));
  return {
    get receiver() {
      return subject.receiver;
    },
    directory: `${subject.directory}/a/b`,
    state: `${subject.directory}/${STATE_DIRECTORY}`,
    reopen: () => subject.reopen(),
    [Symbol.asyncDispose]: () => subject[Symbol.asyncDispose](),
  };
}

receiverContract("subtreeReceiver()", openSubtree);

const makes = (path: string): Action => ({ type: "directory", path: parsePath(path), mtime: 5, mode: 0o755 });

async function apply(receiver: Receiver, ...actions: Action[]) {
  return await receiver.apply({ key: crypto.randomUUID(), actions, contents: new Map() });
}

/** Two clients of one server, each in its own directory, and one that has the whole. */
async function openShared() {
  const served = await serveTree();
  const client = () =>
    new HttpReceiver("http://server.test", { token: TOKEN, fetch: (request) => served.app.fetch(request) });
  const [one, two] = ["one", "two"].map((name) => subtreeReceiver(client(), parsePath(name)));
  return {
    served,
    one,
    two,
    whole: client() as Receiver,
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}

Deno.test("subtreeReceiver() moves its sequence for what happens in it, and for nothing beside it", async () => {
  await using shared = await openShared();
  const { one, two } = shared;
  const first = await apply(one, makes("x"), makes("y"));
  await apply(two, makes("x"));
  const second = await apply(one, makes("z"));
  await apply(two, makes("y"), { type: "remove", path: parsePath("x") });
  assertEquals(second.before, first.after, "our batches join, whatever comes between them");
  assertEquals((await one.open()).sequence, second.after);
  const nothing = await apply(one, makes("z"));
  assertEquals([nothing.before, nothing.after], [second.after, second.after]);
});

Deno.test("subtreeReceiver() tells by its sequence what others do in it, or with what is above it", async () => {
  await using shared = await openShared();
  const { served, whole, one, two } = shared;
  await apply(one, makes("x"));
  await apply(two, makes("x"));
  const sequences = async () => [(await one.open()).sequence, (await two.open()).sequence];
  const [before, beside] = await sequences();
  await apply(whole, makes("one/theirs"));
  const [within] = await sequences();
  assert(within > before, "something was put into it");
  const next = await apply(one, makes("z"));
  assertEquals(next.before, within);
  await apply(whole, { type: "move", from: parsePath("one/z"), path: parsePath("z") });
  const [out] = await sequences();
  assert(out > next.after, "something was moved out of it");
  await apply(whole, { type: "remove", path: parsePath("one") });
  const [gone, stillBeside] = await sequences();
  assert(gone > out, "it was removed as a whole");
  assertEquals(stillBeside, beside);
  assertEquals(await Array.fromAsync(one.tree()), []);
  makeTree(served.directory, { one: { found: "" } });
  await whole.refresh();
  assert((await one.open()).sequence > gone, "something was found in it");
});

Deno.test("subtreeReceiver() sees and touches only what is in it", async () => {
  await using shared = await openShared();
  const { served, one, two } = shared;
  await apply(one, makes("x/deep"), { type: "symlink", path: parsePath("x/link"), target: "one", mtime: 5 });
  // Names that sort around the directory's own.
  makeTree(served.directory, { "one-": { file: "" }, "one0": { file: "" }, on: {}, two: { x: "theirs" } });
  const before = await treeText(served.directory);
  assertEquals((await two.refresh()).problems, []);
  assertEquals((await Array.fromAsync(one.tree())).map(({ path }) => String(path)), [
    "x",
    "x/deep",
    "x/link",
  ]);
  assertEquals((await Array.fromAsync(one.tree(parsePath("x")))).map(({ path }) => String(path)), [
    "x/deep",
    "x/link",
  ]);
  assertEquals(await one.entry(parsePath("two")), undefined);
  assertEquals((await one.entry(parsePath("x/link")))?.path, parsePath("x/link"));
  assertEquals((await two.history({})).map(({ path }) => String(path)), ["x"]);
  await apply(one, { type: "remove", path: parsePath("two") });
  assertEquals(await treeText(served.directory), before);
  const { results } = await apply(one, { type: "move", from: parsePath("nowhere"), path: parsePath("n") });
  assertEquals(results.map((result) => result.done || result.problem.path), ["n"]);
});

Deno.test("subtreeReceiver() knows nothing where nothing is known of what is above it", async () => {
  await using subject = await openSubject((local) => local);
  const problem = (path: string) =>
    problemOf(
      new FilesyncError({ code: "permission", operation: "list", reason: "denied" }),
      path as TreePath,
    );
  const unreadable = ["a", "a/b/c/d", "a/bb", "b", "a/b"];
  const receiver = subtreeReceiver({
    ...subject.receiver,
    history: () => Promise.resolve([]),
    refresh: async () => ({ ...await subject.receiver.open(), problems: unreadable.map(problem) }),
  }, TOP);
  const { problems } = await receiver.refresh();
  assertEquals(problems.map(({ path }) => path as TreePath), [ROOT, parsePath("c/d"), ROOT]);
});

Deno.test("subtreeReceiver() picks its own out of what a server tells that knows nothing of parts", async () => {
  await using shared = await openShared();
  const { served, one, two } = shared;
  await apply(one, makes("x"));
  await apply(two, makes("y"));
  const forgetful = (request: Request) => {
    const url = new URL(request.url);
    url.searchParams.delete("under");
    url.searchParams.delete("touching");
    return served.app.fetch(new Request(url, request));
  };
  const old = new HttpReceiver("http://server.test", { token: TOKEN, fetch: forgetful });
  const alike = subtreeReceiver(old, parsePath("one"));
  assertEquals((await Array.fromAsync(alike.tree())).map(({ path }) => String(path)), ["x"]);
  assert((await alike.open()).sequence > (await one.open()).sequence, "what is not known counts as touched");
});
