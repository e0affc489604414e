/** Programs of the system that tests need, and that may not be there or not be allowed. @module */

/** Why a program failed, or could not be run; `undefined` when it did not. */
export function failureOf(command: string, ...args: string[]): string | undefined {
  try {
    const { success, stderr } = new Deno.Command(command, { args }).outputSync();
    return success ? undefined : new TextDecoder().decode(stderr).trim();
  } catch (error) {
    return String(error);
  }
}

/** Whether a program could be run, and did not fail. */
export function succeeds(command: string, ...args: string[]): boolean {
  return failureOf(command, ...args) === undefined;
}
