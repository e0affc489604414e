/** Names that a side without regard to case and Unicode form would take for the same. @module */
import type { Entry } from "../../core/entry.ts";
import { foldPath, type TreePath } from "../../core/path.ts";
import type { Problem } from "../../core/problem.ts";
import type { Plan } from "./reconcile.ts";
import type { Side } from "./triple.ts";

/**
 * The paths that `plan` would make on a side that folds names, and that mean something else there: what
 * stands there under another spelling and stays, or a path made before. Memory grows with the
 * plan, not with the tree.
 *
 * @param standing Everything that stands on that side.
 */
export async function nameClashes(
  plan: Plan,
  side: Side,
  standing: AsyncIterable<Entry>,
): Promise<Problem[]> {
  const made = new Map<string, TreePath>();
  const leaving = new Set<TreePath>();
  const problems: Problem[] = [];
  const make = (path: TreePath) => {
    const first = made.get(foldPath(path));
    if (first === undefined) made.set(foldPath(path), path);
    else if (first !== path) problems.push(clash(path, first));
  };
  for (const { from, path, todo } of plan.renames) {
    if (todo?.side !== side) continue;
    leaving.add(from);
    make(path);
  }
  for (const { path, target, [side]: entry } of [...plan.copies, ...plan.items]) {
    if (target === undefined && entry !== undefined) leaving.add(path);
    if (target !== undefined && entry === undefined) make(path);
  }
  if (made.size === 0) return problems;
  for await (const { path } of standing) {
    const wanted = made.get(foldPath(path));
    if (wanted !== undefined && wanted !== path && !leaving.has(path)) problems.push(clash(wanted, path));
  }
  return problems;
}

function clash(path: TreePath, standing: TreePath): Problem & { path: TreePath } {
  return {
    code: "bad-path",
    path,
    message: `Cannot write "${path}": on that side it is the same name as "${standing}"`,
    hint: "Rename one of the two",
    permanent: true,
  };
}
