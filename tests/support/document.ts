/**
 * Documents in Markdown, as far as tests check them: what of a document is shell, as a script that runs it;
 * its links, headings and words in code.
 *
 * A document is a script: all that is no shell becomes empty lines, so that a line of the script is the same
 * line of the document. Shell is
 *
 * - a block fenced as `sh`: it runs, and each of its commands must succeed;
 * - `sh exit=N`: its last command must end with that exit code;
 * - `sh background`: it goes on while what follows runs, and ends as by Ctrl+C at the end of the document;
 * - `sh not-run: why`: it does not run;
 * - a comment of lines from `<!-- sh` to `-->`: it runs and is not shown: what a text takes for granted;
 * - a comment `<!-- sh not-run: why -->`: nothing runs from there on;
 * - a comment `<!-- sh WORD… = SHELL -->`: from there on, the word is replaced by the shell text in commands.
 *
 * @module
 */

/** What is done with a block of shell, by the words behind `sh`. */
export type ShellKind = { kind: "run" | "background" } | { kind: "exit"; code: number } | {
  kind: "not-run";
  why: string;
};

/** Lines of shell in a document. */
export interface ShellBlock {
  /** Of the first line of the text, from 1. */
  line: number;
  lines: string[];
  how: ShellKind;
  /** Whether it stands in a comment. */
  hidden: boolean;
}

/** A word that stands for something that only shows while it runs, such as a token. */
interface Placeholder {
  /** Of the comment, from 1. */
  line: number;
  word: string;
  shell: string;
}

/** The shell in a document. */
export interface Shell {
  blocks: ShellBlock[];
  placeholders: Placeholder[];
}

