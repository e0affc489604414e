/** Clocks of programs that can be set while they run, where libfaketime is installed. @module */

/** Where Debian and its kin install it. */
const PLACES = ["x86_64", "aarch64"].map((machine) =>
  `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`
);

/** The clock of a program. */
export interface JumpingClock {
  /** What the program is to have in its environment. */
  env: Record<string, string>;
  /** Sets it so many seconds ahead of the system's. */
  set(seconds: number): void;
}

/**
 * A clock that goes as the system's until it is set; `undefined` where there is no libfaketime. Timers go on
 * as before, and files keep the times that they have.
 *
 * @param path A file that tells the program how far it is off.
 */
export function faketime(path: string): JumpingClock | undefined {
  const library = [Deno.env.get("LIBFAKETIME"), ...PLACES].find((place) =>
    place !== undefined && isFile(place)
  );
  if (library === undefined) return undefined;
  const set = (seconds: number) => {
    // Whole at any moment: the program may read it now.
    Deno.writeTextFileSync(`${path}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    Deno.renameSync(`${path}.new`, path);
  };
  set(0);
  const env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: path,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
  };
  return { env, set };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
