/** What of its attributes a file system keeps. @module */
import type { TreeRoot } from "./tree_root.ts";

/** FAT and exFAT, of most sticks and many disks for backups, keep no permissions, and times in coarse steps. */
export interface KeptAttributes {
  /** Whether permission bits are kept. */
  modes: boolean;
  /** Modification times are rounded down to multiples of so many milliseconds. */
  tick: number;
}

/** What most file systems keep: all. */
export const ALL_KEPT: KeptAttributes = { modes: true, tick: 1 };

/** Ticks that there are, milliseconds: those of most, of exFAT, of ext3 and HFS+, and of FAT. */
const TICKS = [1, 10, 1_000, 2_000];

/** A time that differs after rounding down to any of them. */
const PROBE_TIME = 1_600_000_001_987;
/** A mode that no file gets by itself. */
const PROBE_MODE = 0o640;

/** Finds out with a temporary file; `undefined` where none can be made now. */
export function findKept(root: TreeRoot): KeptAttributes | undefined {
  try {
    using anchor = root.anchor();
    const temp = anchor.createTemp();
    try {
      temp.setAttributes({ mode: PROBE_MODE, mtime: PROBE_TIME });
      using file = temp.openRead();
      const { mode, mtime } = file.stat;
      const tick = TICKS.find((tick) => roundedDown(PROBE_TIME, tick) === mtime) ?? 1;
      return { modes: mode === PROBE_MODE, tick };
    } finally {
      temp.discard();
    }
  } catch {
    return undefined;
  }
}

/** Attributes of an entry, or of what stands at its path; links have no mode. */
interface Attributes {
  mtime: number;
  mode?: number;
}

/** What keeps attributes: a tree, or an anchor in it. It is asked only about what is not alike. */
export interface AttributeKeeper {
  readonly kept: KeptAttributes;
}

/** Whether what was given `declared` looks like `standing` where `keeper` is. */
export function showsAs(declared: Attributes, standing: Attributes, keeper: AttributeKeeper): boolean {
  const isTime = declared.mtime === standing.mtime ||
    roundedDown(declared.mtime, keeper.kept.tick) === standing.mtime;
  if (!isTime) return false;
  return declared.mode === undefined || declared.mode === standing.mode || !keeper.kept.modes;
}

function roundedDown(time: number, tick: number): number {
  return Math.floor(time / tick) * tick;
}
