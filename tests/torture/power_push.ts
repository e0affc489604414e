/** Power cuts on either side of a push, or on both. @module */
import { assertEquals } from "@std/assert";
import { existsSync } from "@std/fs";
import { systemClock } from "../../src/core/clock.ts";
import { type Program, pushOnce, run, startServer, startWatch } from "../support/program.ts";
import { snapshotTree, treeDifferences, waitForSameTree } from "../support/trees.ts";
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
  const ledger = new Ledger(disks.path("source"), random, { hasBig: true });
  const destination = `${disks.path("destination")}/tree`;
  const state = `${disks.path("source")}/state`;
  const home = `${directory}/home`;
  Deno.mkdirSync(destination);
  const keep = pick.chance(0.3) ? ["--keep", "3"] : [];
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

  async function check(
    cut: CutDisks,
    survivor: "source" | "destination" | undefined,
    acknowledged: ReadonlyMap<string, number>,
  ): Promise<void> {
    const [source, copy] = [`${cut.path("source")}/tree`, `${cut.path("destination")}/tree`];
    const found = await snapshotTree(copy);
    const databases = [`${cut.path("source")}/state/state.db`, `${copy}/.filesync/index.db`].filter((path) =>
      existsSync(path)
    );
    const what = `after a cut of ${survivor === undefined ? "both" : `all but the ${survivor}`}`;
    assertEquals([...ledger.faultsIn(found, acknowledged), ...databases.flatMap(databaseFaults)], [], what);
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
      const { code, stdout, stderr } = await push();
      if (survivor === "source") assertEquals(code, 0, `${what}: ${stdout}${stderr}`);
      else {
        // What a source has lost, with its memory of it, stays at the destination: it is nobody's there.
        const extra = treeDifferences(await snapshotTree(source), await snapshotTree(copy), EVERYTHING);
        measured.extra = (measured.extra ?? 0) + extra.length;
        const { code, stdout, stderr } = await push("--delete");
        assertEquals(code, 0, `${what}: ${stdout}${stderr}`);
      }
    }
    const differences = treeDifferences(await snapshotTree(source), await snapshotTree(copy), EVERYTHING);
    assertEquals(differences, [], what);
    assertEquals([...Deno.readDirSync(`${copy}/.filesync/tmp`)], [], what);
    const { code, stdout, stderr } = await run(["verify", destination], after);
    assertEquals(code, 0, `${what}: ${stdout}${stderr}`);
  }
};
