import { assertEquals } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { Action } from "../core/action.ts";
import { systemClock } from "../core/clock.ts";
import { parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import { LocalReceiver } from "./local_receiver.ts";
import type { BatchResult } from "./receiver.ts";

/** Long enough ago that nothing takes it for a change of just now. */
const OLD = Date.UTC(2024, 0, 1, 0, 0, 0, 5);

const bytesOf = (content: string | Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
  typeof content === "string" ? new TextEncoder().encode(content) : content;

function putOf(path: string, content: string | Uint8Array<ArrayBuffer>, mtime = OLD, mode = 0o644) {
  const bytes = bytesOf(content);
  return {
    type: "put",
    path: parsePath(path),
    size: bytes.length,
    mtime,
    mode,
    digest: sha256(bytes),
  } as const;
}

function apply(
  receiver: LocalReceiver,
  actions: Action[],
  ...contents: (string | Uint8Array<ArrayBuffer>)[]
) {
  return receiver.apply({
    key: crypto.randomUUID(),
    actions,
    contents: new Map(contents.map(bytesOf).map((bytes) => [sha256(bytes), bytes])),
  });
}

/** What became of each action: `done`, or the code of its problem. */
function outcomes({ results }: BatchResult): string[] {
  return results.map((result) => result.done ? "done" : result.problem.code);
}

/** Has `hook` run once, between the moment at which a batch has made a content ready and that of changing the tree. */
function onceReady(receiver: LocalReceiver, hook: () => unknown): void {
  const { root } = receiver;
  const { anchor } = root;
  root.anchor = () => {
    const real = anchor.call(root);
    const { createTemp } = real;
    real.createTemp = (path) => {
      const temp = createTemp.call(real, path);
      const { sync } = temp;
      temp.sync = async () => {
        await sync.call(temp);
        root.anchor = anchor;
        await hook();
      };
      return temp;
    };
    return real;
  };
}

Deno.test("applyBatch() puts a file where its directory stands by now, not where that was moved meanwhile", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  await apply(receiver, [putOf("d/f", "old"), putOf("d/g", "same")], "old", "same");
  onceReady(receiver, () => apply(receiver, [{ type: "move", from: parsePath("d"), path: parsePath("e") }]));
  const result = await apply(receiver, [putOf("d/g", "same"), putOf("d/f", "new")], "new");
  assertEquals(outcomes(result), ["content-missing", "done"]);
  const text = (path: string) => Deno.readTextFileSync(`${temp.path}/${path}`);
  assertEquals([text("e/f"), text("d/f")], ["old", "new"]);
});
Deno.test("applyBatch() does not take for its own what somebody edits while it is about to set mode and time", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  await apply(receiver, [putOf("f", "good")], "good");
  onceReady(receiver, () => Deno.writeTextFileSync(`${temp.path}/f`, "evil"));
  const result = await apply(receiver, [putOf("g", "other"), putOf("f", "good", OLD + 1)], "other");
  assertEquals(outcomes(result), ["done", "content-missing"]);
  await receiver.refresh();
  const entry = await receiver.entry(parsePath("f"));
  assertEquals(entry?.kind === "file" && entry.digest, sha256(bytesOf("evil")));
});
