/**
 * Measures filesync beside other programs:
 * `deno task bench:peers [--harness DIR] [--chain tree|files|watch] [--net lan|wan] [--set r1] [--reps N]
 * [--contestants rsync,filesync] [--filesync COMMAND] [--fresh-disk]`.
 *
 * The measuring is done by a harness outside this repository, `bench.py` in the directory that `--harness`
 * or `PEERS_BENCH` names: it starts each program in network namespaces of its own, compares the trees byte
 * by byte after every step, and prints a line of JSON for each. `BENCH_HOME` is where it has its data and
 * puts its results. This tool starts it, shows its lines on stderr, and makes of
 * them one table in Markdown.
 *
 * With `--fresh-disk` every program and repetition has a file system of its own, newly made: ext4 looks at
 * every inode that was removed lately when it makes a file. After the tree of one program has been removed,
 * the files of the next are made up to 30 times slower for five minutes (rsync's first push took 8.9 s
 * instead of 0.7 s).
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import { parseArgs } from "node:util";
import { fromFileUrl, join, resolve } from "@std/path";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** The program that the others are compared with. */
const BASE = "rsync";

const HARNESS_HINT =
  "  The harness is a program outside this repository, bench.py, that runs filesync and others over the same trees\n" +
  "  Name its directory with --harness DIR or PEERS_BENCH";

/** Room for the trees of one program, in a file with holes. */
const DISK_SIZE = "12G";

/** What is wanted cannot be done as it is put; its message is all there is to show. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** What is measured. */
export interface PeersOptions {
  /** The directory with `bench.py`. */
  harness: string;
  /** Where the harness has its data and puts its results. */
  home: string;
  chain: string;
  net: string;
  set: string;
  reps: number;
  contestants: string[];
  /** The command of filesync, in words of a shell. */
  filesync: string;
  freshDisk: boolean;
}

/** The variables of the environment that are looked at. */
export type PeersEnvironment = { PEERS_BENCH?: string; BENCH_HOME?: string; FILESYNC?: string };

/**
 * Reads the command line.
 *
 * @throws {UsageError} When something is missing or makes no sense.
 */
export function parsePeersOptions(args: string[], environment: PeersEnvironment): PeersOptions {
  const values = valuesOf(args);
  const harness = values.harness ?? environment.PEERS_BENCH;
  if (!harness) {
    throw new UsageError(
      `Cannot measure: no harness is named\n${HARNESS_HINT}`,
    );
  }
  if (!environment.BENCH_HOME) {
    throw new UsageError(
      "Cannot measure: BENCH_HOME is not set\n" +
        "  Name the directory where the harness has its data; it puts its results there",
    );
  }
  const reps = Number(values.reps);
  if (!Number.isInteger(reps) || reps < 1) {
    throw new UsageError(`Cannot repeat "${values.reps}" times: it is not a whole number from 1 on`);
  }
  return {
    harness: resolve(harness),
    home: resolve(environment.BENCH_HOME),
    chain: values.chain,
    net: values.net,
    set: values.set,
    reps,
    contestants: values.contestants.split(",").filter((name) => name !== ""),
    filesync: values.filesync ?? environment.FILESYNC ?? ownCommand(),
    freshDisk: values["fresh-disk"],
  };
}

