/**
 * What the server counts of itself, in the text format of Prometheus, version 0.0.4.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import type { Action } from "../core/action.ts";
import type { Clock } from "../core/clock.ts";
import type { Batch, BatchResult } from "../transport/receiver.ts";
import { RECEIVED } from "./request_body.ts";

/** The media type of the format. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A value of now: its name, what it is, and how much. */
export type Gauge = readonly [name: string, help: string, value: number];

/** Upper bounds of the histogram, seconds: those that Prometheus' own libraries take. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The beginning of a path that tells its route from others: `/v1/files`. */
const ROUTE = /^\/(?:v1\/)?[a-z]+/;

interface Durations {
  /** How many took at most as long as each bound, and longer than the one before. */
  counts: number[];
  sum: number;
}

/** Counts since the server started, in a constant amount of memory. */
export class Metrics {
  readonly #version: string;
  readonly #requests = new Map<string, number>();
  readonly #durations = new Map<string, Durations>();
  readonly #actions = new Map<Action["type"], number>();
  readonly #problems = new Map<string, number>();
  #batches = 0;
  #receivedBytes = 0;
  #storedBytes = 0;

  constructor(version: string) {
    this.#version = version;
  }

  /** A middleware that counts and times requests. `routes` are all there are; anything else is one. */
  middleware(clock: Clock, routes: () => readonly { path: string }[]): MiddlewareHandler {
    let known: Set<string | undefined> | undefined;
    const count = (method: string, path: string, status: number, seconds: number, received: number) => {
      known ??= new Set(routes().map(({ path }) => ROUTE.exec(path)?.[0]));
      const start = ROUTE.exec(path)?.[0];
      const route = start !== undefined && known.has(start) ? start : "other";
      // Methods that nobody knows could be of any name.
      const verb = ["GET", "HEAD", "PUT", "POST", "DELETE"].includes(method) ? method : "other";
      increase(this.#requests, labels({ method: verb, route, status }));
      const durations = getOrAdd(this.#durations, labels({ route }));
      const at = BOUNDS.findIndex((bound) => seconds <= bound);
      durations.counts[at < 0 ? BOUNDS.length : at]++;
      durations.sum += seconds;
      this.#receivedBytes += received;
    };
    return async function countRequest(c, next) {
      const began = clock.now();
      await next();
      const { method, path } = c.req;
      count(method, path, c.res.status, (clock.now() - began) / 1_000, c.get(RECEIVED) ?? 0);
    };
  }

  /** Counts a batch that was applied. */
  countBatch({ actions }: Batch, { results }: BatchResult): void {
    this.#batches++;
    actions.forEach((action, i) => {
      const result = results[i];
      if (!result.done) return increase(this.#problems, labels({ code: result.problem.code }));
      increase(this.#actions, action.type);
      if (action.type === "put") this.#storedBytes += action.size;
    });
  }

  /** All counts, and the values of now. */
  text(gauges: Iterable<Gauge>): string {
    const lines: string[] = [];
    const family = (
      name: string,
      type: string,
      help: string,
      samples: Iterable<readonly [string, number]>,
    ) => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [key, value] of samples) lines.push(`${name}${key} ${value}`);
    };
    family("filesync_build_info", "gauge", "The program's version.", [[
      labels({ version: this.#version }),
      1,
    ]]);
    family("filesync_requests_total", "counter", "Requests answered.", this.#requests);
    family("filesync_received_bytes_total", "counter", "Bytes of bodies read.", [["", this.#receivedBytes]]);
    family("filesync_stored_bytes_total", "counter", "Size of the files put.", [["", this.#storedBytes]]);
    family("filesync_batches_total", "counter", "Batches applied.", [["", this.#batches]]);
    family(
      "filesync_actions_total",
      "counter",
      "Actions done.",
      [...this.#actions].map(([action, count]) => [labels({ action }), count]),
    );
    family("filesync_problems_total", "counter", "Actions that could not be done.", this.#problems);
    lines.push(
      "# HELP filesync_request_seconds How long answers took.",
      "# TYPE filesync_request_seconds histogram",
    );
    for (const [key, { counts, sum }] of this.#durations) {
      let total = 0;
      counts.forEach((count, i) => {
        total += count;
        const le = i < BOUNDS.length ? BOUNDS[i] : "+Inf";
        lines.push(`filesync_request_seconds_bucket${key.slice(0, -1)},le="${le}"} ${total}`);
      });
      lines.push(
        `filesync_request_seconds_sum${key} ${sum}`,
        `filesync_request_seconds_count${key} ${total}`,
      );
    }
    for (const [name, help, value] of gauges) family(name, "gauge", help, [["", value]]);
    return `${lines.join("\n")}\n`;
  }
}

function labels(pairs: Record<string, string | number>): string {
  const escaped = Object.entries(pairs).map(([name, value]) =>
    `${name}="${String(value).replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n")}"`
  );
  return `{${escaped.join(",")}}`;
}

function increase<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function getOrAdd(all: Map<string, Durations>, key: string): Durations {
  let durations = all.get(key);
  if (durations === undefined) {
    durations = { counts: Array(BOUNDS.length + 1).fill(0), sum: 0 };
    all.set(key, durations);
  }
  return durations;
}
