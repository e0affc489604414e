import { assertEquals, assertThrows } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath, type TreePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { KeptQuery } from "./kept_files.ts";
import { VersionStore } from "./version_store.ts";

const HOUR = 3_600_000;

const file = (path: string, content = path): Entry => ({
  kind: "file",
  path: parsePath(path),
  size: content.length,
  mtime: 1,
  mode: 0o644,
  digest: sha256(new TextEncoder().encode(content)),
});
const link: Entry = { kind: "symlink", path: parsePath("d/l"), mtime: 1, target: "x" };

async function withStore(test: (store: VersionStore) => Promise<void> | void): Promise<void> {
  using temp = new TempDirectory();
  using store = new VersionStore(temp.path);
  using writer = store.writer();
  for (const content of ["d/a", "d/b", "e", "one", "two", "three"]) {
    const data = new TextEncoder().encode(content);
    await writer.add({ digest: sha256(data), size: data.length }, data);
  }
  await writer.commit();
  await test(store);
}

Deno.test("list() gives what was kept last first, below a path, page by page", () =>
  withStore((store) => {
    const kept = [file("d/a"), link, file("e"), file("d/b")];
    store.recordKept(kept.map((entry, i) => ({ entry, keptAt: i, cause: i === 2 ? "moved" : "removed" })));
    const paths = (query?: KeptQuery) => store.keptFiles.list(query).map(({ entry }) => String(entry.path));
    assertEquals(paths(), ["d/b", "e", "d/l", "d/a"]);
    assertEquals(paths({ under: "d" as TreePath }), ["d/b", "d/l", "d/a"]);
    assertEquals(paths({ under: "e" as TreePath }), ["e"]);
    assertEquals(paths({ limit: 2, before: 4 }), ["e", "d/l"]);
    assertEquals(store.keptFiles.get(2), { id: 2, entry: link, keptAt: 1, cause: "removed", since: 0 });
    assertEquals(store.keptFiles.get(3)?.cause, "moved");
    assertEquals(store.keptFiles.get(9), undefined);
  }));

Deno.test("record() records all, or nothing when a content is missing", () =>
  withStore((store) => {
    const files = [file("e"), file("not added")].map((entry) => ({
      entry,
      keptAt: 1,
      cause: "replaced" as const,
    }));
    const error = assertThrows(() => store.recordKept(files), FilesyncError) as FilesyncError;
    assertEquals(error.code, "content-missing");
    assertEquals(store.keptFiles.list(), []);
  }));

Deno.test("prune() judges each path by itself", () =>
  withStore(async (store) => {
    const contents = ["one", "two", "three"];
    store.recordKept(contents.flatMap((content, i) => {
      return ["a", "b"].map((path) => ({
        entry: file(path, content),
        keptAt: i * HOUR,
        cause: "replaced" as const,
      }));
    }));
    store.recordKept([{ entry: file("e"), keptAt: 0, cause: "removed" }]);
    const times = (path: string) =>
      store.keptFiles.versionsOf(parsePath(path)).toReversed().map(({ keptAt }) => keptAt / HOUR);
    assertEquals((await store.prune({ count: 2 }, 3 * HOUR)).keptFiles, 2);
    assertEquals([times("a"), times("b"), times("e")], [[1, 2], [1, 2], [0]]);
    assertEquals((await store.prune({ age: HOUR }, 3 * HOUR)).keptFiles, 3);
    assertEquals([times("a"), times("b"), times("e")], [[2], [2], []]);
  }));

Deno.test("prune() counts from what came last, although the clock was a day ahead for a while", () =>
  withStore(async (store) => {
    const now = 1_000 * HOUR;
    // The first two came while it was, the others after it had been set right.
    const times = [now + 24 * HOUR, now + 25 * HOUR, now + HOUR, now + 2 * HOUR];
    const contents = ["one", "two", "three", "d/a"];
    contents.forEach((content, i) =>
      store.recordKept([{ entry: file("e", content), keptAt: times[i], cause: "replaced" }])
    );
    await store.prune({ count: 2 }, now + 3 * HOUR);
    const left = store.keptFiles.versionsOf("e" as TreePath).map(({ keptAt }) => keptAt);
    assertEquals(left, times.slice(2).reverse());
  }));
