import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { Action } from "../core/action.ts";
import type { Entry } from "../core/entry.ts";
import { comesBefore, parentOf, parsePath, ROOT, type TreePath } from "../core/path.ts";
import type { DirectoryQuery } from "./directory_page.ts";
import { LocalReceiver } from "./local_receiver.ts";

/** Names that stand between a directory and what is in it, in the order of bytes. */
const NAMES = ["a", "a-b", "a.c", "a0", "é", "\u{1f600}"];

const CONTENT = new TextEncoder().encode("content");
const DIGEST = sha256(CONTENT);

async function apply(receiver: LocalReceiver, actions: Action[]): Promise<void> {
  await receiver.apply({ key: crypto.randomUUID(), actions, contents: new Map([[DIGEST, CONTENT]]) });
}

function file(path: TreePath): Action {
  return { type: "put", path, size: CONTENT.length, mtime: 0, mode: 0o644, digest: DIGEST };
}

async function allOf(receiver: LocalReceiver, query: DirectoryQuery): Promise<TreePath[]> {
  const paths: TreePath[] = [];
  let after: TreePath | undefined;
  for (;;) {
    const page = await receiver.directory({ ...query, after });
    assert(page.entries.length <= (query.limit ?? 200));
    paths.push(...page.entries.map(({ path }) => path));
    if (page.after === undefined) return paths;
    after = page.after;
  }
}

/** Those directly in a directory, of a whole tree. */
function childrenIn(entries: Iterable<Entry>, directory: TreePath): TreePath[] {
  return [...entries].map(({ path }) => path).filter((path) => parentOf(path) === directory)
    .sort((a, b) => comesBefore(a, b) ? -1 : 1);
}

Deno.test("directoryPage() tells what stands in each directory, and stood there at any moment", async () => {
  const path = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }).map((names) =>
    parsePath(names.join("/"))
  );
  const change = fc.record({ path, remove: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 12 }),
      fc.integer({ min: 1, max: 3 }),
      async (changes, limit) => {
        using temp = new TempDirectory();
        const clock = new FakeClock();
        await using receiver = new LocalReceiver(temp.path, { clock, keep: { retention: { age: 1e12 } } });
        await receiver.ready;
        const moments: { at: number; tree: Entry[] }[] = [];
        for (const { path, remove } of changes) {
          await apply(receiver, [remove ? { type: "remove", path } : file(path)]);
          moments.push({ at: clock.now(), tree: await Array.fromAsync(receiver.tree()) });
          await clock.advance(10);
        }
        const last = moments.at(-1)?.tree ?? [];
        for (const { at, tree } of [...moments, { at: undefined, tree: last }]) {
          const directories = tree.filter(({ kind }) => kind === "directory").map(({ path }) => path);
          for (const directory of [ROOT, ...directories]) {
            assertEquals(await allOf(receiver, { directory, at, limit }), childrenIn(tree, directory));
          }
          for (const entry of tree) assertEquals((await receiver.entryAt(entry.path, at))?.kind, entry.kind);
        }
      },
    ),
    { numRuns: 12 },
  );
});
