/** A sub-directory of a receiver, as a receiver of its own: what shares a tree without meeting. @module */
import type { Action } from "../core/action.ts";
import type { Entry } from "../core/entry.ts";
import { isWithin, rebase, ROOT, type TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import type { HistoryRecord, Receiver, ReceiverInfo } from "./receiver.ts";

/**
 * The directory `top` of `receiver`: all paths are below it, and nothing else is seen or touched. The
 * directory is made when something is put into it.
 *
 * Its sequence moves only when something moves there: it is that of the newest change that touched it. So
 * whoever is alone in `top` has no reason to compare anything, however much others do beside it.
 */
export function subtreeReceiver(receiver: Receiver, top: TreePath): Receiver {
  /** Where our last batch ended: until somebody else came, the next one begins there. */
  let last: number | undefined;

  const outer = (path: TreePath) => path === ROOT ? top : `${top}/${path}` as TreePath;
  const isOurs = (path: string) => path !== top && isWithin(path as TreePath, top);
  const inner = (path: TreePath) => rebase(path, `${top}/` as TreePath, ROOT);

  /** The newest change before the sequence `before` that touched us; 0 when there was none. */
  async function lastTouch(before?: number): Promise<number> {
    const [newest] = await receiver.history({ touching: top, before, limit: 1 });
    return newest?.sequence ?? 0;
  }

  async function asOurs<T extends ReceiverInfo>(info: T): Promise<T> {
    return { ...info, sequence: await lastTouch() };
  }

  function outerAction(action: Action): Action {
    const path = outer(action.path);
    return action.type === "move" ? { ...action, path, from: outer(action.from) } : { ...action, path };
  }

  /** Of what is not known above us, nothing is known here; what is beside us is none of our business. */
  function innerProblems(problem: Problem): Problem[] {
    const { path } = problem;
    if (path === undefined) return [problem];
    if (isOurs(path)) return [{ ...problem, path: inner(path as TreePath) }];
    return isWithin(top, path as TreePath) ? [{ ...problem, path: ROOT }] : [];
  }

  function innerRecord(record: HistoryRecord): HistoryRecord[] {
    const { path, from } = record;
    if (!isOurs(path)) return [];
    const origin = from === undefined || !isOurs(from) ? {} : { from: inner(from) };
    const { from: _from, ...rest } = record;
    return [{ ...rest, path: inner(path), ...origin }];
  }

  return {
    get isNear() {
      return receiver.isNear;
    },
    open: async () => await asOurs(await receiver.open()),
    async refresh() {
      const info = await asOurs(await receiver.refresh());
      return { ...info, problems: info.problems.flatMap(innerProblems) };
    },
    async *tree(under = ROOT): AsyncGenerator<Entry> {
      for await (const entry of receiver.tree(outer(under))) {
        // A server that knows nothing of parts of trees tells the whole.
        if (isOurs(entry.path)) yield { ...entry, path: inner(entry.path) };
      }
    },
    async entry(path) {
      const entry = await receiver.entry(outer(path));
      return entry && { ...entry, path };
    },
    check: (offers) => receiver.check(offers),
    stage: (chunks) => receiver.stage(chunks),
    stageRuns: (runs) => receiver.stageRuns(runs),
    signatures: (requests) => receiver.signatures(requests),
    manifestGroups: (name) => receiver.manifestGroups("path" in name ? { path: outer(name.path) } : name),
    groupChunks: (content, groups) => receiver.groupChunks(content, groups),
    manifest: (content) => receiver.manifest(content),
    pieces: (requests) => receiver.pieces(requests),
    async apply(batch) {
      const { before, after, results } = await receiver.apply({
        ...batch,
        actions: batch.actions.map(outerAction),
      });
      const begin = before === last ? before : await lastTouch(before + 1);
      if (after > before) last = after;
      return {
        before: begin,
        after: after > before ? after : begin,
        results: results.map((result, at) =>
          result.done ? result : { done: false, problem: { ...result.problem, path: batch.actions[at].path } }
        ),
      };
    },
    read: (path, range) => receiver.read(outer(path), range),
    async history({ under = ROOT, touching, ...query }) {
      const scope = touching === undefined ? { under: outer(under) } : { touching: outer(touching) };
      return (await receiver.history({ ...query, ...scope })).flatMap(innerRecord);
    },
    report: receiver.report?.bind(receiver),
    close: () => receiver.close(),
  };
}
