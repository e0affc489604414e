/** What a planner saw where an action is to be done, so that nothing else is ever replaced. @module */
import type { Digest } from "./digest.ts";
import type { Entry } from "./entry.ts";

/** What stands at a path, as far as an action can harm it. */
export type Expectation =
  | { kind: "nothing" }
  | { kind: "file"; digest: Digest }
  | { kind: "symlink"; target: string }
  | { kind: "directory" }
  /** Anything but a file of the same size and time with other content: of the two, one is damaged. For puts only. */
  | { kind: "undamaged" };

/** The expectation of who saw `entry`, or nothing, at a path. */
export function expectationOf(entry: Entry | undefined): Expectation {
  switch (entry?.kind) {
    case undefined:
      return { kind: "nothing" };
    case "file":
      return { kind: "file", digest: entry.digest };
    case "symlink":
      return { kind: "symlink", target: entry.target };
    case "directory":
      return { kind: "directory" };
  }
}
