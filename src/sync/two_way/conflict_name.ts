/** The name under which the loser of a conflict is kept. @module */
import type { Entry } from "../../core/entry.ts";
import { childOf, MAX_NAME_BYTES, nameOf, parentOf, type TreePath } from "../../core/path.ts";

const encoder = new TextEncoder();

/**
 * Where `loser` is kept beside what won: `name (conflict laptop 2026-11-21 15.04.05).ext`. It is made of what
 * the loser is alone, so that a sync that was cut and comes again makes no second one.
 *
 * @param host Where the loser comes from.
 * @param attempt From 1; later ones are numbered, for when a name is taken by something else.
 */
export function conflictPath(loser: Entry, host: string, attempt: number): TreePath {
  const name = nameOf(loser.path);
  const dot = name.lastIndexOf(".");
  const end = dot > 0 ? dot : name.length;
  const number = attempt === 1 ? "" : ` ${attempt}`;
  const label = host.replaceAll(/[/\\\0]/g, "-").toWellFormed().replaceAll("\uFFFD", "-").slice(0, 40);
  const tag = ` (conflict ${label} ${timeText(loser.mtime)}${number})`;
  const extension = cut(name.slice(end), 20);
  const room = MAX_NAME_BYTES - encoder.encode(tag + extension).length;
  const stem = cut(name.slice(0, end), room);
  return childOf(parentOf(loser.path), stem + tag + extension);
}

/** UTC, to the second, without what some file systems refuse. */
function timeText(mtime: number): string {
  return new Date(mtime).toISOString().slice(0, -5).replace("T", " ").replaceAll(":", ".");
}

/** The beginning of `text` that has at most `most` bytes of UTF-8, without half a character. */
function cut(text: string, most: number): string {
  if (encoder.encode(text).length <= most) return text;
  let kept = "";
  let length = 0;
  for (const character of text) {
    length += encoder.encode(character).length;
    if (length > most) break;
    kept += character;
  }
  return kept;
}
