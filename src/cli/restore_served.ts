/** `filesync restore` of a served tree: into another directory, or back onto the tree itself. @module */
import type { Action } from "../core/action.ts";
import type { Entry } from "../core/entry.ts";
import { areRelated, type TreePath } from "../core/path.ts";
import { ContentFetcher } from "../sync/fetch_contents.ts";
import { entriesOf, findKeptStates } from "../sync/kept_states.ts";
import { restoreOnto } from "../sync/restore_onto.ts";
import type { PieceRequest, Receiver } from "../transport/receiver.ts";
import { VersionStore } from "../versions/version_store.ts";
import type { Context, Invocation } from "./command.ts";
import { incomplete } from "./kept_versions.ts";
import { absolute } from "./places.ts";
import type { RestoreRun, RestoreSource } from "./restore_run.ts";
import { openServed, type ServedPlace, type ServedTree } from "./served_tree.ts";
import { versionsBeside } from "./version_places.ts";

/** Restores `paths` of a served tree, or all of it. Returns the exit code. */
export async function restoreServed(
  run: RestoreRun,
  place: ServedPlace,
  paths: readonly TreePath[],
  { invocation, context }: { invocation: Invocation; context: Context },
): Promise<number> {
  const into = invocation.flag("into");
  await using tree = await openServed(place, { invocation, context, toChange: into === undefined });
  const { versions } = tree;
  const version = invocation.flag("version")!;
  const { completeSince } = await versions.list({ limit: 1 });
  const states = await findKeptStates(versions, { version, paths, now: context.clock.now() });
  const source = { wanted: await entriesOf(versions, states), paths: states.map(({ path }) => path) };
  const oldest = Math.min(...states.map(({ time }) => time));
  const target = into === undefined ? tree.name : absolute(into);
  run.start(`${tree.name} as of ${new Date(oldest).toISOString()}`, target);
  if (oldest < completeSince) {
    run.printer.report({ type: "notice", level: "warning", message: incomplete(completeSince) });
  }
  if (into === undefined) await ontoItself(run, tree.receiver!, source, context);
  else await run.into(target, { ...source, ...contentsOf(tree), withStore: storeBeside(target) });
  return run.finish();
}

async function ontoItself(
  run: RestoreRun,
  receiver: Receiver,
  source: RestoreSource,
  { signal }: Context,
): Promise<void> {
  const standing = new Map<TreePath, Entry>();
  for await (const entry of receiver.tree()) {
    if (source.paths.some((path) => areRelated(entry.path, path))) standing.set(entry.path, entry);
  }
  const plan = await run.plan(source, standing);
  if (run.dryRun) return plan.forEach((action) => run.done(action));
  await restoreOnto(receiver, plan, {
    onDone: (action) => run.done(action),
    onProblem: (problem) => run.problem(problem),
    onProgress: (progress) => run.progress({ ...progress, doneBytes: 0, totalBytes: 0 }),
    signal,
  });
}

function contentsOf({ versions, receiver }: ServedTree) {
  const pieces = receiver && ((requests: PieceRequest[]) => receiver.pieces(requests));
  return {
    contentsFor(plan: readonly Action[]) {
      const contents = new ContentFetcher(
        { versions, pieces },
        plan.filter((action) => action.type === "put"),
      );
      return contents.writeTo.bind(contents);
    },
  };
}

/** What stood in a directory before something was restored into it is kept beside it. */
function storeBeside(directory: string) {
  return async <T>(work: (store: VersionStore) => Promise<T>): Promise<T> => {
    using store = new VersionStore(versionsBeside(directory));
    return await work(store);
  };
}
