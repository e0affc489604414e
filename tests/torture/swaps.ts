/** The attack by somebody who swaps parents for links while we write, move, remove and read. @module */
import { fromFileUrl } from "@std/path";
import type { Action } from "../../src/core/action.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Digest } from "../../src/core/digest.ts";
import { FilesyncError } from "../../src/core/errors.ts";
import { parsePath, type TreePath } from "../../src/core/path.ts";
import { TreeRoot } from "../../src/files/tree_root.ts";
import { sha256 } from "../../src/hashing/sha256.ts";
import { LocalReceiver } from "../../src/transport/local_receiver.ts";
import { type Attack, type AttackJob, type Figures, picker, randomFrom } from "./attack.ts";
import { CanaryCage, MARK } from "./canary.ts";

/** What is swapped, and what is worked on: the same names stand outside. */
const DIRECTORIES = ["a", "a/b", "x", "x/y"];
const PATHS = [...DIRECTORIES, "f", "canary", "a/f", "a/canary", "a/b/f", "a/b/g", "x/f", "x/y/z", "x/y/f"]
  .map(parsePath);

/** Errors that somebody who changes the tree may cause. */
const MEANT = new Set([
  "bad-range",
  "conflict",
  "content-missing",
  "exists-unknown",
  "not-found",
  "permission",
]);

const attack: Attack = {
  summary: "parents and files swapped for links while everything is written, moved, removed and read",
  unable: () => Deno.build.os === "linux" ? undefined : "trees are held by descriptors on Linux only",
  run,
};

export default attack;

async function run({ signal, seed }: AttackJob): Promise<Figures> {
  using cage = new CanaryCage();
  await cage.close();
  const faults: string[] = [];
  const measured = { done: 0, refused: 0, bytesRead: 0, swaps: 0 };
  let runs = 0;
  {
    await using receiver = new LocalReceiver(cage.tree, { clock: systemClock });
    await receiver.ready;
    using root = TreeRoot.open(cage.tree, { anchoring: "descriptors" });
    const swappers = [1, 2].map((i) => startSwapper(cage, seed + i));
    const pick = picker(randomFrom(seed));
    while (!signal.aborted) {
      // Batches wait for the disk; what they are made of is done by the hundred meanwhile.
      const work = pick.chance(0.6) ? apply(receiver, pick, measured) : read(receiver, pick, measured);
      for (let i = 0; i < 200; i++) faults.push(...touch(root, pick, measured));
      runs += 201;
      try {
        faults.push(...await work);
      } catch (error) {
        if (error instanceof FilesyncError && MEANT.has(error.code)) measured.refused++;
        else faults.push(String(error));
      }
      if (faults.length > 10) break;
    }
    for (const swapper of swappers) measured.swaps += await swapper.end();
  }
  // Links that were left in the tree show nothing of the outside when it is opened anew.
  {
    await using receiver = new LocalReceiver(cage.tree, { clock: systemClock });
    await receiver.ready;
    for await (const entry of receiver.tree()) {
      if (entry.kind !== "file") continue;
      const content = await receiver.read(entry.path).catch(() => null);
      const text = await new Response(content).text();
      if (text.includes(MARK)) faults.push(`"${entry.path}" holds what stands outside`);
    }
  }
  faults.push(...await cage.faults());
  return { runs, faults, measured };
}

type Pick = ReturnType<typeof picker>;

/** Applies some actions at random; gives what went wrong that must not. */
async function apply(
  receiver: LocalReceiver,
  { one, below, random }: Pick,
  measured: { done: number; refused: number },
): Promise<string[]> {
  const contents = new Map<Digest, Uint8Array<ArrayBuffer>>();
  const actions = Array.from({ length: 1 + below(9) }, (): Action => {
    const path = one(PATHS);
    const mtime = Math.floor(random() * 1e12);
    switch (one(["put", "put", "put", "directory", "symlink", "remove", "move"] as const)) {
      case "put": {
        const data = new TextEncoder().encode(`inside ${random()}`.repeat(1 + below(500)));
        const digest = sha256(data);
        contents.set(digest, data);
        return { type: "put", path, size: data.length, mtime, mode: one([0o644, 0o777, 0o400]), digest };
      }
      case "directory":
        return { type: "directory", path, mtime, mode: one([0o755, 0o700, 0o555]) };
      case "symlink":
        return { type: "symlink", path, mtime, target: one(["../canary", "..", "../../canary", "a"]) };
      case "remove":
        return { type: "remove", path };
      case "move":
        return { type: "move", path, from: one(PATHS) };
    }
  });
  const { results } = await receiver.apply({ key: crypto.randomUUID(), actions, contents });
  return results.flatMap((result, i) => {
    if (result.done) {
      measured.done++;
      return [];
    }
    measured.refused++;
    const { code, message } = result.problem;
    return MEANT.has(code) ? [] : [`${actions[i].type} ended with ${code}: ${message}`];
  });
}

/** Does one thing to one path by itself; gives what was read from outside, or went wrong that must not. */
function touch(root: TreeRoot, { one, below }: Pick, measured: { done: number; refused: number }): string[] {
  using anchor = root.anchor();
  const path = one(PATHS);
  const acts: (() => string | void)[] = [
    () => void anchor.lstat(path),
    () => anchor.listWithStats(path).map(({ name }) => name).join(),
    () => anchor.readLink(path) && undefined,
    () => {
      using file = anchor.openRead(path);
      const block = new Uint8Array(4_096);
      return new TextDecoder().decode(block.subarray(0, file.read(block, 0)));
    },
    () => anchor.makeDirectory(path, one([0o755, 0o700])),
    () => void anchor.makeParents(path),
    () => {
      const temp = anchor.createTemp(path);
      try {
        temp.write(new TextEncoder().encode("inside"));
        temp.close();
        anchor.place(temp, path);
      } finally {
        temp.discard();
      }
    },
    () => anchor.makeSymlink(one(["../canary", "..", "a"]), path),
    () => anchor.rename(path, one(PATHS)),
    () => anchor.removeFile(path),
    () => anchor.removeDirectory(path),
    () => anchor.setAttributes(path, { mode: one([0o755, 0o777]), mtime: below(1e9) }),
  ];
  try {
    const text = one(acts)() ?? "";
    measured.done++;
    return text.includes(MARK) ? [`"${path}" was read from outside`] : [];
  } catch (error) {
    if (!(error instanceof FilesyncError) || error.code === "internal") return [String(error)];
    // Such as EINVAL for a directory moved into itself.
    measured.refused++;
    return [];
  }
}

/** Reads in every way there is; gives what was read from outside. */
async function read(
  receiver: LocalReceiver,
  { one, below }: Pick,
  measured: { bytesRead: number },
): Promise<string[]> {
  const path: TreePath = one(PATHS);
  const text = await new Response(await receiver.read(path)).text();
  measured.bytesRead += text.length;
  const entry = await receiver.entry(path);
  if (entry?.kind === "file") {
    const ranges = [{ start: 0, end: below(entry.size + 1) }];
    await receiver.signatures([{ content: entry.digest, blockSize: 512, ranges }]);
  }
  return text.includes(MARK) ? [`"${path}" was read from outside`] : [];
}

function startSwapper({ tree, outside }: CanaryCage, seed: number) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      fromFileUrl(new URL("./swapper.ts", import.meta.url)),
      tree,
      outside,
      String(seed),
      ...PATHS,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  return {
    async end(): Promise<number> {
      await child.stdin.close();
      return Number(await new Response(child.stdout).text());
    },
  };
}
