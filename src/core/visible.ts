/**
 * Text that came from elsewhere (file names, error texts, the other side's words), made
 * fit to show: no byte of it may reach a terminal as a command, begin a line of its own, or
 * reorder what stands around it on a page.
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

/** Whether {@linkcode visible} would change `text`. */
export function isVisible(text: string): boolean {
  return text.search(UNSAFE) < 0;
}

/** `text` with every unsafe character as a JSON escape; for text that is JSON already. */
export function visibleJson(text: string): string {
  return text.replace(UNSAFE, escape);
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
