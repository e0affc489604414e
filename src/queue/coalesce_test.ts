import { assertEquals } from "@std/assert";
import type { Action } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { parsePath } from "../core/path.ts";
import { coalesce, remainderOf, successorOf, type Waiting } from "./coalesce.ts";

const put = (path: string, content = "1"): Action => ({
  type: "put",
  path: parsePath(path),
  size: 1,
  mtime: 0,
  mode: 0o644,
  digest: content as Digest,
});
const directory = (path: string, mtime = 0): Action => ({
  type: "directory",
  path: parsePath(path),
  mtime,
  mode: 0o755,
});
const symlink = (path: string): Action => ({ type: "symlink", path: parsePath(path), mtime: 0, target: "x" });
const remove = (path: string): Action => ({ type: "remove", path: parsePath(path) });
const move = (from: string, path: string): Action => ({
  type: "move",
  from: parsePath(from),
  path: parsePath(path),
});
const waits = (action: Action, state: Partial<Waiting> = {}): Waiting => ({
  action,
  fresh: false,
  tried: false,
  inFlight: false,
  ...state,
});

/** The order after `next` joined `rows`, as far as `coalesce` decides it in one step. */
function joined(rows: Waiting[], next: Action, fresh = false): Action[] {
  const { drop, replace, insert, append } = coalesce(rows, next, fresh);
  return [
    ...rows.filter((row) => !drop.includes(row)).map((row) => row === replace?.row ? replace.by : row.action),
    ...(insert === undefined ? [] : [insert.action]),
    ...append.map(({ action }) => action),
  ];
}

const cases: [name: string, rows: Waiting[], next: Action, after: Action[]][] = [
  ["put, put: the later in the place of the first", [waits(put("a")), waits(put("b"))], put("a", "2"), [
    put("a", "2"),
    put("b"),
  ]],
  ["put tried, put: the later", [waits(put("a"), { tried: true })], put("a", "2"), [put("a", "2")]],
  ["put in flight, put: both", [waits(put("a"), { inFlight: true, tried: true })], put("a", "2"), [
    put("a"),
    put("a", "2"),
  ]],
  ["put, link: the link", [waits(put("a"))], symlink("a"), [symlink("a")]],
  ["directory, directory: the later", [waits(directory("a"))], directory("a", 5), [directory("a", 5)]],
  ["directory, put: both, for the directory may have content", [waits(directory("a"))], put("a"), [
    directory("a"),
    put("a"),
  ]],
  [
    "put, move away, put: all, for the move reads what the first put",
    [
      waits(put("a"), { inFlight: true }),
      waits(move("a", "b")),
    ],
    put("a", "2"),
    [put("a"), move("a", "b"), put("a", "2")],
  ],
  ["put, remove: remove", [waits(put("a"))], remove("a"), [remove("a")]],
  ["fresh put, remove: nothing", [waits(put("a"), { fresh: true })], remove("a"), []],
  ["fresh put tried, remove: remove", [waits(put("a"), { fresh: true, tried: true })], remove("a"), [
    remove("a"),
  ]],
  ["remove drops what waits below", [waits(put("d/a")), waits(remove("d/b")), waits(put("e"))], remove("d"), [
    put("e"),
    remove("d"),
  ]],
  [
    "remove of a fresh directory and its content: nothing",
    [
      waits(directory("d"), { fresh: true }),
      waits(put("d/a"), { fresh: true }),
    ],
    remove("d"),
    [],
  ],
  [
    "remove of a fresh directory with something in flight: remove",
    [
      waits(directory("d"), { fresh: true }),
      waits(put("d/a"), { inFlight: true, tried: true }),
    ],
    remove("d"),
    [directory("d"), put("d/a"), remove("d")].slice(1),
  ],
  ["remove, remove: one", [waits(remove("a"))], remove("a"), [remove("a")]],
  ["remove of a directory, remove below it: the first", [waits(remove("d"))], remove("d/a"), [remove("d")]],
  ["a chain of moves: one, and nothing in between", [waits(move("a", "b"))], move("b", "c"), [
    remove("b"),
    move("a", "c"),
  ]],
  ["a chain over a free place: one move", [waits(move("a", "b"), { fresh: true })], move("b", "c"), [
    move("a", "c"),
  ]],
  ["there and back: nothing", [waits(move("a", "b"), { fresh: true })], move("b", "a"), []],
  ["a chain with a tried move: both", [waits(move("a", "b"), { fresh: true, tried: true })], move("b", "c"), [
    move("a", "b"),
    move("b", "c"),
  ]],
  [
    "a chain with a put at its origin: all",
    [waits(move("a", "b"), { fresh: true }), waits(put("a"))],
    move("b", "c"),
    [
      move("a", "b"),
      put("a"),
      move("b", "c"),
    ],
  ],
  ["a move carries what waits below it", [waits(put("d/a"))], move("d", "e"), [move("d", "e"), put("e/a")]],
  ["a fresh put, move: put at the new place", [waits(put("a"), { fresh: true })], move("a", "b"), [put("b")]],
];

for (const [name, rows, next, after] of cases) {
  Deno.test(`coalesce() ${name}`, () => assertEquals(joined(rows, next), after));
}

Deno.test("coalesce() keeps fresh only what nothing in the queue comes before", () => {
  const fresh = (rows: Waiting[]) => coalesce(rows, put("d/a"), true).insert?.fresh;
  assertEquals(fresh([]), true);
  assertEquals(fresh([waits(directory("d"))]), true);
  assertEquals(fresh([waits(put("d/a"), { inFlight: true, tried: true })]), false);
  assertEquals(fresh([waits(move("x", "d"))]), false);
});

Deno.test("remainderOf() forgets what later actions overtake, and follows a move", () => {
  assertEquals(remainderOf(put("d/a"), put("d/a", "2")), undefined);
  assertEquals(remainderOf(put("d/a"), remove("d")), undefined);
  assertEquals(remainderOf(put("d/a"), put("d/b")), put("d/a"));
  assertEquals(remainderOf(directory("d"), remove("d/b")), directory("d"));
  assertEquals(remainderOf(put("d/a"), move("d", "e")), put("e/a"));
  assertEquals(remainderOf(remove("d"), put("d/a")), undefined);
  assertEquals(remainderOf(move("a", "b"), put("b")), undefined);
});

Deno.test("successorOf() is the next action that would undo it anyway", () => {
  const [again, gone, away] = [waits(put("d/a", "2")), waits(remove("d")), waits(move("d", "e"))];
  assertEquals(successorOf(put("d/a"), [again, gone]), again);
  assertEquals(successorOf(put("d/a"), [gone]), gone);
  assertEquals(successorOf(put("d/a"), [away, gone]), undefined);
  assertEquals(successorOf(remove("d/a"), [again]), undefined);
  assertEquals(successorOf(move("x", "d/a"), [gone]), undefined);
});
