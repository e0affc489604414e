/** Command lines of unit files, read as systemd reads them. @module */

/**
 * The words of a command line as systemd understands it: `extract_first_word` with EXTRACT_UNQUOTE and
 * EXTRACT_CUNESCAPE, then the specifiers. Anything that it would warn of throws.
 */
export function systemdWords(line: string): string[] {
  const words: string[] = [];
  let at = 0;
  while (at < line.length) {
    if (" \t\n\r".includes(line[at])) {
      at++;
      continue;
    }
    let word = "";
    let quote = "";
    for (; at < line.length; at++) {
      const char = line[at];
      if (char === "\\") {
        const next = line[++at];
        if (!`"'\\`.includes(next)) throw new Error(`escape of ${next}`);
        word += next;
      } else if (quote !== "") {
        if (char === quote) quote = "";
        else word += char;
      } else if (char === '"' || char === "'") quote = char;
      else if (" \t\n\r".includes(char)) break;
      else word += char;
    }
    if (quote !== "") throw new Error("unbalanced quotes");
    words.push(word.replace(/%(.?)/gs, (_, letter) => {
      if (letter !== "%") throw new Error(`specifier %${letter}`);
      return "%";
    }));
  }
  return words;
}