/** @throws {Error} For words behind `sh` that mean nothing, and a block without an end. */
export function shellIn(markdown: string): Shell {
  const blocks: ShellBlock[] = [];
  const placeholders: Placeholder[] = [];
  const lines = markdown.split("\n");
  let rest: ShellKind | undefined;
  for (let at = 0; at < lines.length; at++) {
    const [, indent, fence, info = ""] = /^( *)(```+|~~~+) *(.*)$/.exec(lines[at]) ?? [];
    const placeholder = /^<!-- sh (\S+…) = (.*) -->$/.exec(lines[at]);
    if (placeholder !== null) {
      placeholders.push({ line: at + 1, word: placeholder[1], shell: placeholder[2] });
    }
    const [, why] = /^<!-- sh not-run: (.*) -->$/.exec(lines[at]) ?? [];
    if (why !== undefined) rest = { kind: "not-run", why };
    const hidden = lines[at] === "<!-- sh";
    if (fence === undefined && !hidden) continue;
    const end = lines.findIndex((line, i) => i > at && line.trim() === (hidden ? "-->" : fence));
    if (end < 0) throw new Error(`line ${at + 1}: the block has no end`);
    if (hidden || /^sh\b/.test(info)) {
      blocks.push({
        line: at + 2,
        lines: lines.slice(at + 1, end).map((line) => line.slice(indent?.length ?? 0)),
        how: rest ?? (hidden ? { kind: "run" } : kindOf(info.slice(2).trim(), at + 1)),
        hidden,
      });
    }
    at = end;
  }
  return { blocks, placeholders };
}

function kindOf(words: string, line: number): ShellKind {
  if (words === "") return { kind: "run" };
  if (words === "background") return { kind: "background" };
  const [, code] = /^exit=(\d+)$/.exec(words) ?? [];
  if (code !== undefined) return { kind: "exit", code: Number(code) };
  const [, why] = /^not-run: (.+)$/.exec(words) ?? [];
  if (why !== undefined) return { kind: "not-run", why };
  throw new Error(`line ${line}: "sh ${words}" means nothing`);
}

/** A bash script with the same lines as the document; it uses `begun` and `ended_with` of {@linkcode PRELUDE}. */
export function scriptOf({ blocks, placeholders }: Shell, rewrite: (shell: string) => string): string {
  const script: string[] = [];
  for (const { line, lines, how } of blocks) {
    if (how.kind === "not-run") continue;
    const known = placeholders.filter((placeholder) => placeholder.line < line);
    lines.forEach((text, i) => {
      for (const { word, shell } of known) text = text.replaceAll(word, shell);
      script[line - 1 + i] = rewrite(text);
    });
    const [before, after] = [line - 2, line - 1 + lines.length];
    if (how.kind === "background") {
      script[before] = "{";
      script[after] = `} > "$SANDBOX/line-${line}" 2>&1 & begun "$SANDBOX/line-${line}"`;
    } else if (how.kind === "exit") {
      script[before] = "if (";
      script[after] = `); then ended_with ${how.code} 0; else ended_with ${how.code} $?; fi`;
    }
  }
  return Array.from(script, (line) => line ?? "").join("\n") + "\n";
}

/**
 * What scripts of documents are run with. Hidden blocks may use `eventually`, `stop`, and `printed`: the file with what
 * the last program in the background prints.
 */
export const PRELUDE = `
set -eEum -o pipefail
trap 'code=$?; echo "$DOCUMENT:$LINENO: failed: $BASH_COMMAND" >&2; exit $code' ERR
trap 'stop' EXIT
running=()

# eventually COMMAND…: tries until it succeeds, for two minutes.
eventually() {
  local end=$((SECONDS + 120))
  until "$@" > "$SANDBOX/eventually" 2>&1; do
    if ((SECONDS > end)); then cat "$SANDBOX/eventually" >&2; return 1; fi
    sleep 0.1
  done
}

# begun FILE: waits until what was just put into the background prints something.
begun() {
  printed=$1
  running+=("$!")
  eventually has_begun "$!" "$1" && kill -0 "$!" || { cat "$1" >&2; return 1; }
}
has_begun() { test -s "$2" || ! kill -0 "$1"; }

ended_with() {
  (($1 == $2)) || { echo "exit code $2 in place of $1" >&2; return 1; }
}

# stop [last]: ends what runs in the background, or only what came last, as Ctrl+C does.
stop() {
  local code=$? pid
  local pids=("\${running[@]}")
  if [[ "\${1-}" == last ]]; then pids=("\${running[-1]}"); unset "running[-1]"; else running=(); fi
  for pid in "\${pids[@]}"; do
    kill -INT -- "-$pid" || { echo "$DOCUMENT: what was in the background had ended by itself" >&2; code=1; }
  done
  for pid in "\${pids[@]}"; do wait "$pid" || true; done
  return "$code"
}
`;

/** A link, or a word in code, and its line. */
export interface Reference {
  line: number;
  text: string;
}

/** Targets of the links in a document. */
export function linksIn(markdown: string): Reference[] {
  return inText(markdown, /\]\(([^()\s]+(?:\([^()\s]*\))?)\)/g);
}

/** What stands in single backticks. */
export function codeIn(markdown: string): Reference[] {
  return inText(markdown, /`([^`]+)`/g);
}

/** The names by which GitHub links to headings. */
export function anchorsIn(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const line of withoutBlocks(markdown)) {
    const [, heading] = /^#+ +(.*)$/.exec(line) ?? [];
    if (heading === undefined) continue;
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    anchors.add(plain.replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"));
  }
  return anchors;
}

function inText(markdown: string, pattern: RegExp): Reference[] {
  // A link or a piece of code may go on in the next line.
  const text = withoutBlocks(markdown).join("\n");
  return [...text.matchAll(pattern)].map(({ 1: found, index }) => ({
    line: text.slice(0, index).split("\n").length,
    text: found.replaceAll(/\s+/g, " "),
  }));
}

/** The lines of a document, those in fenced blocks and comments empty. */
function withoutBlocks(markdown: string): string[] {
  let end: string | undefined;
  return markdown.split("\n").map((line) => {
    const text = line.trim();
    if (end !== undefined) {
      if (end === "-->" ? text.endsWith(end) : text === end) end = undefined;
      return "";
    }
    end = /^(```+|~~~+)/.exec(text)?.[1] ??
      (text.startsWith("<!--") && !text.endsWith("-->") ? "-->" : undefined);
    return end === undefined ? line : "";
  });
}
