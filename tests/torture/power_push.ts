/** Power cuts on either side of a push, or on both. @module */
import { assertEquals } from "@std/assert";
import { existsSync } from "@std/fs";
import { systemClock } from "../../src/core/clock.ts";
import type { Digest } from "../../src/core/digest.ts";
import { VersionStore } from "../../src/versions/version_store.ts";
import { type Program, pushOnce, run, startServer, startWatch } from "../support/program.ts";
import { snapshotTree, treeDifferences, type TreeSnapshot, waitForSameTree } from "../support/trees.ts";
import { picker } from "./attack.ts";
import { Ledger } from "./ledger.ts";
import type { CutDisks } from "./power_disks.ts";
import { commandAfter, commandBeside, cutSome, databaseFaults, type Series } from "./powercut.ts";

/** Cuts on the same disks: they fill. */
const CUTS = 30;

const EVERYTHING = { directoryMtime: true, symlinkMtime: true };

/** Cuts the power while a watch pushes to a server. */
export const cutPush: Series = async (job) => {
  const { disks, directory, random, signal, measured } = job;
  const pick = picker(random);
  const keep = pick.chance(0.4) ? ["--keep", "100000"] : [];
  // What is kept of big files fills the disk.
  const ledger = new Ledger(disks.path("source"), random, { hasBig: keep.length === 0 });
  const destination = `${disks.path("destination")}/tree`;
  const state = `${disks.path("source")}/state`;
  const home = `${directory}/home`;
  Deno.mkdirSync(destination);
  for (let i = 0; i < 20; i++) ledger.change();
  for (const disk of ["source", "destination"]) disks.flush(disk);
  await using server = await startServer(destination, { home, args: keep });
  await using watch = startWatch(ledger.tree, server.url, server.token, { home, state });
  let mark = 0;
  const takeAcknowledged = () => {
    const lines = watch.jsonSince(mark);
    mark = watch.mark();
    for (const { type, action } of lines) if (type === "applied") ledger.acknowledge(action);
  };
  for (let cuts = 0; cuts < CUTS && !signal.aborted; cuts++) {
    const until = performance.now() + 5 * 100 ** random();
    while (performance.now() < until) {
      ledger.change();
      disks.writeBack(random, 10);
      await systemClock.sleep(30 * random());
    }
    const survivor = pick.one([undefined, "source", "destination"] as const);
    const idle: Program | undefined = survivor && (survivor === "source" ? watch : server.program);
    idle?.kill("SIGSTOP");
    takeAcknowledged();
    const acknowledged = ledger.acknowledged();
    using cut = cutSome(job, survivor);
    idle?.kill("SIGCONT");
    await check(cut, survivor, acknowledged);
  }
  await waitForSameTree(ledger.tree, destination, 60_000, EVERYTHING);

  /** Contents that were acknowledged and are neither in a copy of the tree nor in its versions. */
  function lostIn(kept: string, copy: TreeSnapshot): Digest[] {
    const standing = new Set([...copy.values()].map(({ sha256 }) => sha256));
    using store = new VersionStore(kept, { readOnly: true });
    return [...ledger.contents].filter((digest) => !standing.has(digest) && !store.contents.has(digest));
  }

  async function check(
    cut: CutDisks,
    survivor: "source" | "destination" | undefined,
    acknowledged: ReadonlyMap<string, number>,
  ): Promise<void> {
    const [source, copy] = [`${cut.path("source")}/tree`, `${cut.path("destination")}/tree`];
    const found = await snapshotTree(copy);
    const differences = async () =>
      treeDifferences(await snapshotTree(source), await snapshotTree(copy), EVERYTHING);
    const kept = `${copy}/.filesync/versions`;
    const databases = [
      `${cut.path("source")}/state/state.db`,
      `${copy}/.filesync/index.db`,
      `${kept}/store.db`,
    ].filter((path) => existsSync(path));
    const what = `after a cut of ${
      survivor === undefined ? "both" : `all but the ${survivor}`
    }, ${cut.cache}`;
    const faults = [...ledger.faultsIn(found, acknowledged), ...databases.flatMap(databaseFaults)];
    assertEquals(faults, [], `${what}; the push had said ${watch.stdout.slice(-10_000)}`);
    if (keep.length > 0) assertEquals(lostIn(kept, found), [], `contents that are not kept ${what}`);
    measured.files += found.size;
    measured.acknowledged += acknowledged.size;
    // Both start again, and are in step by themselves.
    const after = { home, command: commandAfter(cut, disks) };
    {
      await using again = await startServer(destination, { ...after, port: server.port, args: keep });
      const push = (...args: string[]) =>
        pushOnce(ledger.tree, again.url, server.token, {
          home,
          command: commandBeside(again.program),
          state,
          args: ["--allow-mass-delete", ...args],
        });
      const succeed = async (...args: string[]) => {
        const { code, stdout, stderr } = await push(...args);
        const status = await run(["status", "--state", state], {
          home,
          command: commandBeside(again.program),
        });
        assertEquals(code, 0, [what, stdout, stderr, status.stdout].join("\n"));
      };
      if (survivor === "source") await succeed();
      else {
        // What a source has lost, with its memory of it, stays at the destination: it is nobody's there.
        await push();
        measured.extra += (await differences()).length;
        await succeed("--delete");
      }
    }
    // A file whose content went and whose time stayed does not show: the destination has what was written last.
    const isShown = (line: string) => survivor === "source" || !line.includes(" differs in content");
    assertEquals((await differences()).filter(isShown), [], what);
    // What is named by its digest is a part of a big file, and goes on when that comes again.
    const left = [...Deno.readDirSync(`${copy}/.filesync/tmp`)].map(({ name }) => name);
    const standing = new Set([...await snapshotTree(copy)].map(([, { sha256 }]) => sha256));
    assertEquals(left.filter((name) => !/^[0-9a-f]{64}$/.test(name) || standing.has(name)), [], what);
    const { code, stdout, stderr } = await run(["verify", destination], after);
    assertEquals(code, 0, `${what}: ${stdout}${stderr}`);
  }
};
