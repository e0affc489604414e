/** Whether a file system takes names that differ only in case for one. @module */
import { nameFault, ROOT, type TreePath } from "../core/path.ts";
import type { TreeRoot } from "./tree_root.ts";

/** Names that are tried, each by two looks. */
const MOST_TRIED = 8;

/** Systems whose file systems do so, unless they are told otherwise. */
const FOLDING_SYSTEMS = new Set<string>(["darwin", "windows"]);

/**
 * Whether names in the directory that differ only by case are one name: asked of what is there, by another
 * spelling, so that nothing has to be written. Where nothing there has letters, what the system usually does.
 */
export function foldsNames(root: TreeRoot, system: string = Deno.build.os): boolean {
  using anchor = root.anchor();
  const names = anchor.list(ROOT).filter((name) => nameFault(name) === undefined && respelled(name) !== name);
  for (const name of names.slice(0, MOST_TRIED)) {
    const stat = anchor.lstat(name as TreePath);
    const other = anchor.lstat(respelled(name) as TreePath);
    // It may be another file of that name, or a second name of the same file.
    if (stat !== undefined) return other?.ino === stat.ino && !names.includes(respelled(name));
  }
  return FOLDING_SYSTEMS.has(system);
}

function respelled(name: string): string {
  const upper = name.toUpperCase();
  return upper === name ? name.toLowerCase() : upper;
}
