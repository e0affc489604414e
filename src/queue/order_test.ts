/** Whatever happens on the way, the receiver ends with the tree that the raw actions describe. @module */
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Action, dependOnEachOther } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { isWithin, parentOf, parsePath, rebase, ROOT, type TreePath } from "../core/path.ts";
import { ActionQueue, QUEUE_MIGRATION, type QueuedAction } from "./action_queue.ts";

/** A tree, reduced to what tells entries apart: `d…` a directory, else a leaf. */
type Model = Map<TreePath, string>;

/** What a receiver does. */
function apply(model: Model, action: Action): void {
  const { path } = action;
  if (action.type === "remove") return clear(model, path);
  if (action.type === "move") {
    const moved = [...model].filter(([p]) => isWithin(p, action.from));
    if (moved.length === 0) return;
    clear(model, action.from);
    clear(model, path);
    makeParents(model, path);
    for (const [p, what] of moved) model.set(rebase(p, action.from, path), what);
    return;
  }
  makeParents(model, path);
  if (action.type === "directory") {
    model.set(path, `d${action.mtime}`);
  } else {
    clear(model, path);
    model.set(path, action.type === "put" ? `f${action.digest}` : `l${action.target}`);
  }
}

function clear(model: Model, path: TreePath) {
  for (const p of [...model.keys()]) if (isWithin(p, path)) model.delete(p);
}

function makeParents(model: Model, path: TreePath) {
  for (let p = parentOf(path); p !== ROOT; p = parentOf(p)) {
    if (!model.get(p)?.startsWith("d")) model.set(p, "d");
  }
}

const PATHS = ["a", "b", "a/a", "a/b", "b/a", "a/a/a", "a-b"].map(parsePath);

/** One thing a user does to the source tree, as the actions it leads to; none when it is impossible there. */
function edit(source: Model, what: number, at: number, to: number, stamp: number): Action[] {
  // What is removed, replaced or renamed mostly exists.
  const standings = [...source.keys()];
  const path = what < 4 || standings.length === 0
    ? PATHS[at % PATHS.length]
    : standings[at % standings.length];
  const other = PATHS[to % PATHS.length];
  const parent = parentOf(path);
  const standing = source.get(path);
  const hasParent = parent === ROOT || source.get(parent)?.startsWith("d");
  const digest = String(stamp) as Digest;
  switch (what) {
    case 0:
    case 1: // write a file
      if (!hasParent || standing?.startsWith("d")) return [];
      return [{ type: "put", path, size: stamp % 7, mtime: stamp, mode: 0o644, digest }];
    case 2: // make or change a directory
      if (!hasParent || (standing !== undefined && !standing.startsWith("d"))) return [];
      return [{ type: "directory", path, mtime: stamp, mode: 0o755 }];
    case 3: // link
      if (!hasParent || standing?.startsWith("d")) return [];
      return [{ type: "symlink", path, mtime: stamp, target: digest }];
    case 4: // remove
      return [{ type: "remove", path }];
    case 5: { // replace by the other kind
      if (!hasParent || standing === undefined) return [];
      return [
        { type: "remove", path },
        standing.startsWith("d")
          ? { type: "put", path, size: 1, mtime: stamp, mode: 0o644, digest }
          : { type: "directory", path, mtime: stamp, mode: 0o755 },
      ];
    }
    default: { // rename, as rename(2) allows it
      const landing = parentOf(other);
      if (standing === undefined || path === other || isWithin(other, path) || isWithin(path, other)) {
        return [];
      }
      if (landing !== ROOT && !source.get(landing)?.startsWith("d")) return [];
      const there = source.get(other);
      if (there !== undefined) {
        if (there.startsWith("d") !== standing.startsWith("d")) return [];
        if ([...source.keys()].some((p) => p !== other && isWithin(p, other))) return [];
      }
      return [{ type: "move", from: path, path: other }];
    }
  }
}

type Step =
  | { do: "edit"; edits: [what: number, at: number, to: number][] }
  | { do: "take"; items: number; bytes: number }
  | { do: "land"; which: number; applied: boolean; how: "done" | "retry" | "release" }
  | { do: "wait"; ms: number }
  | { do: "crash"; applied: boolean };

