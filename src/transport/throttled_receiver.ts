/** A receiver that is not sent more than so many bytes a second. @module */
import type { Pace } from "../core/pace.ts";
import type { Receiver } from "./receiver.ts";

/** Wraps `receiver` so that content goes out as fast as `pace` allows, which several may share. */
export function throttledReceiver(receiver: Receiver, pace: Pace, signal: AbortSignal): Receiver {
  const pay = (bytes: number) => pace.pay(bytes, signal);
  return {
    isNear: false,
    open: () => receiver.open(),
    refresh: () => receiver.refresh(),
    tree: (under) => receiver.tree(under),
    entry: (path) => receiver.entry(path),
    check: (offers) => receiver.check(offers),
    async stage(chunks) {
      await pay(chunks.reduce((sum, { data }) => sum + data.length, 0));
      return await receiver.stage(chunks);
    },
    async stageRuns(runs) {
      await pay(runs.reduce((sum, { data }) => sum + data.length, 0));
      return await receiver.stageRuns(runs);
    },
    signatures: (requests) => receiver.signatures(requests),
    manifestGroups: (name) => receiver.manifestGroups(name),
    groupChunks: (content, groups) => receiver.groupChunks(content, groups),
    manifest: (content) => receiver.manifest(content),
    pieces: (requests) => receiver.pieces(requests),
    async apply(batch) {
      const sent = [...batch.contents.values(), ...batch.deltas?.values() ?? []];
      await pay(sent.reduce((sum, { length }) => sum + length, 0));
      return await receiver.apply(batch);
    },
    read: (path, range) => receiver.read(path, range),
    history: (query) => receiver.history(query),
    report: receiver.report?.bind(receiver),
    close: () => receiver.close(),
  };
}
