/** The two-way syncs that this user has made. @module */
import { join } from "@std/path";
import { FilesyncError, osCode } from "../core/errors.ts";
import { TWO_WAY_FILE, TwoWayState } from "../sync/two_way/two_way_state.ts";

/** What is kept in step with what. */
export interface Pair {
  source: string;
  destination: string;
}

/** All pairs with a state below `home`; one that is damaged must not hide the others. */
export function twoWayPairs(home: string): Pair[] {
  return entriesOf(home).flatMap((directory) => {
    if (!hasState(directory)) return [];
    try {
      using state = TwoWayState.look(directory);
      const pair = state.pair;
      return pair === undefined ? [] : [{ source: pair[0], destination: pair[1] }];
    } catch (error) {
      if (error instanceof FilesyncError) return [];
      throw error;
    }
  });
}

/** Catalogs lie beside the directories of states. */
function hasState(path: string): boolean {
  try {
    return Deno.statSync(join(path, TWO_WAY_FILE)).isFile;
  } catch {
    return false;
  }
}

function entriesOf(home: string): string[] {
  try {
    return [...Deno.readDirSync(home)].map(({ name }) => join(home, name)).sort();
  } catch (error) {
    if (osCode(error) === "ENOENT") return [];
    throw error;
  }
}
