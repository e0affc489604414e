/** The attack by requests: every route, with paths, headers and bodies that nobody should send. @module */
import type { Hono } from "hono";
import { systemClock } from "../../src/core/clock.ts";
import { PROBLEM_TYPE } from "../../src/core/wire.ts";
import { createApp } from "../../src/server/app.ts";
import { LocalReceiver } from "../../src/transport/local_receiver.ts";
import { type Attack, type AttackJob, type Figures, picker, randomFrom, residentBytes } from "./attack.ts";
import { CanaryCage, MARK } from "./canary.ts";
import { everyEvilRequest, randomRequest, type Route, type Shot } from "./evil_requests.ts";

const TOKEN = "the token of the attacked server";

/** Longest that an answer may take on a busy machine, milliseconds. */
const HANG_MS = 20_000;

/** Most that memory may grow: a few bodies of the greatest size, unpacked, and their copies. */
const MOST_GROWTH = 700 << 20;

const attack: Attack = {
  summary: "evil paths, headers and bodies on every route: only meant answers, nothing touched outside",
  run,
};

export default attack;

async function run({ signal, seed }: AttackJob): Promise<Figures> {
  using cage = new CanaryCage();
  cage.plant();
  await cage.close();
  const faults: string[] = [];
  const measured: Record<string, number> = { slowestMs: 0 };
  let runs = 0;
  {
    await using receiver = new LocalReceiver(cage.tree, { clock: systemClock });
    await receiver.ready;
    const app = createApp(receiver, {
      clock: systemClock,
      version: "0",
      guard: { token: TOKEN },
      onFailure: (error) => faults.push(`taken for a fault of the server: ${error}`),
    });
    const routes = routesOf(app);
    const pick = picker(randomFrom(seed));
    // Every evil path on every route comes once, in any order, between others that chance makes.
    const planned = everyEvilRequest(routes).map((shot) => ({ shot, at: pick.random() }))
      .sort((a, b) => a.at - b.at).map(({ shot }) => shot);
    const before = residentBytes();
    let peak = before;
    while (!signal.aborted && faults.length < 10) {
      const shot = (pick.chance(0.7) ? planned.pop() : undefined) ?? randomRequest(routes, pick);
      const began = performance.now();
      const fault = await fire(app, shot, measured);
      measured.slowestMs = Math.max(measured.slowestMs, Math.round(performance.now() - began));
      runs++;
      if (fault !== undefined) faults.push(fault);
      if (runs % 20 > 0) continue;
      peak = Math.max(peak, residentBytes());
      // Answers come without any wait, and would keep the time from being told.
      await systemClock.sleep(0);
    }
    measured.plannedLeft = planned.length;
    measured.memoryGrowthMiB = Math.round((peak - before) / 2 ** 20);
    if (peak - before > MOST_GROWTH) faults.push(`memory grew by ${measured.memoryGrowthMiB} MiB`);
    if ([...Deno.readDirSync(`${cage.tree}/.filesync/tmp`)].length > 0) {
      faults.push("temporary files were left");
    }
  }
  faults.push(...await cage.faults());
  return { runs, faults, measured };
}

/** The routes of an application, as it knows them itself. */
export function routesOf(app: Hono): Route[] {
  const known = new Map<string, Route>();
  for (const { method, path } of app.routes) {
    if (method !== "ALL") known.set(`${method} ${path}`, { method, path });
  }
  return [...known.values()];
}

/** Sends a request; gives what was wrong with the answer. */
async function fire(app: Hono, shot: Shot, measured: Record<string, number>): Promise<string | undefined> {
  const shown = `${shot.method} ${JSON.stringify(shot.path.slice(0, 120))}`;
  let request: Request;
  try {
    request = new Request(`http://server.test${shot.path}`, {
      method: shot.method,
      headers: { authorization: `Bearer ${TOKEN}`, ...shot.headers },
      body: ["GET", "HEAD"].includes(shot.method) ? undefined : shot.body,
    });
  } catch {
    // No client can send it so; over a socket it can come all the same: see `sockets.ts`.
    measured.unsendable = (measured.unsendable ?? 0) + 1;
    return undefined;
  }
  const answered = new AbortController();
  const answer = app.fetch(request) as Promise<Response>;
  const response = await Promise.race([
    answer,
    systemClock.sleep(HANG_MS, answered.signal).catch(() => undefined),
  ]);
  answered.abort();
  if (response === undefined) return `${shown} hangs`;
  const { status, headers } = response;
  measured[`status${status}`] = (measured[`status${status}`] ?? 0) + 1;
  const text = await response.text();
  if (status < 200 || status >= 500 || (status >= 300 && status < 400)) {
    return `${shown} is answered ${status}: ${text.slice(0, 300)}`;
  }
  if (text.includes(MARK)) return `${shown} shows what stands outside`;
  if (status < 400) return undefined;
  if (/ {4}at |\/proc\//.test(text) || text.includes(TOKEN)) return `${shown} tells too much: ${text}`;
  if (shot.method !== "HEAD" && headers.get("content-type") !== PROBLEM_TYPE) {
    return `${shown} is refused with ${status}, but no problem document`;
  }
  if (text.length > 5_000) return `${shown} is refused at length: ${text.length} characters`;
}
