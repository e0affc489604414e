/**
 * Where paths come from: `Deno.watchFs` on a tree, with what it takes to notice when it lies.
 * It runs in a Worker ({@linkcode openWorkerFeed}), so that a busy program does not make it
 * drop events and a hanging watch can be thrown away.
 *
 * A feed promises only this: a path that changed is told, or `lost` is, or it ends; or it falls
 * silent, without even `alive`, and is to be thrown away.
 *
 * @module
 */
import { requireWorkerRoom } from "../chunking/worker_room.ts";
import { toFilesyncError } from "../core/errors.ts";
import { Auditor } from "./audit.ts";
import { BACKLOG_LIMIT, Canary } from "./canary.ts";
import { findSpecials, leadsInside, releasePipes } from "./specials.ts";

/** What a feed needs to know. */
export interface FeedSettings {
  /** The directory to watch, as `Deno.realPath` names it. */
  root: string;
  /** A directory outside the tree for the canary file. */
  canaryDirectory: string;
  /** Milliseconds between two signs of life. */
  canaryMs: number;
  /** Milliseconds of silence after which a sign of life is missing. */
  echoMs: number;
  /** Whether the feed before this one may still hang at a named pipe. */
  release: boolean;
}

/** Why a feed ended. */
export type FeedEnd =
  /** The system gives no more of what `limit` counts. */
  | { why: "exhausted"; reason: string; limit: "watches" | "instances" }
  /** A directory must not be read. */
  | { why: "denied"; reason: string }
  /** Its watches do not fit the tree any more. */
  | { why: "outdated"; reason: string }
  /** Events do not come through any more. */
  | { why: "stalled"; reason: string }
  /** It has to be opened anew, for whatever reason. */
  | { why: "failed"; reason: string };

/** What a feed tells. */
export type FeedMessage =
  /** The watches stand. `pipes` were found while releasing the feed before, relative to the root. */
  | { type: "ready"; pipes: string[] }
  /** Something may have happened at these paths, relative to the root. */
  | { type: "paths"; paths: string[] }
  /** Something happened to the root itself. */
  | { type: "root" }
  /** Events get through. */
  | { type: "alive" }
  /** Events were lost, or may have been. */
  | { type: "lost"; reason: string }
  /** There was an event for a name that is not valid Unicode. */
  | { type: "unnamable" }
  /** The last message. */
  | { type: "ended"; end: FeedEnd };

/** Starts a feed; disposing of it ends it without a message. */
export type OpenFeed = (settings: FeedSettings, post: (message: FeedMessage) => void) => Disposable;

/** A feed in a Worker of its own. */
export const openWorkerFeed: OpenFeed = (settings, post) => {
  try {
    requireWorkerRoom();
  } catch (error) {
    const { reason } = toFilesyncError("start a worker", error);
    queueMicrotask(() => post({ type: "ended", end: { why: "failed", reason } }));
    return { [Symbol.dispose]() {} };
  }
  const worker = new Worker(new URL("./watch_worker.ts", import.meta.url), {
    type: "module",
    name: "watcher",
  });
  worker.onmessage = ({ data }) => post(data);
  worker.onerror = (event) => {
    event.preventDefault();
    post({ type: "ended", end: { why: "failed", reason: event.message } });
  };
  worker.postMessage(settings);
  return { [Symbol.dispose]: () => worker.terminate() };
};

/** How long events are gathered before they are told, milliseconds. */
const BATCH_MS = 1;

/** Between two audits, milliseconds, and the most of the time that they may take. */
const LEAST_AUDIT_PAUSE = 1_000;
const AUDIT_SHARE = 0.01;

