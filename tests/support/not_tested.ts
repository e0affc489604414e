/** Telling why something is not tested here. @module */

/** Says on stderr that something is not tested, and why. */
export function sayNotTested(what: string, why: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${what}: not tested: ${why}\n`));
}
