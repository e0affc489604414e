/** A receiver that never has a good file replaced by a damaged one. @module */
import type { Action, PutAction } from "../core/action.ts";
import type { Receiver } from "./receiver.ts";

/**
 * Wraps `receiver` so that a put does not replace a file of the same size and time, but other content,
 * unless its own content is known to be good.
 */
export function guardedReceiver(receiver: Receiver, isGood: (put: PutAction) => boolean): Receiver {
  const guarded = (action: Action): Action =>
    action.type !== "put" || action.expected !== undefined || isGood(action)
      ? action
      : { ...action, expected: { kind: "undamaged" } };
  return {
    get isNear() {
      return receiver.isNear;
    },
    open: () => receiver.open(),
    refresh: () => receiver.refresh(),
    tree: (under) => receiver.tree(under),
    entry: (path) => receiver.entry(path),
    check: (offers) => receiver.check(offers),
    stage: (chunks) => receiver.stage(chunks),
    stageRuns: (runs) => receiver.stageRuns(runs),
    signatures: (requests) => receiver.signatures(requests),
    manifestGroups: (name) => receiver.manifestGroups(name),
    groupChunks: (content, groups) => receiver.groupChunks(content, groups),
    manifest: (content) => receiver.manifest(content),
    pieces: (requests) => receiver.pieces(requests),
    apply: (batch) => receiver.apply({ ...batch, actions: batch.actions.map(guarded) }),
    read: (path, range) => receiver.read(path, range),
    history: (query) => receiver.history(query),
    report: receiver.report?.bind(receiver),
    close: () => receiver.close(),
  };
}
