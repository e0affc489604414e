import { assertEquals, assertThrows } from "@std/assert";
import { parsePeersOptions, type PeerRecord, recordsIn, runsOf, tableOf, UsageError } from "./bench_peers.ts";

const ENVIRONMENT = { PEERS_BENCH: "/bench", BENCH_HOME: "/data" };

Deno.test("parsePeersOptions() takes the harness from the flag, else from the environment", () => {
  assertEquals(parsePeersOptions([], ENVIRONMENT).harness, "/bench");
  assertEquals(parsePeersOptions(["--harness", "/other"], ENVIRONMENT).harness, "/other");
});

Deno.test("parsePeersOptions() takes filesync from the flag, the environment, or this checkout", () => {
  const command = (args: string[], FILESYNC?: string) =>
    parsePeersOptions(args, { ...ENVIRONMENT, FILESYNC }).filesync;
  assertEquals(command(["--filesync", "one"], "two"), "one");
  assertEquals(command([], "two"), "two");
  assertEquals(/'[^']+' run -A --no-check '[^']+\/main\.ts'$/.test(command([])), true);
});

Deno.test("parsePeersOptions() says how to name what is missing, and refuses what makes no sense", () => {
  assertThrows(
    () => parsePeersOptions([], { BENCH_HOME: "/data" }),
    UsageError,
    "--harness DIR or PEERS_BENCH",
  );
  assertThrows(() => parsePeersOptions([], { PEERS_BENCH: "/bench" }), UsageError, "BENCH_HOME");
  for (const args of [["--reps", "0"], ["--reps", "x"], ["--unknown"]]) {
    assertThrows(() => parsePeersOptions(args, ENVIRONMENT), UsageError);
  }
});

Deno.test("runsOf() leaves the turns to the harness", () => {
  const options = parsePeersOptions(["--chain", "files", "--net", "wan", "--reps", "2"], ENVIRONMENT);
  assertEquals(runsOf(options).map((args) => args.join(" ")), [
    "/bench/bench.py --chain files --net wan --set r1 --contestants rsync,filesync --reps 2",
  ]);
});

Deno.test("runsOf() gives each program and repetition a run of its own for a fresh disk", () => {
  const options = parsePeersOptions(["--fresh-disk", "--reps", "2", "--contestants", "a,b"], ENVIRONMENT);
  const run = (name: string) =>
    `/bench/bench.py --chain tree --net lan --set r1 --contestants ${name} --reps 1`;
  assertEquals(runsOf(options).map((args) => args.join(" ")), ["a", "b", "a", "b"].map(run));
});

Deno.test("recordsIn() passes over what is no record", () => {
  const record = { contestant: "rsync", step: "S1", ok: true };
  assertEquals(recordsIn(`# note\n${JSON.stringify(record)}\n{"a":1}\nnull\n`), [record]);
});

function record(contestant: string, wall_s: number, more: Partial<PeerRecord> = {}): PeerRecord {
  const figures = { cpu_src_s: 1, cpu_dst_s: 2, rss_src_mb: 30, rss_dst_mb: 40, up_b: 1e6, down_b: 5e5 };
  return { contestant, step: "S1", ok: true, wall_s, ...figures, ...more };
}

/** The cells of the rows below the head. */
function cellsOf(table: string): string[][] {
  return table.trim().split("\n").slice(2).map((line) => line.slice(2, -2).split(" | "));
}

Deno.test("tableOf() gives medians, and ratios to rsync, whichever came first", () => {
  const table = tableOf([
    record("filesync", 1),
    record("rsync", 4),
    record("filesync", 3),
    record("rsync", 9),
    record("rsync", 2),
  ]);
  assertEquals(cellsOf(table), [
    ["S1", "filesync", "2", "2.00", "0.50", "1.00", "2.00", "30", "40", "1.50", ""],
    ["S1", "rsync", "3", "4.00", "1.00", "1.00", "2.00", "30", "40", "1.50", ""],
  ]);
});

Deno.test("tableOf() counts what failed apart, and gives no figures of it", () => {
  const failed: PeerRecord = { contestant: "rsync", step: "S1", ok: false };
  const rows = cellsOf(tableOf([record("filesync", 1), record("filesync", 9, { ok: false }), failed]));
  assertEquals(rows.map((cells) => [cells[2], cells[3], cells[4], cells.at(-1)]), [
    ["1", "1.00", "-", "1"],
    ["0", "-", "-", "1"],
  ]);
});

Deno.test("tableOf() has latencies where there are any, and takes the wire's own count first", () => {
  const latencies = { step: "S7", p50_ms: 12.34, p95_ms: 20, p99_ms: 30, wire_b: 2.5e8 };
  const [row] = cellsOf(tableOf([record("filesync", 50, latencies)]));
  assertEquals(row.slice(9), ["250", "12.3", "20.0", "30.0", ""]);
});
