/**
 * What every {@linkcode TreeVersions} must keep to, as tests: whatever changes a tree through a receiver
 * that keeps, all that was there before can be told and read.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { Action } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath, type TreePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { Receiver } from "./receiver.ts";
import type { TreeVersions } from "./tree_versions.ts";

/** A receiver that keeps, and the time there. */
export interface VersionsSubject extends AsyncDisposable {
  readonly receiver: Receiver;
  readonly versions: TreeVersions;
  /** The directory of this machine that it ends at. */
  readonly directory: string;
  now(): number;
  /** Lets time go by. */
  pass(ms: number): Promise<void>;
  /** Stops it and starts it again. */
  reopen(): Promise<void>;
}

const encoder = new TextEncoder();
const MTIME = Date.UTC(2024, 1, 29, 12, 34, 56, 789);

/** Registers the suite. */
export function treeVersionsContract(name: string, open: () => Promise<VersionsSubject>): void {
  const contract = (behaviour: string, test: (subject: VersionsSubject) => Promise<void>) =>
    Deno.test(`${name}: ${behaviour}`, async () => {
      await using subject = await open();
      await test(subject);
    });

  contract("list() tells what was replaced, removed and moved, last first", async (subject) => {
    const { versions } = subject;
    const start = subject.now();
    await apply(subject, [put("a", "one"), link("l", "a"), put("d/b", "b"), put("d/e/c", "c")]);
    assertEquals((await versions.list({})).versions, []);
    await apply(subject, [put("a", "two"), link("l", "d")]);
    await apply(subject, [remove("d")]);
    await apply(subject, [move("a", "l")]);
    const { versions: all, completeSince } = await versions.list({});
    assertEquals(completeSince, start);
    assertEquals(
      all.map(({ entry, cause, keptAt }) => `${cause} ${describe(entry)} ${keptAt - start}`).sort(),
      [
        "moved a=two 4000",
        "removed d/ 3000",
        "removed d/b=b 3000",
        "removed d/e/ 3000",
        "removed d/e/c=c 3000",
        "replaced a=one 2000",
        "replaced l->a 2000",
        "replaced l->d 4000",
      ].map((line) =>
        line.replace("two", contentName("two")).replace("one", contentName("one"))
          .replace("=b", `=${contentName("b")}`).replace("=c", `=${contentName("c")}`)
      ).sort(),
    );
    assertEquals(all.map(({ id }) => id), all.map(({ id }) => id).toSorted((x, y) => y - x));
    const below = await versions.list({ under: parsePath("d/e") });
    assertEquals(below.versions.map(({ entry }) => String(entry.path)).sort(), ["d/e", "d/e/c"]);
    const first = await versions.list({ limit: 3 });
    const rest = await versions.list({ before: first.versions.at(-1)!.id, limit: 100 });
    assertEquals([...first.versions, ...rest.versions], all);
  });

  contract(
    "list() has nothing of what only got another mode or time, or the same content again",
    async (subject) => {
      await apply(subject, [put("a", "one"), link("l", "x"), {
        type: "directory",
        path: parsePath("d"),
        mtime: 1,
        mode: 0o755,
      }]);
      await apply(subject, [
        { ...put("a", "one"), mtime: 5, mode: 0o600 },
        { ...link("l", "x"), mtime: 7 },
        { type: "directory", path: parsePath("d"), mtime: 2, mode: 0o700 },
      ]);
      assertEquals((await subject.versions.list({})).versions, []);
    },
  );

  contract("read() gives what is kept and what is in the tree, whole and in parts", async (subject) => {
    const { versions } = subject;
    await apply(subject, [put("a", "old content")]);
    await apply(subject, [put("a", "new content")]);
    for (const content of ["old content", "new content"]) {
      const digest = digestOf(content);
      assertEquals(await versions.sizeOf(digest), content.length);
      assertEquals(await textOf(versions.read(digest)), content);
      assertEquals(await textOf(versions.read(digest, { start: 4, end: 7 })), content.slice(4, 7));
      assertEquals(await textOf(versions.read(digest, { start: 4, end: 700 })), content.slice(4));
      await assertFails(() => versions.read(digest, { start: 11, end: 12 }), "bad-range");
    }
    await assertFails(() => versions.sizeOf(digestOf("nobody's")), "content-missing");
    await assertFails(() => versions.read(digestOf("nobody's")), "content-missing");
  });

  contract(
    "pieces() of the receiver has what is kept as well, and apply() puts it without being sent it",
    async (subject) => {
      const { receiver, directory } = subject;
      const big = noise(3, 3 << 20);
      await apply(subject, [put("big", big), put("a", "small")], [big, "small"]);
      await apply(subject, [remove("big"), remove("a")]);
      const [piece] = await receiver.pieces([{ content: sha256(big), ranges: [{ start: 7, end: 1 << 20 }] }]);
      assertEquals(piece, big.slice(7, 1 << 20));
      assertEquals(await receiver.check([{ digest: sha256(big), size: big.length }]), [
        "nothing",
      ]);
      await apply(subject, [put("big", big), put("a", "small")], []);
      assertEquals(Deno.readFileSync(`${directory}/big`), big);
      assertEquals(Deno.readTextFileSync(`${directory}/a`), "small");
    },
  );

  contract(
    "treeAt() gives only what was below a path, and thousands of entries in order",
    async (subject) => {
      const { versions } = subject;
      const many = Array.from({ length: 2_300 }, (_, i) => `m/${String(i).padStart(4, "0")}`);
      for (let at = 0; at < many.length; at += 1_150) {
        await apply(
          subject,
          many.slice(at, at + 1_150).map((path) => put(path, path)),
          many.slice(at, at + 1_150),
        );
      }
      const full = subject.now();
      await subject.pass(10);
      await apply(subject, [remove("m"), put("n", "n")]);
      const then = await Array.fromAsync(versions.treeAt(full));
      assertEquals(then.map(({ path }) => String(path)), ["m", ...many]);
      assertEquals((await Array.fromAsync(versions.treeAt(subject.now()))).map(({ path }) => String(path)), [
        "n",
      ]);
      const under = await Array.fromAsync(versions.treeAt(full, parsePath("m/0007")));
      assertEquals(under.map(describe), [`m/0007=${contentName("m/0007")}`]);
    },
  );

  contract("treeAt() gives every state that ever was, whatever was done", async (subject) => {
    await fc.assert(
      fc.asyncProperty(fc.array(batches, { minLength: 1, maxLength: 8 }), async (steps) => {
        await attempt(subject, [remove("a"), remove("b"), remove("c")]);
        const states = new Map<number, string[]>();
        for (const step of steps) {
          if (step === "restart") await subject.reopen();
          else await attempt(subject, step);
          states.set(subject.now(), (await Array.fromAsync(subject.receiver.tree())).map(describe));
        }
        for (const [time, state] of states) {
          const told = (await Array.fromAsync(subject.versions.treeAt(time))).map(describe);
          assertEquals(told, state);
        }
        for (const { entry } of (await subject.versions.list({ limit: 10_000 })).versions) {
          if (entry.kind === "file") {
            assertEquals(digestOf(await textOf(subject.versions.read(entry.digest))), entry.digest);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
}

const names = fc.constantFrom("a", "b", "c", "a/x", "a/y", "b/x", "b/y/z");
const contents = fc.constantFrom("one", "two", "three");
const actions: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(names, contents).map(([path, content]): Action => put(path, content)) },
  { weight: 1, arbitrary: names.map((path): Action => link(path, "x")) },
  { weight: 2, arbitrary: names.map((path): Action => remove(path)) },
  { weight: 2, arbitrary: fc.tuple(names, names).map(([from, path]): Action => move(from, path)) },
);
const batches = fc.oneof(
  { weight: 6, arbitrary: fc.array(actions, { minLength: 1, maxLength: 10 }) },
  { weight: 1, arbitrary: fc.constant("restart" as const) },
);

/** An entry in one line, without times and modes. */
function describe(entry: Entry): string {
  switch (entry.kind) {
    case "file":
      return `${entry.path}=${entry.digest.slice(0, 8)}`;
    case "directory":
      return `${entry.path}/`;
    case "symlink":
      return `${entry.path}->${entry.target}`;
  }
}

function contentName(content: string): string {
  return digestOf(content).slice(0, 8);
}

/** Applies actions, a second after whatever was before; all of them must succeed. */
async function apply(
  subject: VersionsSubject,
  actions: Action[],
  sent: readonly (string | Uint8Array)[] = [
    "one",
    "two",
    "b",
    "c",
    "n",
    "old content",
    "new content",
    "small",
  ],
): Promise<void> {
  const results = await attempt(subject, actions, sent);
  assertEquals(results, actions.map(() => ({ done: true as const })));
}

/** Applies actions, of which some may fail. */
async function attempt(
  subject: VersionsSubject,
  actions: Action[],
  sent: readonly (string | Uint8Array)[] = ["one", "two", "three"],
) {
  await subject.pass(1_000);
  const contents = new Map(sent.map((content) => {
    const data = typeof content === "string" ? encoder.encode(content) : new Uint8Array(content);
    return [sha256(data), data];
  }));
  const { results } = await subject.receiver.apply({ key: crypto.randomUUID(), actions, contents });
  return results;
}

function put(path: string, content: string | Uint8Array): Action & { type: "put" } {
  const data = typeof content === "string" ? encoder.encode(content) : content;
  return {
    type: "put",
    path: parsePath(path),
    size: data.length,
    mtime: MTIME,
    mode: 0o644,
    digest: sha256(data),
  };
}

function link(path: string, target: string): Action & { type: "symlink" } {
  return { type: "symlink", path: parsePath(path), target, mtime: MTIME };
}

function remove(path: string): Action {
  return { type: "remove", path: parsePath(path) };
}

function move(from: string, path: string): Action {
  return { type: "move", from: parsePath(from), path: path as TreePath };
}

function digestOf(content: string): Digest {
  return sha256(encoder.encode(content));
}

async function textOf(stream: Promise<ReadableStream<Uint8Array<ArrayBuffer>>>): Promise<string> {
  return await new Response(await stream).text();
}

async function assertFails(act: () => Promise<unknown>, code: string): Promise<void> {
  const error = await assertRejects(act, FilesyncError);
  assertEquals((error as FilesyncError).code, code);
}

/** The same incompressible bytes for the same seed: xorshift32 of G. Marsaglia, "Xorshift RNGs", 2003. */
function noise(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(length / 4);
  let state = seed + 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    words[i] = state ^= state << 5;
  }
  return new Uint8Array(words.buffer);
}
