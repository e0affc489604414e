/**
 * Text that came from elsewhere (file names, error texts, the other side's words), made
 * fit to print: no byte of it may reach a terminal as a command or begin a line of its own.
 *
 * @module
 */

// C0 and C1 controls, DEL, line and paragraph separators, and the marks that reorder or
// hide text ("Trojan Source", Boucher and Anderson, 2021).
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** `text` with every unsafe character written as an escape. */
export function visible(text: string): string {
  return text.replace(UNSAFE, (char) => SHORT[char] ?? escape(char));
}

/** A path as it stands in a line of text: as it is, or in quotes where that could mislead. */
export function quotePath(path: string): string {
  const plain = path !== "" && path.search(UNSAFE) < 0 && !/^["\s]|\s$|\s{2}| → /.test(path);
  return plain ? path : visible(JSON.stringify(path));
}

/** `text` with every unsafe character as a JSON escape; for text that is JSON already. */
export function visibleJson(text: string): string {
  return text.replace(UNSAFE, escape);
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