const number = fc.nat(1000);
const edits = fc.array(fc.tuple(fc.nat(9), number, number), { minLength: 1, maxLength: 3, size: "max" });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("edit" as const), edits }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("take" as const),
      items: fc.integer({ min: 1, max: 5 }),
      bytes: fc.nat(12),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("land" as const),
      which: number,
      applied: fc.boolean(),
      how: fc.constantFrom("done" as const, "retry" as const, "release" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(3000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), applied: fc.boolean() }) },
);

/** Where the caller looks to say that an action is fresh. */
const freshness = fc.constantFrom<("never" | "source" | "receiver")[]>("never", "source", "receiver");

/** Runs the steps, drains the queue, and gives both trees. */
function run(before: [number, number, number][], steps: Step[], trust: "never" | "source" | "receiver") {
  const source: Model = new Map();
  const receiver: Model = new Map();
  let stamp = 0;
  let now = 0;
  const clock = { now: () => now, sleep: () => Promise.reject(new Error("not here")) };
  const db = new DatabaseSync(":memory:");
  db.exec(QUEUE_MIGRATION);
  const open = () => new ActionQueue(db, { clock, random: () => 0.5 });
  let queue = open();
  let flying: QueuedAction[] = [];

  const plan = (what: number, at: number, to: number) => edit(source, what, at, to, ++stamp);
  for (const [what, at, to] of before) {
    for (const action of plan(what, at, to)) {
      apply(source, action);
      apply(receiver, action);
    }
  }
  const take = (items: number, bytes: number) => {
    const taken = queue.take({ items, bytes });
    for (const { action } of taken) {
      const clash = flying.find((other) => dependOnEachOther(other.action, action));
      assert(clash === undefined, `${JSON.stringify(action)} overtakes ${JSON.stringify(clash)}`);
    }
    for (const [i, a] of taken.entries()) {
      for (const b of taken.slice(i + 1)) assert(!dependOnEachOther(a.action, b.action));
    }
    flying.push(...taken);
    return taken.length;
  };
  const land = (which: number, applied: boolean, how: "done" | "retry" | "release") => {
    const [flight] = flying.splice(which % flying.length, 1);
    if (applied || how === "done") apply(receiver, flight.action);
    if (how === "done") queue.done([flight.id]);
    else if (how === "release") queue.release([flight.id]);
    else queue.retry([flight.id], { code: "io", message: "Cannot try: test", permanent: false });
  };

  for (const step of steps) {
    switch (step.do) {
      case "edit": {
        const joining: { action: Action; fresh?: boolean }[] = [];
        for (const [what, at, to] of step.edits) {
          for (const action of plan(what, at, to)) {
            const known = trust === "source" ? source : receiver;
            joining.push(trust === "never" ? { action } : { action, fresh: !known.has(action.path) });
            apply(source, action);
          }
        }
        queue.add(joining);
        break;
      }
      case "take":
        take(step.items, step.bytes);
        break;
      case "land":
        if (flying.length > 0) land(step.which, step.applied, step.how);
        break;
      case "wait":
        now += step.ms;
        break;
      case "crash":
        if (step.applied) { for (const { action } of flying) apply(receiver, action); }
        flying = [];
        queue = open();
    }
    const pending = queue.pending();
    assertEquals(queue.size, pending.length);
    assertEquals(
      queue.bytes,
      pending.reduce((sum, { action }) => sum + (action.type === "put" ? action.size : 0), 0),
    );
  }
  for (let rounds = 0; queue.size > 0; rounds++) {
    assert(rounds < 1000, "the queue does not drain");
    now = Math.max(now, queue.nextReadyAt() ?? now);
    take(3, 100);
    while (flying.length > 0) land(0, true, "done");
  }
  db.close();
  return { source, receiver };
}

function text(model: Model): string[] {
  return [...model].map(([path, what]) => `${path} ${what}`).sort();
}

Deno.test("ActionQueue ends with the tree that the raw actions describe", () => {
  fc.assert(
    fc.property(edits, fc.array(step, { maxLength: 40, size: "max" }), freshness, (before, steps, trust) => {
      const { source, receiver } = run(before, steps, trust);
      assertEquals(text(receiver), text(source));
    }),
    { numRuns: 800 },
  );
});
