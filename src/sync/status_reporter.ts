/**
 * Tells a server now and then how its client is doing: what waits, what has problems, how far it is. People who
 * look at the server see it; nothing else depends on it, so whatever goes wrong here is passed over.
 *
 * @module
 */
import type { ClientProblem, ClientProgress, ClientStatus } from "../core/client_status.ts";
import { MAX_TOLD_PROBLEMS, STATUS_EVERY_MS } from "../core/client_status.ts";
import type { Clock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import type { QueuedAction } from "../queue/action_queue.ts";
import type { Receiver } from "../transport/receiver.ts";
import type { PushEvent } from "./push_event.ts";
import type { SourceState } from "./source_state.ts";

/** Milliseconds between two looks whether there is something to tell. A push that is over sooner tells nothing. */
const EVERY_MS = 5_000;

/** Even when nothing has changed it is told so often, milliseconds: who is silent may be gone. */
const ALIVE_MS = 60_000;

/** The last report, when all is done, may take so long, milliseconds. */
const LAST_MS = 2_000;

/** What {@linkcode StatusReporter} needs. */
export interface StatusReporterOptions {
  receiver: Receiver;
  state: SourceState;
  clock: Clock;
  /** Why removals are held back, when they are. */
  brake: () => string | undefined;
}

/** See the module's comment. */
export class StatusReporter {
  readonly #options: StatusReporterOptions;
  #progress: ClientProgress | undefined;
  /** What was told last, without what passes by itself. */
  #told: string | undefined;
  #toldAt = -Infinity;

  constructor(options: StatusReporterOptions) {
    this.#options = options;
  }

  /** Takes from an event what is worth telling. */
  note(event: PushEvent): void {
    if (event.type !== "progress") return;
    const { doneItems, totalItems, doneBytes, totalBytes, current } = event;
    this.#progress = Number.isSafeInteger(totalItems) && Number.isSafeInteger(totalBytes)
      ? { doneItems, totalItems, doneBytes, totalBytes, ...(current === undefined ? {} : { current }) }
      : undefined;
  }

  /** Tells it until `signal` aborts, or a server is found that wants to hear nothing. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, receiver } = this.#options;
    while (receiver.report !== undefined && !signal.aborted) {
      await clock.sleep(EVERY_MS, signal).catch(() => {});
      if (signal.aborted || !await this.#tell(signal)) return;
    }
  }

  /** Tells how it ended, when something was told before: else the server would show for ever what was then. */
  async finish(): Promise<void> {
    if (this.#told === undefined) return;
    const { clock } = this.#options;
    await clock.sleep(Math.min(STATUS_EVERY_MS, Math.max(0, this.#toldAt + STATUS_EVERY_MS - clock.now())));
    await this.#tell(AbortSignal.timeout(LAST_MS));
  }

  /** Returns whether the server may want to hear more. */
  async #tell(signal: AbortSignal): Promise<boolean> {
    const { clock, receiver } = this.#options;
    const status = this.#status();
    const text = JSON.stringify(status, (key, value) => key === "retryIn" ? undefined : value);
    const now = clock.now();
    if (text === this.#told && Math.abs(now - this.#toldAt) < ALIVE_MS) return true;
    try {
      const { known } = await receiver.report!(status, signal);
      // The server was started anew.
      if (!known && !signal.aborted) await receiver.open();
      [this.#told, this.#toldAt] = [known ? text : undefined, now];
      return true;
    } catch (error) {
      // A server of before knows no such route.
      return !(error instanceof FilesyncError && error.code === "not-found");
    }
  }

  #status(): ClientStatus {
    const { state, clock, brake } = this.#options;
    const { queue } = state;
    const now = clock.now();
    const retrying = queue.retrying(MAX_TOLD_PROBLEMS);
    const problems = [
      ...queue.failed(MAX_TOLD_PROBLEMS).map((action) => problemOf(action, undefined)),
      ...retrying.map((action) => problemOf(action, Math.max(0, action.readyAt - now))),
      ...state.problems(MAX_TOLD_PROBLEMS).map(({ problem }): ClientProblem => problem),
    ];
    const why = brake();
    return {
      waiting: { actions: queue.size, bytes: queue.bytes },
      problems: problems.slice(0, MAX_TOLD_PROBLEMS),
      problemCount: Math.max(problems.length, queue.failedCount + retrying.length + state.problemCount),
      ...(this.#progress === undefined ? {} : { progress: this.#progress }),
      ...(why === undefined ? {} : { brake: why }),
    };
  }
}

function problemOf({ action, error, attempts }: QueuedAction, retryIn: number | undefined): ClientProblem {
  return { ...error!, path: action.path, attempts, ...(retryIn === undefined ? {} : { retryIn }) };
}
