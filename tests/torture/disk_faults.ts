/** What disks and systems can refuse, each as something to be done to a {@linkcode DiskScene}. @module */
import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { systemClock } from "../../src/core/clock.ts";
import { randomBytes } from "../support/bytes.ts";
import { until } from "../support/pair.ts";
import type { DiskScene, Place } from "./disk_scene.ts";

/** Breaks something, sees that it is told and nothing is torn, mends it, and sees that all arrives. */
export type DiskFault = (scene: DiskScene) => Promise<void>;

/** A disk on which nothing fits any more. */
function full(place: Place): DiskFault {
  return async (scene) => {
    // Without that, a database has no room of its own that it could use again.
    if (place !== "state") {
      scene.change(20);
      await scene.inStep();
    }
    const from = scene.watch.json.length;
    const free = scene.fill(place, place === "state" ? 0 : 4_096);
    try {
      scene.change(150);
      await scene.told(/disk is full/, from);
      if (place === "state") await explained(scene);
      await scene.assertWhole();
    } finally {
      free();
    }
    await scene.inStep();
  };
}

/** What cannot be remembered cannot be waiting; yet `filesync why` knows. */
async function explained(scene: DiskScene): Promise<void> {
  scene.write("d0/nobody noticed", randomBytes(1, 50_000));
  const { verdict, reason, next } = await scene.why("d0/nobody noticed");
  if (verdict === "waiting" && next !== undefined) return;
  assertEquals(verdict, "problem");
  assertMatch(reason, /there is no room on the disk of ".*\/state", where it would be remembered$/);
  assertMatch(next, /^Free some space/);
}

/** Sets the most files that a running program may have open; gives what it was. */
function limitFiles(pid: number, limit: string): string {
  const read = () => /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/limits`))![1];
  const before = read();
  new Deno.Command("prlimit", { args: ["--pid", String(pid), `--nofile=${limit}:`] }).outputSync();
  return before;
}

/** How many files a program has open. */
function openFiles(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** A program that can open hardly any file. */
function fewFiles(side: "client" | "server"): DiskFault {
  return async (scene) => {
    const { pid } = side === "client" ? scene.watch : scene.server.program;
    const before = limitFiles(pid, String(openFiles(pid) + 1));
    try {
      scene.change(100, 200_000);
      await systemClock.sleep(2_000);
      await scene.assertWhole();
    } finally {
      limitFiles(pid, before);
    }
    await scene.inStep();
  };
}

/** Files that grow, shrink, vanish and become something else while they are read. */
async function restless(scene: DiskScene): Promise<void> {
  const big = randomBytes(scene.changes, 3 << 20);
  const path = `${scene.source}/d0`;
  Deno.mkdirSync(path, { recursive: true });
  const end = performance.now() + 2_500;
  for (let i = 0; performance.now() < end; i++) {
    const name = `${path}/restless${i % 6}`;
    try {
      Deno.removeSync(name, { recursive: true });
    } catch {
      // It is not there yet.
    }
    switch (i % 5) {
      case 0:
        Deno.mkdirSync(name);
        break;
      case 1:
        Deno.symlinkSync("nowhere", name);
        break;
      default: {
        using file = Deno.openSync(name, { write: true, create: true });
        for (let at = 0; at < big.length; at += 1 << 18) {
          file.writeSync(big.subarray(at, at + (1 << 18)));
          if (at % (1 << 19) === 0) await systemClock.sleep(1);
        }
        if (i % 5 === 2) file.truncateSync(1_000_000);
        if (i % 5 === 3) file.writeSync(big.subarray(0, 777));
      }
    }
    scene.changes++;
  }
  await scene.inStep();
  for (let i = 0; i < 6; i++) Deno.removeSync(`${path}/restless${i}`, { recursive: true });
  await scene.inStep();
}

/** More events than the kernel keeps, while nobody takes any. */
export function overflow(events: number): DiskFault {
  return async (scene) => {
    scene.change(10);
    await scene.inStep();
    scene.watch.kill("SIGSTOP");
    try {
      const names = Array.from({ length: 500 }, (_, i) => `${scene.source}/many/${i}`);
      Deno.mkdirSync(`${scene.source}/many`, { recursive: true });
      // Made, opened, written, closed.
      for (let made = 0, round = 0; made < events; round++) {
        for (const name of names) Deno.writeTextFileSync(name, `${round}`);
        made += 4 * names.length;
        if (round % 50 === 0) await systemClock.sleep(0);
      }
      scene.change(20);
      Deno.renameSync(`${scene.source}/many`, `${scene.source}/more`);
      scene.changes += names.length;
    } finally {
      scene.watch.kill("SIGCONT");
    }
    await scene.inStep();
    Deno.removeSync(`${scene.source}/more`, { recursive: true });
    await scene.inStep();
  };
}

/** A log on a full disk stops nothing, and goes on. */
async function fullLog(scene: DiskScene): Promise<void> {
  const free = scene.fill("log");
  try {
    scene.change(30);
    await scene.inStep();
  } finally {
    free();
  }
  const before = Deno.readTextFileSync(scene.log).length;
  scene.change(5);
  await until("the log goes on", () => Deno.readTextFileSync(scene.log).length > before);
  assertEquals(Deno.readTextFileSync(scene.log).endsWith("\n"), true);
  assertGreater(Deno.readTextFileSync(scene.log).length, 0);
}

/** All that needs no scene of its own. */
export const DISK_FAULTS: Record<string, DiskFault> = {
  "no room at the destination": full("destination"),
  "no room for the queue": full("state"),
  "no room for the log": fullLog,
  "no room for versions": full("versions"),
  "a server that may open hardly any file": fewFiles("server"),
  "a push that may open hardly any file": fewFiles("client"),
  "files that change while they are read": restless,
  "more events than the kernel keeps": overflow(40_000),
};
