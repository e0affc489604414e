/** Receivers over temporary directories, for the suites that every receiver has to pass. @module */
import type { Hono } from "hono";
import { systemClock } from "../../src/core/clock.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { LocalReceiver, type LocalReceiverOptions } from "../../src/transport/local_receiver.ts";
import type { Receiver } from "../../src/transport/receiver.ts";
import type { ReceiverSubject } from "../../src/transport/receiver_contract.ts";
import type { VersionsSubject } from "../../src/transport/tree_versions_contract.ts";
import { FakeClock } from "./fake_clock.ts";
import { TempDirectory } from "./temp.ts";

/** A {@linkcode LocalReceiver} over a new directory, which `wrap` may stand something in front of. */
export async function openSubject(
  wrap: (local: LocalReceiver) => Receiver,
  options: Partial<LocalReceiverOptions> = {},
): Promise<ReceiverSubject> {
  const temp = new TempDirectory();
  const open = async () => {
    const local = new LocalReceiver(temp.path, { clock: systemClock, ...options });
    await local.ready;
    return { local, receiver: wrap(local) };
  };
  let current = await open();
  return {
    get receiver() {
      return current.receiver;
    },
    directory: temp.path,
    async reopen() {
      await current.local.close();
      current = await open();
    },
    async [Symbol.asyncDispose]() {
      await current.local.close();
      temp[Symbol.dispose]();
    },
  };
}

/** The token of {@linkcode ServedTree}. */
export const TOKEN = "correct horse battery staple";

/** A directory that is served, without a socket. */
export interface ServedTree extends AsyncDisposable {
  app: Hono;
  directory: string;
  receiver: LocalReceiver;
  /** What the server took for its own fault. */
  failures: unknown[];
  /** Asks `app`; with the right token, unless there is an `authorization` in `init`. */
  request(method: string, path: string, init?: RequestInit): Promise<Response>;
}

/** A receiver that keeps versions, on a clock that stands still, for `treeVersionsContract`. */
export async function openKeeping(wrap: (local: LocalReceiver) => Receiver): Promise<VersionsSubject> {
  const clock = new FakeClock(systemClock.now());
  const subject = await openSubject(wrap, { clock, keep: { retention: { age: 1e12 } } });
  return {
    get receiver() {
      return subject.receiver;
    },
    get versions() {
      return subject.receiver.versions!;
    },
    directory: subject.directory,
    now: () => clock.now(),
    pass: (ms) => clock.advance(ms),
    reopen: () => subject.reopen(),
    [Symbol.asyncDispose]: () => subject[Symbol.asyncDispose](),
  };
}

/** Serves a new directory, or `directory`; by way of `inFront`, when something shall stand in front of the receiver. */
export async function serveTree(
  { directory, inFront, keep, pages = false, ...options }:
    & Partial<AppOptions>
    & Pick<LocalReceiverOptions, "keep">
    & { directory?: string; inFront?: Receiver; /** Pages for people, too. */ pages?: boolean } = {},
): Promise<ServedTree> {
  using cleanUp = new DisposableStack();
  const path = directory ?? cleanUp.use(new TempDirectory()).path;
  const receiver = new LocalReceiver(path, { clock: systemClock, keep });
  await receiver.ready;
  const failures: unknown[] = [];
  const app = createApp(inFront ?? receiver, {
    clock: systemClock,
    version: "1.2.3",
    guard: { token: TOKEN },
    ...(pages ? { dashboard: { name: "/srv/tree", tree: receiver } } : {}),
    onFailure: (error) => failures.push(error),
    ...options,
  });
  const later = cleanUp.move();
  return {
    app,
    directory: path,
    receiver,
    failures,
    async request(method, path, init = {}) {
      const headers = new Headers(init.headers);
      if (!headers.has("authorization")) headers.set("authorization", `Bearer ${TOKEN}`);
      return await app.fetch(new Request(`http://server.test${path}`, { ...init, method, headers }));
    },
    async [Symbol.asyncDispose]() {
      await receiver.close();
      later.dispose();
    },
  };
}
