/**
 * Colours, as an argument. (`@std/fmt/colors` turns them on and off for the whole process,
 * so that two printers, or two tests, could not differ.)
 *
 * @module
 */

/** Ways to mark text; each returns it unchanged when colours are off. */
export type Style = Record<"bold" | "dim" | "red" | "green" | "yellow" | "cyan", (text: string) => string>;

/** The styles of a terminal with colours, or of anything else. */
export function createStyle(colors: boolean): Style {
  // Select Graphic Rendition, ECMA-48 section 8.3.117.
  const mark = (on: number, off: number) => (text: string) =>
    colors ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    bold: mark(1, 22),
    dim: mark(2, 22),
    red: mark(31, 39),
    green: mark(32, 39),
    yellow: mark(33, 39),
    cyan: mark(36, 39),
  };
}
