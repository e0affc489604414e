/** The attack by numbers: very many small files, at once, then nothing new, then one in a hundred. @module */
import type { Attack, AttackJob, Figures } from "./attack.ts";
import { QuietPair } from "./quiet_pair.ts";

/** Files for each second that there is, up to {@linkcode MOST}. */
const FILES_A_SECOND = 550;
const MOST = 1_000_000;
const FILES_A_DIRECTORY = 1_000;

/** Most memory that either side may have. */
const MOST_MIB = 400;

const attack: Attack = {
  summary: "a million small files, then nothing, then 1 % of them: all arrive, memory is bounded",
  unable: () => Deno.build.os === "linux" ? undefined : "memory is told by /proc only",
  run,
};

export default attack;

async function run({ seconds, seed }: AttackJob): Promise<Figures> {
  const count = Math.min(MOST, Math.ceil(seconds * FILES_A_SECOND));
  await using pair = await QuietPair.start();
  const source = pair.temp.directory("source");
  const faults: string[] = [];
  const measured: Record<string, number> = { files: count };
  const pathOf = (n: number) => `${Math.floor(n / FILES_A_DIRECTORY)}/${n}.txt`;
  const contents = (n: number, round: number) => `${seed} ${round} ${n}\n`.repeat(1 + n % 10);
  const write = (n: number, round: number) =>
    Deno.writeTextFileSync(`${source}/${pathOf(n)}`, contents(n, round));
  const isChanged = (n: number) => n % 100 === 42;

  for (let n = 0; n < count; n++) {
    if (n % FILES_A_DIRECTORY === 0) Deno.mkdirSync(`${source}/${n / FILES_A_DIRECTORY}`);
    write(n, 1);
  }
  const push = async (what: string) => {
    const { code, seconds, peakMiB, stderr } = await pair.push(source);
    measured[`${what}Seconds`] = seconds;
    measured[`${what}MiB`] = peakMiB;
    measured.serverMiB = pair.serverPeakMiB;
    if (code !== 0) faults.push(`${what}: exit code ${code}: ${stderr.slice(0, 500)}`);
  };
  await push("all");
  await push("nothing");
  for (let n = 0; n < count; n++) if (isChanged(n)) write(n, 2);
  await push("some");

  for (let n = 0; n < count && faults.length < 10; n++) {
    const path = `${pair.served}/${pathOf(n)}`;
    try {
      if (Deno.readTextFileSync(path) !== contents(n, isChanged(n) ? 2 : 1)) {
        faults.push(`another content: ${path}`);
      }
    } catch (error) {
      faults.push(`lost: ${path}: ${error}`);
    }
  }
  for (const [what, most] of Object.entries(measured)) {
    if (what.endsWith("MiB") && most > MOST_MIB) faults.push(`${what}: ${most}, more than ${MOST_MIB}`);
  }
  return { runs: count, faults, measured };
}