/** Watches until the watch ends or fails; the end is the last message. */
export async function runFeed(
  settings: FeedSettings,
  post: (message: FeedMessage) => void,
  watchFs: typeof Deno.watchFs = Deno.watchFs,
): Promise<void> {
  const { root, canaryDirectory, release } = settings;
  const canaryFile = `${canaryDirectory}/canary`;
  const pipes: string[] = [];
  let watch: Deno.FsWatcher;
  try {
    Deno.mkdirSync(canaryDirectory, { recursive: true });
    // Empty, so that a full disk has room for it.
    Deno.openSync(canaryFile, { write: true, create: true }).close();
  } catch (error) {
    const { reason } = toFilesyncError("start watching", error);
    return post({ type: "ended", end: { why: "failed", reason: `its state cannot be written: ${reason}` } });
  }
  try {
    if (release) {
      for await (const { kind, path } of findSpecials(root)) if (kind === "pipe") pipes.push(path);
      await releasePipes(pipes.map((path) => `${root}/${path}`));
    }
    watch = watchFs([root, canaryDirectory], { recursive: true });
  } catch (error) {
    return post({ type: "ended", end: endOf(error) });
  }
  post({ type: "ready", pipes });

  /** Every link to a directory inside that was ever seen. */
  const links = new Set<string>();
  /** There was an event in a directory that is not there, and was not when it was last looked: a link's name for another one. */
  let hasStrays = false;
  const auditor = new Auditor(root);
  let auditing: ReturnType<typeof setTimeout> | undefined;
  const canary = new Canary(settings);
  const batch = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let flushing: ReturnType<typeof setTimeout> | undefined;
  let end: FeedEnd | undefined;

  function stop(why: FeedEnd) {
    if (end !== undefined) return;
    end = why;
    post({ type: "ended", end }); // before closing, which waits for ever for a watch that hangs
    watch.close();
  }

  function flush() {
    const { told, strays } = toTree(root, batch);
    batch.clear();
    if (told.includes("")) post({ type: "root" });
    const inside = told.filter((path) => path !== "");
    if (inside.length > 0) post({ type: "paths", paths: inside });
    if (inside.some((path) => links.has(path))) {
      return stop({ why: "outdated", reason: "a link to a watched directory changed" });
    }
    for (const path of inside) if (leadsInside(root, `${root}/${path}`)) links.add(path);
    hasStrays ||= links.size > 0 && strays.some((directory) => !auditor.knows(directory));
  }

  function beat() {
    const step = canary.next(performance.now());
    if (step === "stalled") {
      return stop({ why: "stalled", reason: "the system has stopped sending events" });
    }
    if (step === "touch") touch(canaryFile);
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(beat, Math.max(0, canary.wakeAt - performance.now()));
  }

  async function audit() {
    const found = await auditor.audit();
    if (end !== undefined) return;
    for (const path of found.links) links.add(path);
    if (hasStrays) {
      post({ type: "lost", reason: "what changed was known by the name of a link that is gone" });
    }
    hasStrays = false;
    if (found.changed.length > 0) post({ type: "paths", paths: found.changed });
    if (found.unwatched !== undefined) {
      return stop({ why: "outdated", reason: `the watch of "${found.unwatched}" was lost` });
    }
    const pause = Math.max(LEAST_AUDIT_PAUSE, found.took / AUDIT_SHARE);
    auditing = setTimeout(() => audited = audit(), pause);
  }

  schedule();
  let audited = audit();
  const events = watch[Symbol.asyncIterator]();
  while (end === undefined) {
    try {
      const { done, value } = await events.next();
      if (done) {
        stop({ why: "failed", reason: "the watch ended by itself" });
        break;
      }
      if (value.flag === "rescan") {
        post({ type: "lost", reason: "more events came than could be taken" });
        continue; // its paths are the watched directories, not what changed
      }
      if (value.paths.includes(canaryFile)) {
        const echo = canary.echoed(performance.now());
        if (echo === "incomplete") {
          post({ type: "lost", reason: `more than ${BACKLOG_LIMIT} events waited at once` });
        }
        post({ type: "alive" });
        schedule();
        continue;
      }
      canary.heard(1, performance.now());
      for (const path of value.paths) batch.add(path);
      flushing ??= setTimeout(() => {
        flushing = undefined;
        flush();
        schedule();
      }, BATCH_MS);
    } catch (error) {
      // The watch goes on after an error; what it was about decides whether that helps.
      if (error instanceof TypeError && error.message.includes("UTF-8")) post({ type: "unnamable" });
      else stop(endOf(error));
    }
  }
  clearTimeout(timer);
  clearTimeout(flushing);
  clearTimeout(auditing);
  await audited;
}

/** Touches without writing: one event, and nothing for the disk to do but a time. */
function touch(file: string) {
  try {
    Deno.utimeSync(file, 0, Math.floor(performance.now()));
  } catch {
    // The echo will be missing, and the feed is opened anew with a new file.
  }
}

/** Paths of events, in words of the tree; all relative to the root. */
export interface TreePaths {
  /** The paths, under the names the tree knows them by. */
  told: string[];
  /** Directories of paths that are not there: removed, or known by a link that was. */
  strays: string[];
}

/**
 * Translates paths of events: one below a link to a directory is one of the directory itself, or of
 * nothing in the tree.
 */
export function toTree(root: string, paths: Iterable<string>): TreePaths {
  const directories = new Map<string, string | undefined>();
  const told = new Set<string>();
  const strays: string[] = [];
  for (const path of paths) {
    if (path === root) told.add("");
    if (!path.startsWith(`${root}/`)) continue;
    const slash = path.lastIndexOf("/");
    const directory = path.slice(0, slash);
    if (!directories.has(directory)) {
      const found = realDirectory(directory);
      directories.set(directory, found);
      if (found === undefined) strays.push(directory.slice(root.length + 1));
    }
    const real = directories.get(directory) ?? directory;
    if (real === root || real.startsWith(`${root}/`)) {
      told.add(real.slice(root.length + 1) + path.slice(slash));
    }
  }
  return { told: Array.from(told, (path) => path.startsWith("/") ? path.slice(1) : path), strays };
}

function realDirectory(directory: string): string | undefined {
  try {
    return Deno.realPathSync(directory);
  } catch {
    return undefined; // it is gone, and so is what was in it
  }
}

/** What an error of `Deno.watchFs` means. The messages are notify's and the system's. */
export function endOf(error: unknown): FeedEnd {
  const reason = error instanceof Error ? error.message : String(error);
  if (/watch limit|no space left|os error 28/i.test(reason)) {
    return { why: "exhausted", reason, limit: "watches" };
  }
  if (/too many open files|os error 24/i.test(reason)) {
    return { why: "exhausted", reason, limit: "instances" };
  }
  if (error instanceof Deno.errors.PermissionDenied) return { why: "denied", reason };
  return { why: "failed", reason };
}
