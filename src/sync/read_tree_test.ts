import { assertEquals } from "@std/assert";
import { withTemp } from "../../tests/support/temp.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { sha256 } from "../hashing/sha256.ts";
import { readTree } from "./read_tree.ts";

Deno.test("readTree() reads few small files by itself, and has the pool read more", () =>
  withTemp(async (dir) => {
    const asked: number[] = [];
    const pool = {
      digestMany(paths: string[]) {
        asked.push(paths.length);
        return Promise.resolve(paths.map((path) => ({ size: 0, digest: sha256(Deno.readFileSync(path)) })));
      },
    };
    async function digests() {
      using root = TreeRoot.open(dir);
      const rules = IgnoreRules.load(root);
      const all = await Array.fromAsync(readTree(root, { rules, pool, onProblem: () => {} }));
      return all.map(({ entry }) => entry.kind === "file" ? entry.digest : entry.kind);
    }
    makeTree(dir, { a: "1", "d/b": "22" });
    assertEquals(
      await digests(),
      ["1", undefined, "22"].map((text) =>
        text === undefined ? "directory" : sha256(new TextEncoder().encode(text))
      ),
    );
    assertEquals(asked, []);
    Deno.writeFileSync(`${dir}/a`, new Uint8Array((4 << 20) + 1));
    assertEquals((await digests()).length, 3);
    assertEquals(asked, [2]);
  }));
