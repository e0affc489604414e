/** Takes the place of `Deno.test`, which does nothing in an executable; {@linkcode runRegistered} runs them. @module */

const registered: Deno.TestDefinition[] = [];

Object.defineProperty(Deno, "test", {
  value(first: string | Deno.TestDefinition, fn?: Deno.TestDefinition["fn"]): void {
    registered.push(typeof first === "string" ? { name: first, fn: fn! } : first);
  },
});

/**
 * Runs what was registered, prints a line for each, and gives the number of those that failed.
 *
 * @param leftOut Names of those that are not run.
 */
export async function runRegistered(leftOut: RegExp): Promise<number> {
  let failed = 0;
  for (const { name, fn, ignore } of registered) {
    if (ignore || leftOut.test(name)) continue;
    try {
      await fn({} as Deno.TestContext);
      print(`ok ${name}`);
    } catch (error) {
      failed++;
      print(`FAILED ${name}\n${(error as Error).stack ?? error}`);
    }
  }
  return failed;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
