/** A served tree and its old states: on a server, or in a directory of this machine. @module */
import { existsSync } from "@std/fs";
import { basename, dirname, join } from "@std/path";
import { FilesyncError } from "../core/errors.ts";
import { parsePath, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { openDatabase } from "../database/open.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { INDEX_MIGRATIONS } from "../index/schema.ts";
import { TreeIndex } from "../index/tree_index.ts";
import { KEPT_DIRECTORY, LocalReceiver } from "../transport/local_receiver.ts";
import { LocalVersions } from "../transport/local_versions.ts";
import type { Receiver } from "../transport/receiver.ts";
import type { TreeVersions } from "../transport/tree_versions.ts";
import { VersionStore } from "../versions/version_store.ts";
import type { Context, Flag, Invocation } from "./command.ts";
import {
  openDestination,
  parseDestination,
  SERVER_FLAGS as TRUST_FLAGS,
  serverTrust,
} from "./destination.ts";
import { pathWithin, realPathOf } from "./places.ts";
import { readToken, TOKEN_FILE_FLAG } from "./token.ts";
import type { FoundVersions } from "./version_places.ts";

/** The flags of commands that may talk to a server. */
export const SERVER_FLAGS: readonly Flag[] = [TOKEN_FILE_FLAG, ...TRUST_FLAGS];

/** A served tree that is named, or a part of it. */
export type ServedPlace = ({ kind: "server"; url: URL } | { kind: "directory"; path: string }) & {
  within?: TreePath;
};

/** A served tree that is open. */
export interface ServedTree extends AsyncDisposable {
  /** How people call it. */
  name: string;
  versions: TreeVersions;
  /** What changes it, and gives many small contents at once; absent when it is only looked at. */
  receiver?: Receiver;
}

/**
 * The server that `text` names: an `http(s)` URL, or host:port where nothing of that name is a file here.
 *
 * @throws {FilesyncError} `usage` when it is a URL of another kind.
 */
export function serverIn(text: string): ServedPlace | undefined {
  const isServer = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ||
    (/^[^/\\\s]+:\d+$/.test(text) && !existsSync(text));
  if (!isServer) return undefined;
  const place = parseDestination(text, Deno.cwd());
  return place.kind === "server" ? { kind: "server", url: place.url, within: place.into } : undefined;
}

/** The served directory whose own store was found; `undefined` when it is a store beside a backup. */
export function servedIn({ store }: FoundVersions, asked: string): ServedPlace | undefined {
  const state = dirname(store);
  if (basename(store) !== KEPT_DIRECTORY || basename(state) !== STATE_DIRECTORY) return undefined;
  const path = dirname(state);
  const within = pathWithin(path, realPathOf(asked));
  return { kind: "directory", path, ...(within ? { within: parsePath(within) } : {}) };
}

/**
 * Opens a served tree. To be changed, a directory must not be served at the same time.
 *
 * @throws {FilesyncError} As `openDestination` and `LocalReceiver` do; `locked` tells how to go through the server.
 */
export async function openServed(
  place: ServedPlace,
  { invocation, context, toChange }: { invocation: Invocation; context: Context; toChange: boolean },
): Promise<ServedTree> {
  if (place.kind === "directory") return toChange ? await openToChange(place, context) : openToLook(place);
  const { clock, version, signal } = context;
  const receiver = openDestination(place, {
    clock,
    token: readToken(invocation, context),
    ...serverTrust(invocation),
    client: "",
    version,
    signal,
  });
  return {
    name: place.url.href.replace(/\/$/, ""),
    receiver,
    versions: receiver.versions!,
    [Symbol.asyncDispose]: () => receiver.close(),
  };
}

/** Opens index and store beside a server that may run. */
function openToLook({ path }: { path: string }): ServedTree {
  using opened = new DisposableStack();
  const root = opened.use(TreeRoot.open(path));
  const state = join(path, STATE_DIRECTORY);
  const db = openDatabase(join(state, "index.db"), {
    name: "index",
    migrations: INDEX_MIGRATIONS,
    readOnly: true,
  });
  const index = opened.use(new TreeIndex(db));
  const store = opened.use(new VersionStore(join(state, KEPT_DIRECTORY), { readOnly: true }));
  const kept = opened.move();
  return {
    name: path,
    versions: new LocalVersions({ root, index, store }),
    [Symbol.asyncDispose]: () => Promise.resolve(kept.dispose()),
  };
}

async function openToChange({ path }: { path: string }, { clock }: Context): Promise<ServedTree> {
  let receiver: LocalReceiver;
  try {
    receiver = new LocalReceiver(path, { clock, keep: {} });
  } catch (error) {
    if (!(error instanceof FilesyncError) || error.code !== "locked") throw error;
    const { code, operation, reason, permanent } = error;
    const hint = "If it is being served, restore by way of the server: filesync restore http://<host>:<port>";
    throw new FilesyncError({ code, operation, reason, hint, permanent, cause: error });
  }
  await receiver.ready;
  return {
    name: path,
    receiver,
    versions: receiver.versions!,
    [Symbol.asyncDispose]: () => receiver.close(),
  };
}
