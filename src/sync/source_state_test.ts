import { assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { SourceState, STATE_FILE, stateName } from "./source_state.ts";

const clock = new FakeClock();
const p = (...paths: string[]) => paths as TreePath[];

function problem(path: string, message = `Cannot read "${path}": no`): Problem & { path: string } {
  return { code: "permission", path, message, permanent: false };
}

Deno.test("SourceState keeps what was seen and queued over a restart", () => {
  using temp = new TempDirectory();
  const [a] = p("a");
  {
    using state = new SourceState(temp.path, { clock });
    state.index.transaction(() => {
      state.index.put({ kind: "directory", path: a, mtime: 1, mode: 0o755 }, {
        ctime: 1,
        dev: 1,
        ino: 1,
        lookedAt: 1,
      });
      state.queue.add([{ action: { type: "directory", path: a, mtime: 1, mode: 0o755 } }]);
    });
    state.addProblem(problem("b"), 7);
    state.setForeign(p("c"));
  }
  using state = new SourceState(temp.path, { clock });
  assertEquals(state.index.get(a)?.kind, "directory");
  assertEquals(state.queue.size, 1);
  assertEquals(state.problems(), [{ problem: problem("b"), since: 7 }]);
  assertEquals(state.foreignWithin(p("c")[0]), p("c"));
});

Deno.test("SourceState still knows of a problem that it could not forget, and forgets it later", () => {
  using temp = new TempDirectory();
  using state = new SourceState(temp.path, { clock });
  state.addProblem(problem("a"), 1);
  state.index.db.exec("PRAGMA query_only = ON");
  assertThrows(() => state.dropProblem("a"));
  state.index.db.exec("PRAGMA query_only = OFF");
  assertEquals([state.problemCount, state.problems().length], [1, 1]);
  state.dropProblem("a");
  assertEquals([state.problemCount, state.problems().length], [0, 0]);
});

Deno.test("SourceState records what was seen and what is queued together, or neither", () => {
  using temp = new TempDirectory();
  using state = new SourceState(temp.path, { clock });
  const [path] = p("a");
  assertThrows(() =>
    state.index.transaction(() => {
      state.index.put({ kind: "directory", path, mtime: 1, mode: 0 }, {
        ctime: 1,
        dev: 1,
        ino: 1,
        lookedAt: 1,
      });
      state.queue.add([{ action: { type: "directory", path, mtime: 1, mode: 0 } }]);
      throw new Error("a power cut");
    })
  );
  assertEquals([state.index.get(path), state.queue.size], [undefined, 0]);
});

Deno.test("SourceState is for one process, but others may look", () => {
  using temp = new TempDirectory();
  using _state = new SourceState(temp.path, { clock });
  const error = assertThrows(() => new SourceState(temp.path, { clock }), FilesyncError);
  assertEquals(error.code, "locked");
  assertMatch(error.hint ?? "", /Stop process/);
  using reader = new SourceState(temp.path, { clock, readOnly: true });
  assertEquals(reader.queue.size, 0);
});

Deno.test("SourceState refuses to look where nothing is, and leaves nothing there", () => {
  using temp = new TempDirectory();
  const error = assertThrows(
    () => new SourceState(`${temp.path}/none`, { clock, readOnly: true }),
    FilesyncError,
  );
  assertEquals(error.code, "not-found");
  assertEquals([...Deno.readDirSync(temp.path)], []);
});

Deno.test("SourceState lets go of its lock when it cannot open what is there", () => {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/${STATE_FILE}`, "not a database, however long one looks at it");
  for (let round = 0; round < 2; round++) {
    const error = assertThrows(() => new SourceState(temp.path, { clock }), FilesyncError);
    assertNotEquals(error.code, "locked");
  }
});

Deno.test("addProblem() says what is news", () => {
  using temp = new TempDirectory();
  using state = new SourceState(temp.path, { clock });
  assertEquals(state.addProblem(problem("a"), 1), true);
  assertEquals(state.addProblem(problem("a"), 2), false);
  assertEquals(state.addProblem(problem("a", "Cannot list it"), 3), true);
  assertEquals(state.problems(), [{ problem: problem("a", "Cannot list it"), since: 1 }]);
});

Deno.test("dropProblem() and keepProblems() forget what is over", () => {
  using temp = new TempDirectory();
  using state = new SourceState(temp.path, { clock });
  for (const path of ["a", "b", "c"]) state.addProblem(problem(path), 1);
  state.dropProblem(p("a")[0]);
  state.dropProblem(p("never")[0]);
  assertEquals(state.problems().map(({ problem }) => problem.path), ["b", "c"]);
  state.keepProblems(new Set(["c", "d"]));
  assertEquals(state.problems().map(({ problem }) => problem.path), ["c"]);
});

Deno.test("foreignWithin() gives a path and what is below it, and nothing beside it", () => {
  using temp = new TempDirectory();
  using state = new SourceState(temp.path, { clock });
  state.setForeign(p("d", "d/e", "d/e/f", "d!", "dd", "e"));
  assertEquals(state.foreignWithin(p("d")[0]), p("d", "d/e", "d/e/f"));
  assertEquals(state.foreignWithin(p("x")[0]), []);
  state.claim(p("d")[0]);
  assertEquals(state.foreignWithin(p("d")[0]), p("d/e", "d/e/f"));
  state.setForeign(p("e"));
  assertEquals(state.foreignWithin(p("d")[0]), []);
});

Deno.test("stateName() is another for every pair", () => {
  const names = [stateName("/a", "b"), stateName("/a", "c"), stateName("/ab", ""), stateName("/b", "b")];
  assertEquals(new Set(names).size, names.length);
  assertEquals(stateName("/a", "b"), names[0]);
  assertMatch(names[0], /^[0-9a-f]{16}$/);
});
