/** The attack by connections: slow heads and bodies, giant heads, idle and half-closed ones, and no HTTP at all. @module */
import { systemClock } from "../../src/core/clock.ts";
import { startServer } from "../support/program.ts";
import { TempDirectory } from "../support/temp.ts";
import { type Attack, type AttackJob, type Figures, picker, randomFrom } from "./attack.ts";

/** Connections at once: more than the server keeps. */
const CROWD = 1_500;

/** An honest client must be answered within so many milliseconds, on a busy machine. */
const PATIENCE_MS = 10_000;

/** Most that the server's memory may grow. */
const MOST_GROWTH = 400 << 20;

const attack: Attack = {
  summary: "slow heads and bodies, giant heads, idle and half-closed connections: honest clients are served",
  unable: () => Deno.build.os === "linux" ? undefined : "connections can be watched on Linux only",
  run,
};

export default attack;

const HEAD = "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

/** What a connection begins with; then it is kept, and may get one byte at a time. */
const OPENINGS: Record<string, (random: () => number) => string> = {
  nothing: () => "",
  "half a head": () => "GET /v1/tree HTTP/1.1\r\nHost: x\r\nX-Slow: ",
  "half a line": () => "GE",
  "no body": () => `${HEAD}Content-Length: 1000\r\n\r\n`,
  "half a body": () => `${HEAD}Content-Length: 1000\r\n\r\n{"protocol":`,
  "half a chunk": () => `${HEAD}Transfer-Encoding: chunked\r\n\r\nff\r\n{`,
  "a giant head": () => `GET / HTTP/1.1\r\nHost: x\r\nX-Giant: ${"a".repeat(1 << 20)}`,
  "many heads": () => `GET / HTTP/1.1\r\n${"X-Many: b\r\n".repeat(20_000)}\r\n`,
  "a giant address": () => `GET /${"c".repeat(1 << 20)} HTTP/1.1\r\n\r\n`,
  "two lengths": () => `${HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}`,
  "length and chunks": () =>
    `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
  "a length that is none": () => `${HEAD}Content-Length: -1\r\n\r\n`,
  "a chunk without end": () => `${HEAD}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n`,
  "TLS": () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "HTTP/2": () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "another version": () => "GET / HTTP/9.9\r\n\r\n",
  noise: (random) => String.fromCharCode(...Array.from({ length: 500 }, () => Math.floor(random() * 256))),
};

async function run({ signal, seed }: AttackJob): Promise<Figures> {
  using temp = new TempDirectory();
  await using server = await startServer(temp.directory("served"), { home: temp.directory("home") });
  const { random, one, chance } = picker(randomFrom(seed));
  const faults: string[] = [];
  const measured = {
    connections: 0,
    ended: 0,
    honest: 0,
    slowestHonestMs: 0,
    memoryGrowthMiB: 0,
    mostOpen: 0,
  };
  const open = new Set<Deno.TcpConn>();
  const before = residentOf(server.program.pid);
  const attackOnce = async () => {
    let connection: Deno.TcpConn;
    try {
      connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    } catch {
      return;
    }
    measured.connections++;
    open.add(connection);
    measured.mostOpen = Math.max(measured.mostOpen, open.size);
    const drop = () => {
      if (!open.delete(connection)) return;
      measured.ended++;
      try {
        connection.close();
      } catch {
        // It is closed.
      }
    };
    (async () => {
      const into = new Uint8Array(4_096);
      while (await connection.read(into) !== null) { /* Whatever it answers. */ }
      drop();
    })().catch(drop);
    (async () => {
      const text = OPENINGS[one(Object.keys(OPENINGS))](random);
      await connection.write(Uint8Array.from(text, (character) => character.charCodeAt(0)));
      if (chance(0.1)) await connection.closeWrite();
      while (open.has(connection)) {
        await systemClock.sleep(1_000 + 4_000 * random());
        if (chance(0.05)) drop();
        else if (chance(0.5)) await connection.write(Uint8Array.of(97));
      }
    })().catch(drop);
  };
  while (!signal.aborted && faults.length < 10) {
    for (let i = 0; i < 25 && open.size < CROWD; i++) await attackOnce();
    const began = performance.now();
    try {
      const response = await fetch(`${server.url}/v1/history`, {
        headers: { authorization: `Bearer ${server.token}` },
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      await response.body?.cancel();
      if (response.status !== 200) faults.push(`an honest client is answered ${response.status}`);
      measured.honest++;
    } catch (error) {
      faults.push(`an honest client is not answered: ${error}`);
    }
    measured.slowestHonestMs = Math.max(measured.slowestHonestMs, Math.round(performance.now() - began));
    const growth = Math.round((residentOf(server.program.pid) - before) / 2 ** 20);
    measured.memoryGrowthMiB = Math.max(measured.memoryGrowthMiB, growth);
    await systemClock.sleep(20);
  }
  if (measured.memoryGrowthMiB > MOST_GROWTH / 2 ** 20) {
    faults.push(`memory grew by ${measured.memoryGrowthMiB} MiB`);
  }
  for (const connection of [...open]) {
    open.delete(connection);
    connection.close();
  }
  if (/\n\s+at /.test(server.program.stderr)) faults.push(`a stack was shown: ${server.program.stderr}`);
  return { runs: measured.connections, faults, measured };
}

/** Bytes of memory that a process has in use. */
function residentOf(pid: number): number {
  const [, kilobytes = "0"] = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Number(kilobytes) * 1_024;
}
