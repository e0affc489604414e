/**
 * Runs all tests: `deno task test [FLAGS of deno test]`. Those beside the code come
 * first, then the end-to-end ones; both run as many files at a time as there are cores, or `DENO_JOBS`.
 * The last line is the sum, `N passed, N failed`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import { stripAnsiCode } from "@std/fmt/colors";

/** Arguments of `deno test`, one list for each run. */
const RUNS = [["--parallel", "src", "tools"], ["--parallel", "tests"]];

/** How many tests ended how. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The counts in the last line of what `deno test` printed; without such a line nothing was run, which is one failure. */
export function countsIn(output: string): Counts {
  const lines = stripAnsiCode(output).matchAll(
    /^(?:ok|FAILED) \| (\d+) passed[^|\n]* \| (\d+) failed[^|\n]*(?:\| (\d+) ignored)?/gm,
  );
  const last = [...lines].at(-1);
  if (last === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const [, passed, failed, skipped = "0"] = last;
  return { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

/** What `deno test` told of the tests that failed, from its last heading "ERRORS" on; nothing when none did. */
export function failuresIn(output: string): string {
  const plain = stripAnsiCode(output);
  const from = plain.lastIndexOf("\n ERRORS \n");
  return from < 0 ? "" : plain.slice(from).trim();
}

/** The closing line. */
export function textOf({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** Runs `deno test` with `args`, shows what it prints, and counts. */
async function runTests(args: string[]): Promise<{ counts: Counts; failures: string }> {
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", ...args],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const [shown, kept] = child.stdout.tee();
  const [output, , { success }] = await Promise.all([
    new Response(kept).text(),
    shown.pipeTo(Deno.stdout.writable, { preventClose: true }),
    child.status,
  ]);
  const counts = countsIn(output);
  // Such as a test that leaks, found after all have passed.
  if (!success && counts.failed === 0) counts.failed = 1;
  return { counts, failures: failuresIn(output) };
}

if (import.meta.main) {
  const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  const told: string[] = [];
  for (const run of RUNS) {
    const { counts, failures } = await runTests([...Deno.args, ...run]);
    sum.passed += counts.passed;
    sum.failed += counts.failed;
    sum.skipped += counts.skipped;
    if (failures !== "") told.push(failures);
  }
  // Once more, where they are found: the first run's are thousands of lines up by now.
  for (const failures of told) console.info(`${failures}\n`);
  console.info(textOf(sum));
  if (sum.failed > 0) Deno.exitCode = 1;
}
