import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { LocalReceiver } from "../../src/transport/local_receiver.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Action } from "../../src/core/action.ts";
import type { Digest } from "../../src/core/digest.ts";
import type { Entry } from "../../src/core/entry.ts";
import type { Expectation } from "../../src/core/expectation.ts";
import { parsePath, type TreePath } from "../../src/core/path.ts";
import { sha256 } from "../../src/hashing/sha256.ts";
import type { BatchResult, Receiver } from "../../src/transport/receiver.ts";
import { MemoryReceiver } from "./memory_receiver.ts";
import { TempDirectory } from "./temp.ts";

/** Long enough ago that nothing takes it for a change of just now. */
const TIME = Date.UTC(2024, 0, 1);

const contents = ["one", "two"].map((text) => new TextEncoder().encode(text));
const digests = contents.map((content) => sha256(content));

const path = fc.constantFrom("a", "b", "a/c", "b/c", "a/c/d").map(parsePath);
const mtime = fc.constantFrom(TIME, TIME + 1_000);
const expected: fc.Arbitrary<Expectation> = fc.oneof(
  fc.constant({ kind: "nothing" as const }),
  fc.constantFrom(...digests).map((digest) => ({ kind: "file" as const, digest })),
  fc.constant({ kind: "symlink" as const, target: "a" }),
  fc.constant({ kind: "directory" as const }),
);
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ path, mtime, at: fc.nat(1), expected }).map(({ at, ...rest }) => ({
    ...rest,
    type: "put" as const,
    size: contents[at].length,
    mode: 0o644,
    digest: digests[at],
  })),
  fc.record({ type: fc.constant("directory" as const), path, mtime, mode: fc.constant(0o755), expected }),
  fc.record({
    type: fc.constant("symlink" as const),
    path,
    mtime,
    target: fc.constantFrom("a", "b"),
    expected,
  }),
  fc.record({ type: fc.constant("remove" as const), path, expected }),
  fc.record({ type: fc.constant("move" as const), path, from: path, expected })
    .filter(({ path, from }) => path !== from),
);

function outcomes({ results }: BatchResult) {
  return results.map((result) => result.done);
}

/** The tree, but for the times of directories: those that are made on the way have the time of the disk. */
async function treeOf(receiver: Receiver): Promise<(Entry | Omit<Entry, "mtime">)[]> {
  const entries = await Array.fromAsync(receiver.tree());
  return entries.map((entry) => entry.kind === "directory" ? { path: entry.path, kind: entry.kind } : entry);
}

Deno.test("MemoryReceiver does what LocalReceiver does with actions that expect something", async () => {
  const batch = fc.array(action, { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 6 }), async (batches) => {
      using temp = new TempDirectory();
      await using local = new LocalReceiver(temp.path, { clock: systemClock });
      await local.ready;
      const memory = new MemoryReceiver();
      const sent: Map<Digest, Uint8Array<ArrayBuffer>> = new Map(contents.map((one, i) => [digests[i], one]));
      for (const actions of batches) {
        const [real, model] = await Promise.all(
          [local, memory].map((receiver: Receiver) =>
            receiver.apply({ key: crypto.randomUUID(), actions, contents: sent })
          ),
        );
        assertEquals(outcomes(model), outcomes(real));
        assertEquals(await treeOf(memory), await treeOf(local));
        const requests = digests.map((content, i) => ({
          content,
          ranges: [{ start: 1, end: contents[i].length }],
        }));
        assertEquals(await memory.pieces(requests), await local.pieces(requests));
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("MemoryReceiver finds what its user did, and lets alone what it has not seen", async () => {
  const memory = new MemoryReceiver();
  const entry = { kind: "directory" as const, path: "d" as TreePath, mtime: TIME, mode: 0o755 };
  memory.disk.set(entry.path, entry);
  assertEquals(await treeOf(memory), []);
  const { sequence } = await memory.refresh();
  assertEquals([sequence, (await treeOf(memory)).length], [1, 1]);
});
