/** The attack by disks, and by what else a system can refuse a program. @module */
import { existsSync } from "@std/fs";
import { systemClock } from "../../src/core/clock.ts";
import { randomBytes } from "../support/bytes.ts";
import { FaultyDisk } from "../support/faulty_disk.ts";
import { until } from "../support/pair.ts";
import { programCommand } from "../support/program.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { type Attack, type AttackJob, type Figures, picker, randomFrom } from "./attack.ts";
import { DISK_FAULTS, type DiskFault, overflow } from "./disk_faults.ts";
import { DiskScene, type DiskSceneOptions } from "./disk_scene.ts";

const MiB = 1 << 20;

/** Events of the greatest flood; it comes only when there is time for it. */
const FLOOD = 1_000_000;
const FLOOD_FROM_MS = 240_000;

const attack: Attack = {
  summary:
    "full, read-only and failing disks, too few files and watches, lost events: nothing lost, nothing torn",
  unable() {
    if (Deno.build.os !== "linux") return "it needs Linux";
    using disk = SmallDisk.mount(MiB);
    return disk === undefined ? "this user can mount nothing" : undefined;
  },
  run,
};

export default attack;

async function run({ signal, seed }: AttackJob): Promise<Figures> {
  const random = randomFrom(seed);
  const { below } = picker(random);
  const began = performance.now();
  const faults: string[] = [];
  const measured: Record<string, number> = { slowestMs: 0 };
  let runs = 0;
  const attempt = async (name: string, work: () => Promise<DiskScene | void>) => {
    const start = performance.now();
    try {
      await work();
      measured[name] = (measured[name] ?? 0) + 1;
    } catch (error) {
      faults.push(`${name}, seed ${seed}: ${error instanceof Error ? error.message : error}`);
    }
    measured.slowestMs = Math.max(measured.slowestMs, Math.round(performance.now() - start));
  };
  const inScene = async (name: string, options: DiskSceneOptions, work: DiskFault) => {
    await attempt(name, async () => {
      await using scene = await DiskScene.start(options);
      if (scene === undefined) return;
      await work(scene);
      await scene.stop();
      runs += scene.changes;
    });
  };
  const seeded = () => ({ seed: below(2 ** 31) });
  const scenes: [string, () => Promise<void>][] = [
    ["a disk that reports errors", () => failing(inScene, seeded())],
    ["a disk that turns read-only", () => readOnly(inScene, seeded())],
    ["a directory that the server may not write", () => forbidden(inScene, seeded())],
    [
      "too few watches",
      () => inScene("too few watches", { ...seeded(), watchCommand: fewWatches() }, withoutWatches),
    ],
    ...Object.entries(DISK_FAULTS).map(([name, fault]): [string, () => Promise<void>] => [
      name,
      () => inScene(name, seeded(), fault),
    ]),
  ];
  // Each comes once before any comes again, as far as the time goes.
  let left: typeof scenes = [];
  do {
    if (left.length === 0) {
      left = scenes.map((scene) => ({ scene, at: random() })).sort((a, b) => a.at - b.at).map(({ scene }) =>
        scene
      );
    }
    await left.pop()![1]();
  } while (!signal.aborted && faults.length < 5);
  if (performance.now() - began > FLOOD_FROM_MS) {
    await inScene("a million events while nobody takes any", seeded(), overflow(FLOOD));
  }
  return { runs, faults, measured };
}

type InScene = (name: string, options: DiskSceneOptions, work: DiskFault) => Promise<void>;

/** A destination whose disk takes nothing more, and says so when it is asked to keep it. */
async function failing(inScene: InScene, options: DiskSceneOptions): Promise<void> {
  using disk = FaultyDisk.mount(96 * MiB, { journal: false });
  if (disk === undefined) return;
  await inScene("a disk that reports errors", { ...options, destination: disk.path }, async (scene) => {
    scene.change(20);
    await scene.inStep();
    const mend = disk.breakWrites();
    try {
      scene.change(60);
      await scene.told(/report(s|ed) an error|disk is full/);
    } finally {
      mend();
    }
    await scene.inStep();
    await scene.assertWhole();
  });
}

/** A destination that turns read-only, as it does after an error, until somebody mounts it anew. */
async function readOnly(inScene: InScene, options: DiskSceneOptions): Promise<void> {
  using disk = FaultyDisk.mount(96 * MiB, { journal: true });
  if (disk === undefined) return;
  await inScene("a disk that turns read-only", { ...options, destination: disk.path }, async (scene) => {
    scene.change(20);
    await scene.inStep();
    disk.turnReadOnly();
    scene.change(30);
    await scene.told(/read-only/);
    await scene.server.program.stop();
    disk.remount();
    await scene.startServer();
    await scene.inStep();
    await scene.assertWhole();
  });
}

/** A directory at the destination that belongs to somebody else, for a server without privileges. */
async function forbidden(inScene: InScene, options: DiskSceneOptions): Promise<void> {
  const serveCommand = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search,-fowner",
    "--inh-caps=-all",
    ...programCommand(),
  ];
  await inScene("a directory that the server may not write", { ...options, serveCommand }, async (scene) => {
    scene.change(60);
    await scene.inStep();
    const directory = `${scene.destination}/d1`;
    Deno.chownSync(directory, 65_534, 65_534);
    scene.change(60);
    await scene.told(/permission denied|not permitted/);
    scene.write("d0/beside it", randomBytes(1, 1_000));
    await until(`all else arrives\n${scene.tail}`, () => existsSync(`${scene.destination}/d0/beside it`));
    await scene.assertWhole();
    Deno.chownSync(directory, 0, 0);
    await scene.inStep();
  });
}

/** What starts the program where it may have hardly any watches; this affects nobody else on the machine. */
function fewWatches(): string[] {
  const script = `echo 4 > /proc/sys/user/max_inotify_watches && exec "$@"`;
  return ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", ...programCommand()];
}

async function withoutWatches(scene: DiskScene): Promise<void> {
  for (let i = 0; i < 20; i++) Deno.mkdirSync(`${scene.source}/more/${i}`, { recursive: true });
  scene.change(20);
  await scene.told(/looking at everything again and again/);
  await scene.inStep();
  const more = `echo 100000 > /proc/sys/user/max_inotify_watches`;
  await new Deno.Command("nsenter", {
    args: ["--user", "--preserve-credentials", "--target", String(scene.watch.pid), "sh", "-c", more],
  }).output();
  scene.change(20);
  await systemClock.sleep(100);
  await scene.inStep();
}
