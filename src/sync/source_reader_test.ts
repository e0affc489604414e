import { assertEquals, assertThrows } from "@std/assert";
import { SourceBench } from "../../tests/support/source_bench.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { makeTree } from "../../tests/support/trees.ts";
import type { Digest } from "../core/digest.ts";
import type { FileEntry } from "../core/entry.ts";
import type { TreePath } from "../core/path.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import { openContent, SourceChangedError } from "./source_reader.ts";

const encoder = new TextEncoder();
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const f = "f" as TreePath;
const g = "g" as TreePath;

async function withSource(
  test: (source: string, bench: SourceBench, digest: Digest) => void | Promise<void>,
): Promise<void> {
  using temp = new TempDirectory();
  const source = makeTree(`${temp.path}/source`, { f: "hello world", g: "hello world", other: "x" });
  using bench = new SourceBench(source, `${temp.path}/state`);
  await bench.settle();
  await test(source, bench, (bench.state.index.get(f) as FileEntry).digest);
}

/** The piece `text`, which is of the content. */
function piece(text: string) {
  return { digest: chunkDigest(encoder.encode(text)), length: text.length };
}

Deno.test("openContent() gives pieces of a content", async () => {
  await withSource((_source, { root, state }, digest) => {
    using content = openContent(root, state.index, digest, g)!;
    assertEquals(content.path, g);
    assertEquals(text(content.piece(0, piece("hello"))), "hello");
    assertEquals(text(content.piece(6, piece("world"))), "world");
    assertEquals(text(content.piece(0, { digest, length: 11 })), "hello world");
    assertEquals(content.piece(0, piece("")).length, 0);
    assertEquals(text(content.bytes(2, 7)), "llo w");
    assertThrows(() => content.bytes(2, 12), SourceChangedError);
  });
});

Deno.test("openContent() takes any path with the content", async () => {
  await withSource((_source, { root, state }, digest) => {
    using content = openContent(root, state.index, digest, "renamed" as TreePath)!;
    assertEquals(text(content.piece(0, piece("hello"))), "hello");
  });
});

Deno.test("openContent() gives nothing for a content that nobody has any more", async () => {
  await withSource((_source, { root, state }) => {
    assertEquals(openContent(root, state.index, sha256(encoder.encode("gone")), f), undefined);
  });
});

Deno.test("openContent() notices whatever happened to the file", async () => {
  const changes: ((path: string) => void)[] = [
    (path) => Deno.removeSync(path),
    (path) => {
      Deno.removeSync(path);
      Deno.mkdirSync(path);
    },
    (path) => {
      Deno.removeSync(path);
      Deno.symlinkSync("other", path);
    },
    (path) => Deno.writeTextFileSync(path, "HELLO world"),
    (path) => Deno.truncateSync(path, 3),
  ];
  for (const change of changes) {
    await withSource((source, { root, state }, digest) => {
      change(`${source}/f`);
      const error = assertThrows(() => {
        using content = openContent(root, state.index, digest, f)!;
        content.piece(0, piece("hello"));
      }, SourceChangedError);
      assertEquals(error.message, 'Cannot send "f": it changed since it was looked at');
    });
  }
});

Deno.test("piece() notices a change while the file is open", async () => {
  await withSource((source, { root, state }, digest) => {
    using content = openContent(root, state.index, digest, f)!;
    assertEquals(text(content.piece(0, piece("hello"))), "hello");
    Deno.writeTextFileSync(`${source}/f`, "HELLO WORLD");
    assertThrows(() => content.piece(6, piece("world")), SourceChangedError);
  });
});
