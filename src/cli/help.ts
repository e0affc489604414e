/** Help texts, made from the table of commands. @module */
import {
  type Argument,
  type Command,
  type CommandEntry,
  type Example,
  type Flag,
  GLOBAL_FLAGS,
} from "./command.ts";
import { createStyle, type Style } from "./style.ts";
import { widthOf, wrap } from "./text_width.ts";

/** How help is laid out. */
export interface HelpOptions {
  /** Width of the terminal, in characters; lines are never longer than {@linkcode MAX_COLUMNS}. */
  columns: number;
  /** @default {false} */
  colors?: boolean;
}

/** Longer lines are hard to read. */
export const MAX_COLUMNS = 100;
/** Narrower than this, lines run over the edge rather than being torn to words. */
const MIN_COLUMNS = 40;
/** Left column wider than this puts its description on the next line. */
const MAX_TERM = 30;

/** What `filesync --help` prints. */
export function programHelp(
  commands: readonly CommandEntry[],
  version: string,
  options: HelpOptions,
): string {
  const layout = layoutOf(options);
  return [
    paragraph(
      `filesync ${version}: keeps a directory in step with a copy elsewhere`,
      layout,
    ),
    section("Usage", ["  filesync <command> [arguments] [flags]"], layout),
    section(
      "Commands",
      table(commands.map(({ name, summary }) => [`  ${name}`, summary]), layout),
      layout,
    ),
    section("Flags of every command", flagTable(GLOBAL_FLAGS, layout), layout),
    paragraph("filesync <command> --help explains a command and shows examples.", layout),
  ].join("\n");
}

/** What `filesync <command> --help` prints. */
export function commandHelp(command: Command, options: HelpOptions): string {
  const layout = layoutOf(options);
  const own = new Set(command.flags.map((flag) => flag.name));
  const global = GLOBAL_FLAGS.filter((flag) => !own.has(flag.name));
  const flags = command.flags.filter((flag) => !flag.hidden);
  return [
    paragraph(`${command.summary}.`, layout),
    section("Usage", [`  ${usageLine(command)}`], layout),
    ...(command.description ?? "").split(/\n\s*\n/).filter((text) => text.trim() !== "")
      .map((text) => paragraph(text, layout)),
    section("Arguments", argumentTable(command.arguments, layout), layout),
    section("Flags", flagTable(flags, layout), layout),
    section("Flags of every command", flagTable(global, layout), layout),
    section("Examples", exampleLines(command.examples, layout), layout),
  ].filter((part) => part !== "").join("\n");
}

/** `filesync watch <dir> --to HOST [flags]`. */
export function usageLine(command: Command): string {
  const words = command.arguments.map(({ name, optional }) => optional ? `[<${name}>]` : `<${name}>`);
  const required = command.flags.filter((flag) => flag.required).map(({ name, value }) =>
    `--${name}${value ? ` ${value}` : ""}`
  );
  return ["filesync", command.name, ...words, ...required, "[flags]"].join(" ");
}

interface Layout {
  columns: number;
  style: Style;
}

function layoutOf({ columns, colors = false }: HelpOptions): Layout {
  return { columns: Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, columns)), style: createStyle(colors) };
}

function paragraph(text: string, { columns }: Layout): string {
  return wrap(text, columns).join("\n") + "\n";
}

function section(title: string, lines: string[], { style }: Layout): string {
  return lines.length === 0 ? "" : `${style.bold(`${title}:`)}\n${lines.join("\n")}\n`;
}

function argumentTable(all: readonly Argument[], layout: Layout): string[] {
  return table(
    all.map(({ name, optional, description }) => [
      `  <${name}>`,
      optional ? `${description} (optional)` : description,
    ]),
    layout,
  );
}

function flagTable(flags: readonly Flag[], layout: Layout): string[] {
  return table(
    flags.map((flag) => {
      const short = flag.short ? `-${flag.short}, ` : "    ";
      const value = flag.value ? ` ${flag.value}` : "";
      return [`  ${short}--${flag.negatable ? "[no-]" : ""}${flag.name}${value}`, explain(flag)];
    }),
    layout,
  );
}

/** What a flag is for, and how it can be given, on one line. */
export function explain({ description, repeat, required, default: standard, env }: Flag): string {
  const notes = [
    required && "required",
    repeat && "may be repeated",
    standard !== undefined && `default: ${standard}`,
    env,
  ].filter(Boolean);
  return notes.length === 0 ? description : `${description} (${notes.join("; ")})`;
}

/** Two columns, the right one wrapped. */
function table(rows: readonly (readonly [string, string])[], { columns, style }: Layout): string[] {
  const fitting = rows.map(([term]) => widthOf(term)).filter((width) => width <= MAX_TERM);
  const left = Math.max(0, ...fitting) + 2;
  return rows.flatMap(([term, text]) => {
    const [first = "", ...more] = wrap(text, Math.max(columns - left, 20));
    const rest = more.map((line) => " ".repeat(left) + line);
    const gap = left - widthOf(term);
    if (gap < 2) return [style.cyan(term), " ".repeat(left) + first, ...rest];
    return [style.cyan(term) + " ".repeat(gap) + first, ...rest];
  });
}

function exampleLines(examples: readonly Example[], { columns, style }: Layout): string[] {
  return examples.flatMap(({ command, does }) => [
    ...wrap(does, columns - 4).map((line) => style.dim(`  # ${line}`)),
    `  ${command}`,
  ]);
}
