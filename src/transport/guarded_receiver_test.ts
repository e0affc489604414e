import { assertEquals } from "@std/assert";
import { openSubject } from "../../tests/support/subjects.ts";
import type { PutAction } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { Expectation } from "../core/expectation.ts";
import { parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import { guardedReceiver } from "./guarded_receiver.ts";
import type { Receiver } from "./receiver.ts";
import { receiverContract } from "./receiver_contract.ts";

receiverContract("guardedReceiver()", () => openSubject((local) => guardedReceiver(local, () => true)));

const MTIME = 1_600_000_000_000;

/** Puts `text` at `a` and gives the code of the problem, if there is one. */
async function put(
  receiver: Receiver,
  text: string,
  { mtime = MTIME, expected }: { mtime?: number; expected?: Expectation } = {},
): Promise<string | undefined> {
  const data = new TextEncoder().encode(text);
  const digest = sha256(data);
  const action: PutAction = {
    type: "put",
    path: parsePath("a"),
    size: data.length,
    mtime,
    mode: 0o644,
    digest,
    ...(expected === undefined ? {} : { expected }),
  };
  const { results: [result] } = await receiver.apply({
    key: crypto.randomUUID(),
    actions: [action],
    contents: new Map([[digest, data]]),
  });
  return result.done ? undefined : result.problem.code;
}

async function withGuard(good: string[], test: (receiver: Receiver, path: string) => Promise<void>) {
  const digests = new Set<Digest>(good.map((text) => sha256(new TextEncoder().encode(text))));
  await using subject = await openSubject((local) =>
    guardedReceiver(local, ({ digest }) => digests.has(digest))
  );
  await test(subject.receiver, `${subject.directory}/a`);
}

Deno.test("guardedReceiver() does not replace a content by another of the same size and time", async () => {
  await withGuard([], async (receiver, path) => {
    assertEquals(await put(receiver, "good"), undefined);
    assertEquals(await put(receiver, "gooe"), "conflict");
    assertEquals(Deno.readTextFileSync(path), "good");
    // The same once more, and an edit.
    assertEquals(await put(receiver, "good"), undefined);
    assertEquals(await put(receiver, "edit", { mtime: MTIME + 1 }), undefined);
    assertEquals(await put(receiver, "longer", { mtime: MTIME + 1 }), undefined);
    assertEquals(Deno.readTextFileSync(path), "longer");
  });
});

Deno.test("guardedReceiver() replaces a damaged content by one that is known to be good", async () => {
  await withGuard(["good"], async (receiver, path) => {
    assertEquals(await put(receiver, "gooe"), undefined);
    assertEquals(await put(receiver, "good"), undefined);
    assertEquals(Deno.readTextFileSync(path), "good");
  });
});

Deno.test("guardedReceiver() leaves to the sender what it expects", async () => {
  await withGuard([], async (receiver, path) => {
    assertEquals(await put(receiver, "good"), undefined);
    const expected = { kind: "file" as const, digest: sha256(new TextEncoder().encode("good")) };
    assertEquals(await put(receiver, "gooe", { expected }), undefined);
    assertEquals(Deno.readTextFileSync(path), "gooe");
  });
});
