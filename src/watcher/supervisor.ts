/**
 * Keeps a tree watched: restarts the feed of paths when it ends, dies or hangs, polls while the
 * system gives no watches, and knows when the root itself goes and comes back.
 *
 * @module
 */
import { backoffDelay } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { problemOf } from "../core/problem.ts";
import { Alarm } from "./alarm.ts";
import type { FeedEnd, FeedMessage, OpenFeed } from "./feed.ts";
import type { Outbox } from "./outbox.ts";
import { lookAtRoot, type RootState } from "./root_identity.ts";
import { isPipe } from "./specials.ts";

/** What a {@linkcode Supervisor} works with; all times in milliseconds. */
export interface SupervisorOptions {
  clock: Clock;
  /** Takes everything there is to say, but for paths. */
  outbox: Outbox;
  /** Takes paths at which something may have happened, relative to the root. */
  onPaths: (paths: string[]) => void;
  /** Called when the root is lost: what is known of its paths means nothing any more. */
  onLost: () => void;
  stateDirectory: string;
  canaryMs: number;
  echoMs: number;
  rootCheckMs: number;
  pollMs: number;
  retryMs: number;
  openFeed: OpenFeed;
}

/** So many stalls within {@linkcode STALL_WINDOW} are a habit: named pipes in use. */
const MAX_STALLS = 3;
const STALL_WINDOW = 600_000;

/** So many feeds in a row that never stood are polled instead. */
const MAX_FAILURES = 3;

/** Ends of feeds within this time make the next start wait longer, milliseconds. */
const RESTART_WINDOW = 60_000;

/** Least time between two feeds of which the first was only outdated, milliseconds, and how many times what it takes to start one. */
const LEAST_RENEWAL = 100;
const RENEWAL_SHARE = 5;

/** Why a phase of watching ended. */
type Ending = FeedEnd | { why: "interrupted" };

/** Sees to it that one directory is watched. */
export class Supervisor implements AsyncDisposable {
  /** Resolves when changes begin to be noticed. */
  readonly ready: Promise<void>;

  readonly #root: string;
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #outbox: Outbox;
  readonly #checkAlarm: Alarm;
  readonly #closing = new AbortController();
  readonly #supervising: Promise<void>;
  readonly #resolveReady: () => void;

  /** Ends when the root or the supervisor goes. */
  #phase = new AbortController();
  #rootState: RootState;
  #rootLost = false;
  #started = false;
  /** Root checks since the feed was heard; `undefined` while its watches do not stand. */
  #silentChecks: number | undefined;
  #endFeed: (end: FeedEnd) => void = () => {};
  /** Why it polls, as it was told; `undefined` while it watches. */
  #polling: string | undefined;
  #unnamableTold = false;

  constructor(root: string, options: SupervisorOptions) {
    this.#root = root;
    this.#options = options;
    this.#clock = options.clock;
    this.#outbox = options.outbox;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#resolveReady = resolve;
    this.#rootState = lookAtRoot(root);
    if ("missing" in this.#rootState) this.#lose(this.#rootState.missing);
    this.#checkAlarm = new Alarm(this.#clock, () => this.#check());
    this.#checkAlarm.set(this.#clock.now() + options.rootCheckMs);
    this.#supervising = this.#supervise();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#phase.abort();
    this.#checkAlarm.cancel();
    this.#resolveReady();
    await this.#supervising;
  }

  /** Whether the directory that is watched still stands; tells and ends the phase when it does not. */
  rootStands(): boolean {
    const before = this.#rootState;
    const now = lookAtRoot(this.#root);
    this.#rootState = now;
    if ("missing" in before) return false; // it is found when watches stand on it
    if ("identity" in now && now.identity === before.identity) return true;
    this.#lose("missing" in now ? now.missing : "another directory stands there now");
    return false;
  }

  #lose(reason: string): void {
    if (!this.#rootLost) this.#outbox.notice({ type: "root-lost", reason });
    this.#rootLost = true;
    this.#outbox.forget();
    this.#options.onLost();
    this.#phase.abort();
  }

  /** Looks after what gives no events: the root, and a feed that has died. */
  #check(): void {
    this.#checkAlarm.set(this.#clock.now() + this.#options.rootCheckMs);
    this.rootStands();
    if (this.#silentChecks === undefined) return;
    // Counted in checks, not in time: while this thread is busy, messages wait, and checks do too.
    const { canaryMs, echoMs, rootCheckMs } = this.#options;
    if (++this.#silentChecks > 1 + (canaryMs + 4 * echoMs) / rootCheckMs) {
      this.#endFeed({ why: "failed", reason: "the watching thread does not answer" });
    }
  }

  async #supervise(): Promise<void> {
    const { rootCheckMs } = this.#options;
    let ends: number[] = [];
    let stalls: number[] = [];
    let release = false;
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      if ("missing" in this.#rootState) {
        await this.#pause(rootCheckMs, this.#closing.signal);
        continue;
      }
      this.#phase = new AbortController();
      const started = this.#clock.now();
      const { end, pipes, readyAt } = await this.#watch(release);
      if (end.why === "interrupted") continue;
      if (end.why === "outdated") {
        // Nothing is wrong, but watching anew has its price, and a look at everything comes with it.
        const price = (readyAt ?? started) - started;
        await this.#pause(Math.max(LEAST_RENEWAL, RENEWAL_SHARE * price), this.#phase.signal);
        continue;
      }

      const now = this.#clock.now();
      ends = [...ends.filter((time) => time > now - RESTART_WINDOW), now];
      release = end.why === "stalled";
      if (release) stalls = [...stalls.filter((time) => time > now - STALL_WINDOW), now];
      // Without a list of pipes the watches never stood.
      failures = pipes === undefined ? failures + 1 : 0;
      if (end.why === "exhausted") {
        await this.#poll(end.reason, limitHint(end.limit));
      } else if (end.why === "denied") {
        await this.#poll(end.reason, "Give the user that runs filesync access to it");
      } else if (stalls.length >= MAX_STALLS) {
        stalls = [];
        await this.#poll(end.reason, pipeHint(pipes), pipes);
      } else if (failures >= MAX_FAILURES) {
        await this.#poll(end.reason, "Watching is tried again from time to time");
      } else if (ends.length > 1) {
        await this.#pause(backoffDelay(ends.length - 1, 0, { base: 250, cap: 10_000 }), this.#phase.signal);
      }
    }
  }

