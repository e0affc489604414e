/** The attack by shape: a very wide directory, deep ones, paths longer than systems take, a huge file of nothing. @module */
import { parsePath, type TreePath } from "../../src/core/path.ts";
import { TreeRoot } from "../../src/files/tree_root.ts";
import type { Attack, AttackJob, Figures } from "./attack.ts";
import { QuietPair, textAt } from "./quiet_pair.ts";

/** Files of the wide directory for each second that there is, and at most. */
const WIDE = { aSecond: 120, most: 200_000 };

/** Bytes of the huge file for each second that there is, and at most: 20 GiB. */
const HUGE = { aSecond: 12 << 20, most: 20 * 2 ** 30 };

/** Directories within each other. */
const DEPTH = 200;

/** A path of 10,000 characters, more than twice `PATH_MAX`. */
const LONG = parsePath(Array.from({ length: 40 }, (_, i) => `${i}-`.padEnd(249, "long")).join("/"));

/** Most memory that either side may have; what stands in one directory is had in memory as a whole. */
const MOST_MIB = 600;

const attack: Attack = {
  summary: "200,000 files in a directory, 200 levels, a path of 10,000 characters, 20 GiB of nothing",
  unable: () => Deno.build.os === "linux" ? undefined : "memory is told by /proc only",
  run,
};

export default attack;

async function run({ seconds, seed }: AttackJob): Promise<Figures> {
  const wide = Math.min(WIDE.most, Math.ceil(seconds * WIDE.aSecond));
  const huge = Math.min(HUGE.most, Math.ceil(seconds * HUGE.aSecond));
  await using pair = await QuietPair.start();
  const source = pair.temp.directory("source");
  const faults: string[] = [];
  const measured: Record<string, number> = { wideFiles: wide, hugeMiB: Math.round(huge / 2 ** 20) };
  const push = async (what: string, ...args: string[]) => {
    const { code, seconds, peakMiB, stderr } = await pair.push(source, ...args);
    measured[`${what}Seconds`] = seconds;
    measured.watcherMiB = Math.max(measured.watcherMiB ?? 0, peakMiB);
    measured.serverMiB = pair.serverPeakMiB;
    if (code !== 0) faults.push(`${what}: exit code ${code}: ${stderr.slice(0, 500)}`);
  };
  const wideText = (n: number) => `${seed} ${n}`;
  const deepText = (n: number) => `${seed} level ${n}`;
  const checkHuge = () => {
    try {
      const { size, blocks } = Deno.lstatSync(`${pair.served}/huge`);
      measured.hugeTakesMiB = Math.round((blocks ?? 0) * 512 / 2 ** 20);
      if (size !== huge) faults.push(`the huge file has ${size} bytes`);
      for (const at of islands(huge)) {
        if (readAt(`${pair.served}/huge`, at, 100) === readAt(`${source}/huge`, at, 100)) continue;
        faults.push(`the huge file has something else at ${at}`);
      }
    } catch (error) {
      faults.push(`the huge file is lost: ${error}`);
    }
  };
  const deepPath = (n: number) => `deep/${"d/".repeat(n)}f`;

  Deno.mkdirSync(`${source}/wide`);
  for (let n = 0; n < wide; n++) Deno.writeTextFileSync(`${source}/wide/${n}`, wideText(n));
  for (let n = 0; n < DEPTH; n++) {
    Deno.mkdirSync(`${source}/${deepPath(n).slice(0, -2)}`, { recursive: true });
    Deno.writeTextFileSync(`${source}/${deepPath(n)}`, deepText(n));
  }
  makeLong(source, deepText(0));
  await push("wideAndDeep");
  for (let n = 0; n < wide && faults.length < 10; n++) {
    if (textAt(`${pair.served}/wide/${n}`) !== wideText(n)) faults.push(`lost: wide/${n}`);
  }
  for (let n = 0; n < DEPTH; n++) {
    if (textAt(`${pair.served}/${deepPath(n)}`) !== deepText(n)) faults.push(`lost: level ${n}`);
  }
  if (!holdsLong(pair.served, deepText(0))) faults.push("lost: the long path");

  {
    using file = Deno.openSync(`${source}/huge`, { write: true, create: true });
    file.truncateSync(huge);
    for (const at of islands(huge)) {
      file.seekSync(at, Deno.SeekMode.Start);
      file.writeSync(new TextEncoder().encode(`${seed} island ${at}`));
    }
  }
  await push("huge");
  checkHuge();

  Deno.removeSync(`${source}/wide`, { recursive: true });
  await push("removal", "--allow-mass-delete");
  if (textAt(`${pair.served}/wide/0`) !== undefined) faults.push("the wide directory was not removed");
  for (const what of ["serverMiB", "watcherMiB"]) {
    if (measured[what] > MOST_MIB) faults.push(`${what}: ${measured[what]}, more than ${MOST_MIB}`);
  }
  return { runs: wide + DEPTH + 2, faults, measured };
}

/** Where something stands in the huge file: at its ends, and across the middle. */
function islands(size: number): number[] {
  return [0, Math.floor(size / 2) - 5, size - 100];
}

function readAt(path: string, at: number, length: number): string {
  using file = Deno.openSync(path);
  file.seekSync(at, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
}

/** Only from descriptor to descriptor can such a path be made, or followed. */
function makeLong(tree: string, text: string): void {
  using root = TreeRoot.open(tree);
  using anchor = root.anchor();
  const path = `${LONG}/f` as TreePath;
  anchor.makeParents(path);
  const temp = anchor.createTemp();
  temp.write(new TextEncoder().encode(text));
  temp.close();
  anchor.place(temp, path);
}

function holdsLong(tree: string, text: string): boolean {
  using root = TreeRoot.open(tree);
  using anchor = root.anchor();
  const path = `${LONG}/f` as TreePath;
  if (anchor.lstat(path)?.size !== text.length) return false;
  using file = anchor.openRead(path);
  const bytes = new Uint8Array(text.length);
  file.read(bytes, 0);
  return new TextDecoder().decode(bytes) === text;
}
