/**
 * A process that swaps directories and files of a tree for links that lead out of it, and back, as
 * fast as it can: `deno run swapper.ts <tree> <outside> <seed> <path>…`. It prints how many swaps it made when
 * its input ends.
 *
 * @module
 */
import { parsePath, type TreePath } from "../../src/core/path.ts";
import { TreeRoot } from "../../src/files/tree_root.ts";
import { picker, randomFrom } from "./attack.ts";

/** Swaps `path` for a link to `target`, holds it so for a moment, and swaps back. */
function swap(root: TreeRoot, path: TreePath, target: string, hold: () => void): void {
  // Not by paths: they would lead this process itself through links that others made, and out of the tree.
  using anchor = root.anchor();
  const aside = parsePath(`${path}.aside`);
  const attempts = [
    () => anchor.rename(path, aside),
    () => anchor.makeSymlink(target, path),
    hold,
    () => anchor.removeFile(path),
    () => anchor.rename(aside, path),
    // What stood in the way stays, and what was aside goes, as far as it can.
    () => anchor.removeFile(aside),
    () => anchor.removeDirectory(aside),
  ];
  for (const attempt of attempts) {
    try {
      attempt();
    } catch {
      // Somebody else changed it meanwhile.
    }
  }
}

if (import.meta.main) {
  const [tree, outside, seed, ...paths] = Deno.args;
  const { one, below } = picker(randomFrom(Number(seed)));
  using root = TreeRoot.open(tree, { anchoring: "descriptors" });
  let ended = false;
  (async () => {
    for await (const _ of Deno.stdin.readable) { /* Until it ends. */ }
    ended = true;
  })();
  let swaps = 0;
  while (!ended) {
    for (let i = 0; i < 200; i++) {
      const path = one(paths);
      // The link leads to where the same names stand, outside.
      const target = one([
        outside,
        `${outside}/a`,
        `${outside}/x`,
        `${outside}/f`,
        `${outside}/canary`,
      ]);
      swap(root, parsePath(path), target, () => {
        for (let spin = below(2_000); spin > 0; spin--);
      });
      swaps++;
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  Deno.stdout.writeSync(new TextEncoder().encode(`${swaps}\n`));
}
