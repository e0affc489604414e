import { assertEquals } from "@std/assert";
import { integer, randomBytes, seededRandom } from "./support/bytes.ts";
import { storm } from "./support/storm.ts";
import { problemsIn, SyncScene } from "./support/sync_scene.ts";
import { makeTree } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";

/** Kills of each kind of sync. */
const KILLS = 5;

/** Versions enough that none is pruned: whatever stood on a side must be found. */
const KEEP_ALL = ["--keep", "1000"];

for (
  const [seed, twoWay, served] of [[1, false, false], [2, false, true], [3, true, false], [4, true, true]]
) {
  const name = `a ${twoWay ? "two-way " : ""}sync with a ${served ? "server" : "directory"}`;
  Deno.test(`${name} that is killed at any moment is finished by the next (seed ${seed})`, async () => {
    await using scene = new SyncScene();
    const random = seededRandom(Number(seed));
    if (served) await scene.serve();
    const args = [...(twoWay ? ["--two-way"] : []), ...(served ? [] : KEEP_ALL)];
    makeTree(scene.source, { middle: randomBytes(Number(seed), 3_000_000) });
    await storm(scene.source, { seed: 100 * Number(seed), operations: 400 });
    const startedAt = performance.now();
    await scene.syncWell(...args);
    const wholeMs = performance.now() - startedAt;
    let standing = new Set<string>();
    for (let kills = 1; kills <= KILLS; kills++) {
      await storm(scene.source, { seed: 100 * Number(seed) + kills, operations: 150 });
      if (twoWay) await storm(scene.backup, { seed: 200 * Number(seed) + kills, operations: 150 });
      standing = await scene.contents();
      const sync = scene.startSync(...args);
      await sync.event("started");
      await systemClock.sleep(integer(random, wholeMs / 2));
      if (served && random() < 0.4) {
        scene.server.program.kill("SIGKILL");
        await scene.server.program.status;
        await scene.serve();
      } else {
        sync.kill("SIGKILL");
      }
      await sync.status;
      // Everything that stood on either side before is there, on a side or as a version.
      if (!served) assertEquals(await scene.lost(standing), [], `after kill ${kills}`);
    }
    const { code, json, stderr } = await scene.sync(...args, "--allow-mass-delete");
    // What both sides have renamed into each other takes two.
    if (twoWay && code === 1) await scene.syncWell(...args);
    else assertEquals([code, stderr, problemsIn(json)], [0, "", []]);
    await scene.assertInStep();
    await scene.syncWell(...args);
    if (!served) assertEquals(await scene.lost(standing), []);
    await scene.assertClean();
  });
}
