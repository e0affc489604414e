import { assertEquals, assertRejects, fail } from "@std/assert";
import { stub } from "@std/testing/mock";
import { randomBytes } from "../../tests/support/bytes.ts";
import { openFilesIn } from "../../tests/support/open_files.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes } from "../chunking/describe.ts";
import type { Action } from "../core/action.ts";
import { unpackManifest } from "../core/chunk.ts";
import { systemClock } from "../core/clock.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import type { TempFile } from "../files/tree_root.ts";
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

/** Offers `content`, and sends all of its chunks but the last, so that it lies in a file in the making. */
async function begin(receiver: LocalReceiver, content: Uint8Array<ArrayBuffer>): Promise<void> {
  const { digest, size, packedManifest } = describeBytes(content, DEFAULT_CHUNKING);
  const manifest = unpackManifest(packedManifest);
  await receiver.check([{ digest, size, manifest }]);
  const rest = manifest.at(-1)!;
  await receiver.stageRuns([{ content: digest, first: 0, data: content.subarray(0, size - rest.length) }]);
  await receiver.stage([{ digest: rest.digest, data: content.subarray(size - rest.length) }]);
}

Deno.test("applyBatch() does not go on with a content in the making that the disk may have lost", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  if (!receiver.root.canSyncFileSystem) return;
  const big = randomBytes(1, 200_000);
  await begin(receiver, big);
  const small = Array.from({ length: 8 }, (_, i) => `small ${i}`);
  const actions = [putOf("big", big), ...small.map((text) => putOf(text, text))];
  {
    using _dirty = stub(Deno, "readTextFileSync", () => "Dirty: 0 kB");
    using _sync = stub(receiver.root, "syncFileSystem", () => Promise.reject(new Error("lost")));
    await assertRejects(() => apply(receiver, actions, ...small), Error, "lost");
  }
  assertEquals([...Deno.readDirSync(`${temp.path}/.filesync/tmp`)], []);
  // The system tells of a lost write once, and then shows from memory what is not on the disk.
  assertEquals(outcomes(await apply(receiver, [putOf("big", big)])), ["content-missing"]);
});

Deno.test("applyBatch() stops nothing because one path cannot be looked at, and leaves nothing behind", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  await apply(receiver, [putOf("f", "f")], "f");
  const big = randomBytes(1, 200_000);
  await begin(receiver, big);
  const { anchor } = receiver.root;
  let looks = 0;
  receiver.root.anchor = () => {
    const real = anchor.call(receiver.root);
    const { lstat } = real;
    real.lstat = (path) => {
      if (path === "f" && looks++ === 0) {
        throw toFilesyncError('look at "f"', new Deno.errors.PermissionDenied());
      }
      return lstat.call(real, path);
    };
    return real;
  };
  {
    using _broken = stub(receiver.index, "get", () => fail("no index"));
    await assertRejects(
      () => apply(receiver, [putOf("big", big), putOf("f", "f", OLD + 1)]),
      Error,
      "no index",
    );
  }
  assertEquals(looks, 0);
  assertEquals(outcomes(await apply(receiver, [putOf("big", big), putOf("f", "f", OLD + 1)])), [
    "done",
    "done",
  ]);
  assertEquals([...Deno.readDirSync(`${temp.path}/.filesync/tmp`)], []);
});

Deno.test("applyBatch() leaves nothing behind when a file cannot be given its mode", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const big = randomBytes(1, 200_000);
  await begin(receiver, big);
  const { anchor } = receiver.root;
  receiver.root.anchor = () => {
    const real = anchor.call(receiver.root);
    // As FAT answers to modes that it cannot keep.
    const refusing = (temp: TempFile): TempFile => {
      temp.setAttributes = () => {
        throw toFilesyncError("write", Object.assign(new Error(), { code: "EPERM" }));
      };
      return temp;
    };
    const { createTemp, openTemp } = real;
    real.createTemp = (path) => refusing(createTemp.call(real, path));
    real.openTemp = (name) => refusing(openTemp.call(real, name));
    return real;
  };
  const before = openFilesIn(temp.path);
  assertEquals(outcomes(await apply(receiver, [putOf("small", "small")], "small")), ["permission"]);
  assertEquals(openFilesIn(temp.path), before);
  receiver.root.anchor = anchor;
  assertEquals(outcomes(await apply(receiver, [putOf("big", big)])), ["done"]);
  assertEquals([...Deno.readDirSync(`${temp.path}/.filesync/tmp`)], []);
});

Deno.test("applyBatch() does not hide by a move that somebody edited the file", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  await apply(receiver, [putOf("f", "good")], "good");
  Deno.writeTextFileSync(`${temp.path}/f`, "evil");
  // As programs do that keep times, and disks that are repaired.
  Deno.utimeSync(`${temp.path}/f`, new Date(OLD), new Date(OLD));
  await apply(receiver, [{ type: "move", from: parsePath("f"), path: parsePath("g") }]);
  await receiver.refresh();
  const entry = await receiver.entry(parsePath("g"));
  assertEquals(entry?.kind === "file" && entry.digest, sha256(bytesOf("evil")));
});

Deno.test("applyBatch() answers for a mode and a time when they are on the disk", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  await apply(receiver, [putOf("d/f", "f"), putOf("g", "g")], "f", "g");
  const { anchor } = receiver.root;
  const synced: string[] = [];
  receiver.root.anchor = () => {
    const real = anchor.call(receiver.root);
    const { syncFile } = real;
    real.syncFile = async (path) => {
      await syncFile.call(real, path);
      const { mode, mtime } = Deno.statSync(`${temp.path}/${path}`);
      synced.push(`${path} ${(mode! & 0o777).toString(8)} ${mtime!.getTime() - OLD}`);
      if (path === "g") throw toFilesyncError("save", Object.assign(new Error(), { code: "EIO" }));
    };
    return real;
  };
  assertEquals(outcomes(await apply(receiver, [putOf("d/f", "f", OLD + 1, 0o600), putOf("g", "g")])), [
    "done",
    "done",
  ]);
  assertEquals(synced, ["d/f 600 1"]);
  const again = { key: "again and again", actions: [putOf("g", "g", OLD + 2)], contents: new Map() };
  await assertRejects(() => receiver.apply(again), FilesyncError, "the disk reports an error");
  assertEquals(receiver.index.sql("SELECT 1 FROM answers WHERE key = 'again and again'").get(), undefined);
});
