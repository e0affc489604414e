/**
 * Text as systemd's unit files want it: a word of `ExecStart=` is unquoted, then `%` is expanded, then `$`
 * (systemd.service(5), "Command lines"; `extract_first_word` in systemd's source).
 *
 * @module
 */

/** What may stand in a unit file without quotes. */
const PLAIN = /^[A-Za-z0-9_@=:,.\/+-]+$/;

/**
 * One word of a command or of a list of paths. Of a command that begins with `:`, so that `$` means nothing.
 *
 * @throws {TypeError} When it holds a control character: a list of paths knows no way to write one.
 */
export function unitWord(text: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new TypeError("A word of a unit file cannot hold a control character");
  }
  return PLAIN.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&").replaceAll("%", "%%")}"`;
}

/** A whole line of text, such as a description. */
export function unitText(text: string): string {
  // A backslash at the end would take the next line along.
  return text.replace(/[\x00-\x1f\x7f]/g, " ").replaceAll("%", "%%").replace(/\\+$/, "").trim();
}