  /**
   * Runs one feed to its end.
   *
   * @returns `pipes` and `readyAt`: the named pipes it knew of when its watches stood, and when that was, if
   * they ever did.
   */
  async #watch(release: boolean): Promise<{ end: Ending; pipes?: string[]; readyAt?: number }> {
    const { stateDirectory, canaryMs, echoMs, openFeed } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    let pipes: string[] | undefined;
    let readyAt: number | undefined;
    let ended = false;
    this.#phase.signal.addEventListener("abort", () => resolve({ why: "interrupted" }), { once: true });
    let root: string;
    let canaryDirectory: string;
    try {
      root = Deno.realPathSync(this.#root);
      Deno.mkdirSync(stateDirectory, { recursive: true });
      canaryDirectory = `${Deno.realPathSync(stateDirectory)}/canary`;
    } catch (error) {
      return { end: { why: "failed", reason: toFilesyncError("start watching", error).reason } };
    }
    const post = (message: FeedMessage) => {
      if (this.#phase.signal.aborted || ended) return;
      if (this.#silentChecks !== undefined) this.#silentChecks = 0;
      switch (message.type) {
        case "ready":
          pipes = message.pipes;
          readyAt = this.#clock.now();
          this.#silentChecks = 0;
          this.#polling = undefined;
          return this.#stand("watching began anew");
        case "paths":
          return this.#options.onPaths(message.paths);
        case "root":
          return void this.rootStands();
        case "lost":
          return this.#outbox.rescan(message.reason);
        case "unnamable":
          return this.#unnamable();
        case "ended":
          return resolve(message.end);
      }
    };
    this.#endFeed = resolve;
    using _feed = openFeed({ root, canaryDirectory, canaryMs, echoMs, release }, post);
    const end = await promise;
    ended = true;
    this.#silentChecks = undefined;
    return { end, pipes, readyAt };
  }

  #unnamable(): void {
    if (this.#unnamableTold) return;
    this.#unnamableTold = true;
    const error = new FilesyncError({
      code: "bad-path",
      operation: `watch a file in ${JSON.stringify(this.#root)}`,
      reason: "its name is not valid Unicode",
      hint: "Rename it; it cannot be copied under this name",
      permanent: true,
    });
    this.#outbox.notice({ type: "problem", problem: problemOf(error) });
    this.#outbox.rescan("there was an event for a name that is not valid Unicode");
  }

  /** From now on changes are found: by watches, or by polling. */
  #stand(reason: string): void {
    if (this.#rootLost) this.#outbox.notice({ type: "root-found" });
    if (this.#rootLost || this.#started) this.#outbox.rescan(reason);
    this.#rootLost = false;
    this.#started = true;
    this.#resolveReady();
  }

  /** Asks for rescans until it is time to try to watch again, or until all of `pipes` are gone. */
  async #poll(reason: string, hint: string, pipes: string[] = []): Promise<void> {
    const { pollMs, retryMs } = this.#options;
    if (this.#polling !== reason) this.#outbox.notice({ type: "polling", reason, hint });
    this.#polling = reason;
    const until = this.#clock.now() + retryMs;
    const stands = (path: string) => isPipe(`${this.#root}/${path}`);
    const { signal } = this.#phase;
    while (!signal.aborted && (pipes.length > 0 ? pipes.some(stands) : this.#clock.now() < until)) {
      this.#stand("there are no watches");
      await this.#pause(pollMs, signal);
    }
  }

  /** Sleeps, or returns early when `signal` aborts. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal).catch(() => {});
  }
}

function limitHint(limit: "watches" | "instances"): string {
  const [name, value] = limit === "watches" ? ["max_user_watches", 1_048_576] : ["max_user_instances", 1024];
  return `Allow more with: sudo sysctl fs.inotify.${name}=${value}`;
}

function pipeHint(pipes: string[] = []): string {
  if (pipes.length === 0) return "Watching is tried again from time to time";
  const names = pipes.slice(0, 3).map((path) => JSON.stringify(path)).join(", ");
  return `Move the named pipe ${names} out of the directory; watching goes on by itself`;
}
