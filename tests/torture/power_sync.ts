/** Power cuts while a sync, or a restore, works. @module */
import { assertEquals } from "@std/assert";
import { existsSync } from "@std/fs";
import { systemClock } from "../../src/core/clock.ts";
import { Program, run, type RunResult } from "../support/program.ts";
import { problemsIn } from "../support/sync_scene.ts";
import { snapshotTree, treeDifferences, type TreeSnapshot } from "../support/trees.ts";
import { picker } from "./attack.ts";
import { Ledger } from "./ledger.ts";
import type { CutDisks } from "./power_disks.ts";
import { commandAfter, cutSome, databaseFaults, type Series } from "./powercut.ts";

/** Cuts on the same disks: they fill. */
const CUTS = 15;

const EVERYTHING = { directoryMtime: true, symlinkMtime: true };

/** Versions enough that none is pruned. */
const ARGUMENTS = ["--keep", "1000", "--allow-mass-delete", "--json"];

/** A version that a sync said is made. */
interface Version {
  number: number;
  tree: TreeSnapshot;
}

/** Cuts the power in syncs, and in restores of what they kept. */
export const cutSync: Series = async (job) => {
  const { disks, directory, random, signal, measured } = job;
  const pick = picker(random);
  const ledger = new Ledger(disks.path("source"), random);
  const backup = `${disks.path("destination")}/backup`;
  const home = `${disks.path("source")}/home`;
  const twoWay = pick.chance(0.4) ? ["--two-way"] : [];
  const sync = ["sync", ledger.tree, backup, ...twoWay, ...ARGUMENTS];
  const versions: Version[] = [];
  const wellDone = async (result: RunResult | Promise<RunResult>) => {
    const { code, json, stderr } = await result;
    assertEquals([code, problemsIn(json), stderr], [0, [], ""]);
    return json;
  };
  for (let i = 0; i < 20; i++) ledger.change();
  for (let cuts = 0; cuts < CUTS && !signal.aborted; cuts++) {
    const restored = versions.length > 1 && pick.chance(0.3) ? pick.one(versions) : undefined;
    const before = await snapshotTree(ledger.tree);
    if (restored === undefined) { for (let i = pick.below(30); i >= 0; i--) ledger.change(); }
    const args = restored === undefined
      ? sync
      : ["restore", ledger.tree, "--version", `${restored.number}`, "--delete", "--json"];
    disks.flush("source");
    const acknowledged = ledger.acknowledged();
    await using program = Program.start(args, { home });
    const ended = new AbortController();
    const running = program.end(60_000).then((status) => {
      ended.abort();
      return status;
    });
    await systemClock.sleep(150 + 300 * random(), ended.signal).catch(() => {});
    const survivor = restored === undefined ? pick.one([undefined, "source"] as const) : undefined;
    {
      using cut = cutSome(job, survivor);
      if (restored !== undefined) ledger.recount(restored.tree);
      await check(cut, { acknowledged, restored, before });
    }
    const { code } = await running;
    await wellDone({ code, json: program.json, stdout: program.stdout, stderr: program.stderr });
    ledger.recount(await snapshotTree(ledger.tree));
    if (restored !== undefined) continue;
    ledger.acknowledgeAll();
    const made = program.json.findLast(({ type, of }) => type === "version" && of === "source");
    if (made !== undefined) versions.push({ number: made.number, tree: await snapshotTree(ledger.tree) });
    // The same, when nothing works any more.
    using cut = cutSome(job, undefined);
    await check(cut, { acknowledged: ledger.acknowledged() });
  }

  async function check(cut: CutDisks, { acknowledged, restored, before }: {
    acknowledged: ReadonlyMap<string, number>;
    restored?: Version;
    before?: TreeSnapshot;
  }): Promise<void> {
    const [source, copy] = [`${cut.path("source")}/tree`, `${cut.path("destination")}/backup`];
    const store = `${cut.path("destination")}/__versions__/backup/store.db`;
    const index = `${copy}/.filesync/index.db`;
    const found = existsSync(copy) ? await snapshotTree(copy) : new Map();
    assertEquals([
      ...ledger.faultsIn(found, acknowledged),
      ...[store, index].filter((path) => existsSync(path)).flatMap(databaseFaults),
    ], []);
    measured.files += found.size;
    measured.acknowledged += acknowledged.size;
    const after = { home, command: commandAfter(cut, disks) };
    if (restored !== undefined) {
      // What is in the source is what was there before, or what the version has there.
      const torn = [...await snapshotTree(source)].flatMap(([path, { kind, sha256 }]) =>
        kind !== "file" || [before, restored.tree].some((tree) => tree?.get(path)?.sha256 === sha256)
          ? []
          : [path]
      );
      assertEquals(torn, []);
      const again = ["restore", ledger.tree, "--version", `${restored.number}`, "--delete", "--json"];
      await wellDone(run(again, after));
      assertEquals(treeDifferences(restored.tree, await snapshotTree(source), EVERYTHING), []);
    }
    for (const version of new Set([versions.at(-1), versions.length > 0 ? pick.one(versions) : undefined])) {
      if (version === undefined) continue;
      const into = `${directory}/restored`;
      await wellDone(
        run(["restore", backup, "--version", `${version.number}`, "--into", into, "--json"], after),
      );
      assertEquals(treeDifferences(version.tree, await snapshotTree(into), EVERYTHING), []);
      Deno.removeSync(into, { recursive: true });
      measured.restored++;
    }
    const result = await run(sync, after);
    // What both sides have renamed into each other takes two.
    await wellDone(twoWay.length > 0 && result.code === 1 ? run(sync, after) : result);
    assertEquals(treeDifferences(await snapshotTree(source), await snapshotTree(copy), EVERYTHING), []);
    const { code, stdout, stderr } = await run(["verify", backup], after);
    assertEquals(code, 0, stdout + stderr);
  }
};