function valuesOf(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        harness: { type: "string" },
        chain: { type: "string", default: "tree" },
        net: { type: "string", default: "lan" },
        set: { type: "string", default: "r1" },
        reps: { type: "string", default: "3" },
        contestants: { type: "string", default: `${BASE},filesync` },
        filesync: { type: "string" },
        "fresh-disk": { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    // A TypeError is what parseArgs throws at a flag it does not know.
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

/** This checkout's filesync. */
function ownCommand(): string {
  const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
  return `${quote(Deno.execPath())} run -A --no-check ${quote(join(ROOT, "main.ts"))}`;
}

/**
 * The arguments of each run of `python3`: one run that takes turns by itself, or, where each needs its own
 * disk, one for each repetition and program, in turns too, so that noise of the machine hits all alike.
 */
export function runsOf(options: PeersOptions): string[][] {
  const { harness, chain, net, set, reps, contestants, freshDisk } = options;
  const run = (names: string[], times: number) => [
    join(harness, "bench.py"),
    ...["--chain", chain, "--net", net, "--set", set],
    ...["--contestants", names.join(","), "--reps", `${times}`],
  ];
  if (!freshDisk) return [run(contestants, reps)];
  return Array.from({ length: reps }, () => contestants.map((name) => run([name], 1))).flat();
}

/** What the harness tells of one step. Of a step that failed, figures may be missing. */
export interface PeerRecord {
  contestant: string;
  step: string;
  /** Whether both trees were the same after it. */
  ok: boolean;
  wall_s?: number;
  cpu_src_s?: number;
  cpu_dst_s?: number;
  rss_src_mb?: number;
  rss_dst_mb?: number;
  wire_b?: number;
  up_b?: number;
  down_b?: number;
  p50_ms?: number;
  p95_ms?: number;
  p99_ms?: number;
}

/** The records in what the harness printed; lines that are no JSON are none. */
export function recordsIn(output: string): PeerRecord[] {
  return output.split("\n").flatMap((line) => {
    try {
      const value = JSON.parse(line);
      return typeof value?.contestant === "string" && typeof value.step === "string" ? [value] : [];
    } catch {
      return [];
    }
  });
}

/** A column of the table: its head, what it takes of a record, and how that is written. */
type Column = [head: string, of: (record: PeerRecord) => number | undefined, text: (value: number) => string];

const fixed = (digits: number) => (value: number) => value.toFixed(digits);

const COLUMNS: readonly Column[] = [
  ["CPU s, source", (r) => r.cpu_src_s, fixed(2)],
  ["CPU s, destination", (r) => r.cpu_dst_s, fixed(2)],
  ["MB of memory, source", (r) => r.rss_src_mb, fixed(0)],
  ["MB of memory, destination", (r) => r.rss_dst_mb, fixed(0)],
  ["MB on the wire", (r) => wireBytes(r), (value) => (value / 1e6).toFixed(value < 1e8 ? 2 : 0)],
];

const LATENCIES: readonly Column[] = [
  ["p50 ms", (r) => r.p50_ms, fixed(1)],
  ["p95 ms", (r) => r.p95_ms, fixed(1)],
  ["p99 ms", (r) => r.p99_ms, fixed(1)],
];

function wireBytes({ wire_b, up_b, down_b }: PeerRecord): number | undefined {
  return wire_b ?? (up_b === undefined || down_b === undefined ? undefined : up_b + down_b);
}

/**
 * A table in Markdown, steps and programs in the order in which they came: medians of the steps that
 * went well, and how many times as long as rsync it took. Steps that failed are counted apart.
 */
export function tableOf(records: readonly PeerRecord[]): string {
  const columns = records.some(({ p50_ms }) => p50_ms !== undefined) ? [...COLUMNS, ...LATENCIES] : COLUMNS;
  const heads = [
    "step",
    "program",
    "runs",
    "seconds",
    `to ${BASE}`,
    ...columns.map(([head]) => head),
    "failed",
  ];
  const rows = [...Map.groupBy(records, ({ step }) => step)].flatMap(([step, ofStep]) => {
    const programs = Map.groupBy(ofStep, ({ contestant }) => contestant);
    const base = median((programs.get(BASE) ?? []).filter(({ ok }) => ok), secondsOf);
    return [...programs].map(([program, all]) => {
      const good = all.filter(({ ok }) => ok);
      const seconds = median(good, secondsOf);
      const ratio = seconds === undefined || !base ? undefined : seconds / base;
      return [
        step,
        program,
        `${good.length}`,
        written(seconds, fixed(2)),
        written(ratio, fixed(2)),
        ...columns.map(([, of, text]) => written(median(good, of), text)),
        good.length < all.length ? `${all.length - good.length}` : "",
      ];
    });
  });
  const alignment = heads.map((_, at) => at < 2 ? "---" : "---:");
  return [heads, alignment, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function secondsOf({ wall_s }: PeerRecord): number | undefined {
  return wall_s;
}

function written(value: number | undefined, text: (value: number) => string): string {
  return value === undefined ? "-" : text(value);
}

function median(records: readonly PeerRecord[], of: Column[1]): number | undefined {
  const values = records.map(of).filter((value) => value !== undefined).sort((a, b) => a - b);
  if (values.length === 0) return undefined;
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/** A new ext4 in a file, mounted at `directory` until it is disposed. */
class FreshDisk implements AsyncDisposable {
  readonly #image: string;
  readonly #directory: string;

  private constructor(image: string, directory: string) {
    this.#image = image;
    this.#directory = directory;
  }

  static async mount(directory: string): Promise<FreshDisk> {
    const image = `${directory}.ext4`;
    Deno.mkdirSync(directory, { recursive: true });
    try {
      await run("truncate", "-s", DISK_SIZE, image);
      // Nothing is left to be done while others are measured.
      await run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image);
      await run("mount", "-o", "loop", image, directory);
    } catch (error) {
      Deno.removeSync(image);
      throw error;
    }
    return new FreshDisk(image, directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A program that is only just ending may hold on to it for a moment.
    await run("umount", this.#directory).catch(() => run("umount", "--lazy", this.#directory));
    Deno.removeSync(this.#image);
  }
}

/** @throws {Error} With what the command complains of, when it fails. */
async function run(command: string, ...args: string[]): Promise<void> {
  // A process group of its own: an interrupt from the keyboard shall not hit the undoing.
  const options = { args, stdin: "null", stdout: "null", detached: true } as const;
  const { success, stderr } = await new Deno.Command(command, options).output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Runs the harness once; shows what it prints on stderr, and gives the records. */
async function measure(
  args: string[],
  { home, filesync }: PeersOptions,
  signal: AbortSignal,
): Promise<{ success: boolean; records: PeerRecord[] }> {
  await using child = new Deno.Command("python3", {
    args,
    env: { BENCH_HOME: home, FILESYNC: filesync },
    stdin: "null",
    stdout: "piped",
    // It removes its namespaces when it is told to end, and shall be told once: not by the keyboard too.
    signal,
    detached: true,
  }).spawn();
  const [shown, kept] = child.stdout.tee();
  const [output, , { success }] = await Promise.all([
    new Response(kept).text(),
    shown.pipeTo(Deno.stderr.writable, { preventClose: true }),
    child.status,
  ]);
  return { success, records: recordsIn(output) };
}

async function measureAll(options: PeersOptions): Promise<void> {
  const { harness, home, freshDisk } = options;
  const bench = join(harness, "bench.py");
  if (!await isFile(bench)) {
    throw new UsageError(`Cannot measure: "${bench}" is missing\n${HARNESS_HINT}`);
  }
  if (freshDisk && (Deno.build.os !== "linux" || Deno.uid() !== 0)) {
    throw new UsageError("Cannot make a fresh disk: that takes root on Linux\n  Leave out --fresh-disk");
  }
  const interrupt = new AbortController();
  const stop = () => interrupt.abort();
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, stop);
  const records: PeerRecord[] = [];
  try {
    for (const args of runsOf(options)) {
      if (interrupt.signal.aborted) break;
      await using _disk = freshDisk ? await FreshDisk.mount(join(home, "work")) : undefined;
      const result = await measure(args, options, interrupt.signal);
      records.push(...result.records);
      if (!result.success) Deno.exitCode = 1;
    }
  } finally {
    for (const name of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(name, stop);
  }
  console.info(tableOf(records));
  if (records.some(({ ok }) => !ok)) Deno.exitCode = 1;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

if (import.meta.main) {
  try {
    await measureAll(parsePeersOptions(Deno.args, Deno.env.toObject()));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
}
