/** INI files, as far as settings need them. @module */

/** A line that is none of a section, a setting, a comment or nothing. */
export class IniError extends Error {
  override name = "IniError";
  constructor(readonly line: number) {
    super("it is neither a [section] nor a setting");
  }
}

/** Settings by section and key; a key that stands several times has a list. */
export type Ini = Record<string, Record<string, string | string[]>>;

/**
 * Reads INI: `[section]`, `key = value` or `key: value`, comments after `;` or `#` at the beginning of a line, quotes
 * around values that begin or end with spaces.
 *
 * @throws {IniError}
 */
export function parseIni(text: string): Ini {
  const ini: Ini = {};
  let section: Ini[string] | undefined;
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || /^[;#]/.test(line)) continue;
    const [, name] = /^\[\s*([^\]]+?)\s*\]$/.exec(line) ?? [];
    if (name !== undefined) {
      section = ini[name] ??= {};
      continue;
    }
    const [, key, value] = /^([^=:\s]+)\s*[=:]\s*(.*)$/.exec(line) ?? [];
    if (key === undefined || section === undefined) throw new IniError(i + 1);
    const plain = /^"(.*)"$|^'(.*)'$/.exec(value);
    const meant = plain?.[1] ?? plain?.[2] ?? value;
    const before = section[key];
    section[key] = before === undefined ? meant : [before, meant].flat();
  }
  return ini;
}
