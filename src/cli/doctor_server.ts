/** What `filesync doctor` checks of a server. @module */
import { isIP } from "node:net";
import { connect } from "node:tls";
import { X509Certificate } from "node:crypto";
import { FilesyncError, nextStep } from "../core/errors.ts";
import { unreachable } from "../transport/no_answer.ts";
import { HttpReceiver } from "../transport/http_receiver.ts";
import { pinOf } from "../transport/pinned_fetch.ts";
import type { Context, Invocation } from "./command.ts";
import { fetchFor, refusePlainHttp, serverTrust } from "./destination.ts";
import { type Check, fail, ok, spaceCheck, warn } from "./doctor_check.ts";
import { formatDuration } from "./sizes.ts";
import { readToken } from "./token.ts";

/** How long the server may take for each answer, milliseconds. */
const PATIENCE_MS = 15_000;

const DAY_MS = 24 * 3_600_000;

/** Clocks that differ by more mislead whoever compares times, milliseconds. */
const SKEW_MS = 5_000;

/** Everything between here and the tree of a server. */
export async function* checkServer(
  url: URL,
  invocation: Invocation,
  context: Context,
): AsyncGenerator<Check> {
  const { clock, version } = context;
  const trust = serverTrust(invocation);
  const token = readToken(invocation, context);
  if (url.protocol === "https:") yield certificateCheck(await certificateOf(url), clock.now());
  const ask = fetchFor(url, trust.pin) ?? fetch;
  const base = url.href.replace(/\/?$/, "/");
  const health = await answerOf(ask, new URL("healthz", base));
  const sent = Date.parse(health.headers.get("date") ?? "");
  const its = await health.json().catch(() => ({})) as { version?: unknown };
  if (!health.ok || typeof its.version !== "string") {
    const next = "Check the address; a proxy, or the login page of a network, may have answered in its place";
    return yield fail("server", `what answers at ${url.host} is not a filesync server`, next);
  }
  yield versionCheck(version, its.version);
  if (!Number.isNaN(sent)) yield clockCheck(clock.now() - sent);
  refusePlainHttp(url, token, trust.allowPlainHttp);
  try {
    await new HttpReceiver(url, { token, version, fetch: ask, timeout: PATIENCE_MS }).open();
    yield ok("token", `the server lets us in${token === undefined ? " without one" : ""}`);
  } catch (error) {
    if (!(error instanceof FilesyncError)) throw error;
    yield error.code === "indexing"
      ? warn("server", error.message, nextStep(error))
      : fail(error.code === "upgrade" ? "protocol" : "token", error.message, nextStep(error));
    return;
  }
  const headers: HeadersInit = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const metrics = await (await answerOf(ask, new URL("metrics", base), headers)).text();
  const free = /^filesync_free_bytes (\d+)/m.exec(metrics)?.[1];
  if (free !== undefined) yield spaceCheck("space", Number(free), "on the server");
}

/** Judges whether two versions can be expected to understand each other. */
export function versionCheck(mine: string, its: string): Check {
  const [major, minor] = mine.split(".");
  if (its.startsWith(`${major}.${minor}.`)) return ok("server", `it runs filesync ${its}`);
  return warn("server", `it runs filesync ${its}, this is ${mine}`, "Upgrade the older one");
}

/** Judges how far this clock is ahead of the server's, milliseconds. */
export function clockCheck(ahead: number): Check {
  const off = Math.abs(ahead);
  // The server's time comes in whole seconds, and took its time to get here.
  if (off <= SKEW_MS) return ok("clock", "it goes as the server's does");
  return warn(
    "clock",
    `it is ${formatDuration(off)} ${ahead > 0 ? "ahead of" : "behind"} the server's`,
    "Have both machines take the time from the network (timedatectl set-ntp true); filesync itself compares no clocks",
  );
}

/** Judges for how long a certificate is good. */
export function certificateCheck(der: Uint8Array, now: number): Check {
  const { validTo, validFrom } = new X509Certificate(der as unknown as string);
  const left = Date.parse(validTo) - now;
  const pin = pinOf(der);
  const next = "Get a new one for --tls-cert; one of filesync's own is renewed when the server starts";
  if (left < 0) return fail("certificate", `it expired on ${validTo}; ${pin}`, next);
  if (Date.parse(validFrom) > now) {
    return warn("certificate", `it is not good before ${validFrom}; ${pin}`, next);
  }
  const detail = `it is good for ${Math.floor(left / DAY_MS)} days; ${pin}`;
  return left < 30 * DAY_MS ? warn("certificate", detail, next) : ok("certificate", detail);
}

/** The certificate that a server shows, whoever signed it. */
function certificateOf({ hostname, port, origin }: URL): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const host = hostname.replace(/^\[|\]$/g, "");
    // A name tells a server which certificate is wanted; an address may not stand in its place.
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port: Number(port || 443), ...name, rejectUnauthorized: false });
    const late = new DOMException("", "TimeoutError");
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(late));
    socket.once("error", (cause) => reject(unreachable(origin, cause)));
    socket.once("secureConnect", () => {
      resolve(socket.getPeerCertificate(true).raw);
      socket.destroy();
    });
  });
}

async function answerOf(
  ask: (request: Request) => Promise<Response>,
  url: URL,
  headers: HeadersInit = {},
): Promise<Response> {
  try {
    return await ask(
      new Request(url, { headers, redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) }),
    );
  } catch (cause) {
    if (cause instanceof FilesyncError) throw cause;
    throw unreachable(url.origin, cause);
  }
}
