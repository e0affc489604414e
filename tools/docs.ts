/**
 * `deno task docs`: writes the parts of documents that are made from the code, between comments
 * `<!-- begin NAME: … -->` and `<!-- end NAME -->`. A test compares them with what is checked in.
 *
 * - `settings` of docs/configuration.md: every flag of every command with its variable, from the table of commands;
 * - `shared` there: the keys of sections that commands share;
 * - `codes` of docs/PROTOCOL.md: what can go wrong, and the status that it is answered with.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { type Command, type Flag, GLOBAL_FLAGS } from "../src/cli/command.ts";
import { loadCommands } from "../src/cli/commands.ts";
import { flagOfKey, SHARED_SECTIONS, unknownKey } from "../src/cli/shared_sections.ts";
import { ERROR_CODES, nextStep } from "../src/core/errors.ts";
import { STATUS } from "../src/server/problem_document.ts";

/** `text` with its generated parts as they should be. */
export function withGenerated(text: string, parts: Record<string, string>): string {
  for (const [name, part] of Object.entries(parts)) {
    const between = new RegExp(`(<!-- begin ${name}: .*-->\n)[^]*?(<!-- end ${name} -->)`);
    if (!between.test(text)) throw new Error(`There is no part "${name}"`);
    text = text.replace(between, (_, begin, end) => `${begin}\n${part}\n${end}`);
  }
  return text;
}

/** The generated parts of every document that has some. */
export async function generated(): Promise<Record<string, Record<string, string>>> {
  return {
    "docs/configuration.md": { settings: settings(await loadCommands()), shared: shared() },
    "docs/PROTOCOL.md": { codes: codes() },
  };
}

function settings(commands: readonly Command[]): string {
  const sections = commands
    .map((command) => ({ title: `\`[${command.name}]\``, flags: command.flags }))
    .filter(({ flags }) => flags.length > 0);
  const global = GLOBAL_FLAGS.filter(({ name }) => !["help", "version"].includes(name));
  return [{ title: "In every section", flags: global }, ...sections]
    .map(({ title, flags }) => `### ${title}\n\n${tableOf(flags)}`)
    .join("\n");
}

function tableOf(flags: readonly Flag[]): string {
  return table(
    ["name", "variable", "value", "default", "what it does"],
    flags.filter((flag) => !flag.hidden).map((
      { name, env, value, repeat, default: standard, description },
    ) => [
      `\`${name}\``,
      env === undefined ? "" : `\`${env}\``,
      value === undefined ? "on or off" : `${value}${repeat ? ", several" : ""}`,
      standard === undefined ? "" : `\`${standard}\``,
      description,
    ]),
  );
}

function shared(): string {
  return table(
    ["section", "key", "stands for"],
    SHARED_SECTIONS.flatMap((section) => {
      const { known } = unknownKey(section, { "": "" })!;
      return known.map((key) => {
        const flag = flagOfKey(section, key);
        return [
          `\`[${section}]\``,
          `\`${key}\``,
          flag === undefined ? "a part of the address of `--catalog`" : `\`--${flag}\``,
        ];
      });
    }),
  );
}

function codes(): string {
  return table(
    ["code", "status", "what to do, unless `hint` says otherwise"],
    [...ERROR_CODES].sort().map((code) => [`\`${code}\``, String(STATUS[code]), nextStep({ code })]),
  );
}

/** A table as `deno fmt` lays it out. */
function table(head: string[], rows: string[][]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column].length)));
  const line = (row: string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  const [first, ...rest] = cells.map(line);
  return [first, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rest, ""].join("\n");
}

if (import.meta.main) {
  for (const [document, parts] of Object.entries(await generated())) {
    const path = fromFileUrl(new URL(`../${document}`, import.meta.url));
    Deno.writeTextFileSync(path, withGenerated(Deno.readTextFileSync(path), parts));
  }
}
