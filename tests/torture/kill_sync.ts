/** A sync, and a restore, that is killed at random moments and run again. @module */
import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/core/clock.ts";
import { randomBytes } from "../support/bytes.ts";
import type { Program } from "../support/program.ts";
import { storm } from "../support/storm.ts";
import { problemsIn, SyncScene } from "../support/sync_scene.ts";
import { assertSameTree, makeTree, snapshotTree, type TreeSnapshot } from "../support/trees.ts";
import { picker } from "./attack.ts";
import type { Campaign, CampaignJob } from "./kills.ts";

/** Kills between two times of peace. */
const MOST_KILLS = 6;

/** Times of peace in a campaign: the tree and its versions grow. */
const PEACES = 4;

/** Versions enough that none is pruned: whatever stood on a side must be found. */
const KEEP_ALL = ["--keep", "1000"];

/** All times too. */
const EVERYTHING = { directoryMtime: true, symlinkMtime: true };

/** Kills syncs, one-way and two-way, with a directory and with a server, or that server. */
export const killSync: Campaign = (job) =>
  inScene(job, async (scene) => {
    const { random, signal, measured } = job;
    const pick = picker(random);
    const [twoWay, served] = [pick.chance(0.6), pick.chance(0.4)];
    if (served) await scene.serve();
    const args = [...(twoWay ? ["--two-way"] : []), ...(served ? [] : KEEP_ALL), "--allow-mass-delete"];
    const change = async () => {
      const options = () => ({ seed: pick.below(1e6), operations: pick.below(40) });
      await storm(scene.source, options());
      if (twoWay) await storm(scene.backup, options());
    };
    makeTree(scene.source, { middle: randomBytes(pick.below(1e6), 400_000) });
    await storm(scene.source, { seed: pick.below(1e6), operations: 60 });
    const startedAt = performance.now();
    await scene.syncWell(...args);
    const wholeMs = performance.now() - startedAt;
    for (let peace = 0; peace < PEACES && !signal.aborted; peace++) {
      let standing = new Set<string>();
      for (let kills = 1 + pick.below(MOST_KILLS); kills > 0 && !signal.aborted; kills--) {
        if (kills === 1 || pick.chance(0.7)) await change();
        standing = await scene.contents();
        const sync = scene.startSync(...args);
        await systemClock.sleep(wholeMs * 1.2 * random());
        if (served && pick.chance(0.4)) {
          await killed(scene.server.program);
          await systemClock.sleep(pick.below(200));
          await scene.serve();
          if (pick.chance(0.5)) await killed(sync);
        } else {
          await killed(sync);
        }
        await sync.status;
        measured.kills++;
        // Everything that stood on either side before is there, on a side or as a version.
        if (!served) assertEquals(await scene.lost(standing), [], "contents lost");
      }
      const { code, json, stderr } = await scene.sync(...args);
      // What both sides have renamed into each other takes two.
      if (twoWay && code === 1) await scene.syncWell(...args);
      else assertEquals([code, stderr, problemsIn(json)], [0, "", []]);
      await scene.assertInStep();
      if (!served) assertEquals(await scene.lost(standing), [], "contents lost in the end");
      await scene.assertClean();
      measured.peaces++;
    }
    await scene.syncWell(...args);
    await scene.assertInStep();
  });

/** Kills restores of any version, in place and beside. */
export const killRestore: Campaign = (job) =>
  inScene(job, async (scene) => {
    const { random, signal, measured } = job;
    const pick = picker(random);
    const versions: { number: number; tree: TreeSnapshot }[] = [];
    makeTree(scene.source, { middle: randomBytes(pick.below(1e6), 400_000) });
    for (let made = 0; made < 4; made++) {
      await storm(scene.source, { seed: pick.below(1e6), operations: 60 });
      const { json } = await scene.syncWell(...KEEP_ALL, "--allow-mass-delete");
      const { number } = json.findLast(({ type, of }) => type === "version" && of === "source")!;
      versions.push({ number, tree: await snapshotTree(scene.source) });
    }
    for (let peace = 0; peace < PEACES && !signal.aborted; peace++) {
      const { number, tree } = pick.one(versions);
      const into = pick.one([undefined, undefined, `${scene.path}/restored-${peace}`]);
      const restored = into ?? pick.one([scene.source, scene.backup]);
      const args = [
        "restore",
        into === undefined ? restored : scene.source,
        "--version",
        String(number),
        "--delete",
        ...(into === undefined ? [] : ["--into", into]),
      ];
      let standing = new Set<string>();
      for (let kills = 1 + pick.below(MOST_KILLS); kills > 0 && !signal.aborted; kills--) {
        if (into === undefined && pick.chance(0.5)) {
          await storm(restored, { seed: pick.below(1e6), operations: pick.below(20) });
        }
        standing = await scene.contents();
        const restore = scene.start(...args, "--json");
        await systemClock.sleep(600 * random());
        await killed(restore);
        measured.kills++;
        assertEquals(await scene.lost(standing), [], "contents lost");
      }
      const { code, json, stderr } = await scene.run(...args, "--json");
      assertEquals([code, stderr, problemsIn(json)], [0, "", []]);
      await assertSameTree(tree, restored, EVERYTHING);
      assertEquals(await scene.lost(standing), [], "contents lost in the end");
      measured.peaces++;
    }
    // What a restore left in the backup is removed by who has its state there, the next sync.
    // What stands in the way of something else there is a problem until it is gone.
    const { code, stderr } = await scene.sync(...KEEP_ALL, "--allow-mass-delete");
    assertEquals([code, stderr], [0, ""]);
    await scene.assertInStep();
    await scene.assertClean();
  });

async function killed(program: Program): Promise<void> {
  try {
    program.kill("SIGKILL");
  } catch (error) {
    // It has ended at this very moment.
    if (!(error instanceof TypeError)) throw error;
  }
  await program.status;
}

/** Runs `work` in a scene whose trees are left in the directory of the campaign when it throws. */
async function inScene({ directory }: CampaignJob, work: (scene: SyncScene) => Promise<void>): Promise<void> {
  await using scene = new SyncScene();
  try {
    await work(scene);
  } catch (error) {
    await new Deno.Command("cp", { args: ["-a", scene.path, directory] }).output();
    throw error;
  }
}
