import { assert, assertEquals } from "@std/assert";
import { existsSync, walkSync } from "@std/fs";
import { dirname, fromFileUrl, join, relative } from "@std/path";
import { loadCommands } from "../src/cli/commands.ts";
import { type Command, flagsOf, GLOBAL_FLAGS } from "../src/cli/command.ts";
import { parseCommandLine } from "../src/cli/parse.ts";
import { anchorsIn, codeIn, linksIn, type Reference, shellIn } from "../tests/support/document.ts";
import { generated, withGenerated } from "./docs.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

const files = [...walkSync(ROOT, {
  includeDirs: false,
  skip: [/\/(\.git|node_modules|dist|vendor)(\/|$)/],
})].map(({ path }) => relative(ROOT, path));

/** All documents, by their path. */
const documents = new Map(
  files.filter((path) => path.endsWith(".md")).map((path) => [path, Deno.readTextFileSync(join(ROOT, path))]),
);

const commands = await loadCommands();

/** Fails with one line for each fault. */
function assertNone(faults: string[]): void {
  assertEquals(faults, [], `\n${faults.join("\n")}\n`);
}

/** The faults of what `find` finds in all documents. */
function faultsIn(
  find: (text: string) => Reference[],
  faultOf: (reference: string, document: string) => string | undefined,
): string[] {
  return [...documents].flatMap(([path, text]) =>
    find(text).flatMap(({ line, text }) => {
      const fault = faultOf(text, path);
      return fault === undefined ? [] : [`${path}:${line}: ${fault}`];
    })
  );
}

Deno.test("documents are linked to what is there", () => {
  assertNone(faultsIn(linksIn, (target, document) => {
    if (/^(https?|mailto):/.test(target)) return undefined;
    const [path, anchor] = target.split("#");
    const file = path === "" ? document : relative(ROOT, join(ROOT, dirname(document), path));
    if (!existsSync(join(ROOT, file))) return `${target}: there is no ${file}`;
    if (anchor === undefined) return undefined;
    return anchorsIn(documents.get(file) ?? "").has(anchor)
      ? undefined
      : `${target}: there is no such heading`;
  }));
});

Deno.test("documents name files that are there", () => {
  const names = new Set(files.map((path) => path.slice(path.lastIndexOf("/") + 1)));
  assertNone(faultsIn(codeIn, (code) => {
    // `x` is any name.
    if (/(^|\/)x_/.test(code)) return undefined;
    if (/^(src|tests|tools|docs|benches|types)\/[\w./-]*$/.test(code)) {
      return existsSync(join(ROOT, code)) ? undefined : `there is no ${code}`;
    }
    return !/^[a-z_]+\.ts$/.test(code) || names.has(code) ? undefined : `there is no ${code}`;
  }));
});

Deno.test("ARCHITECTURE.md tells the job of every folder", () => {
  const folders = new Set(
    files.map((path) => /^src\/\w+(?=\/)/.exec(path)?.[0]).filter((name) => name !== undefined),
  );
  const told = documents.get("ARCHITECTURE.md")!.match(/^\| `src\/\w+`/gm)!.map((cell) => cell.slice(3, -1));
  assertEquals([...folders].sort(), told.sort());
});

Deno.test("documents name commands and flags that there are", () => {
  const all = new Set([...GLOBAL_FLAGS, ...commands.flatMap(flagsOf)].flatMap(wordsOf));
  const inCode = faultsIn(codeIn, (code, document) => {
    // Their flags are those of tasks.
    if (document.startsWith("benches/") || document === "CONTRIBUTING.md") return undefined;
    const words = code.replace(/^(?:[A-Z_]+=\S+ )*(?:filesync )?/, "").split(" ");
    if (/^--[a-z]/.test(words[0])) {
      return all.has(words[0].replace(/[=,].*/, "")) ? undefined : `no command has ${words[0]}`;
    }
    const isLine = code.startsWith("filesync ") || commands.some(({ name }) => name === words[0]);
    return isLine ? faultOfLine(words) : undefined;
  });
  const inBlocks = faultsIn(commandLines, (line) => {
    const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|([^\s'"]+)/g)]
      .map(([, single, double, plain]) => single ?? double ?? plain);
    try {
      const { command, given } = parseCommandLine(words, commands);
      return command === undefined && given.size === 0 ? "it names no command" : undefined;
    } catch (error) {
      return (error as Error).message;
    }
  });
  assertNone([...inCode, ...inBlocks]);
});

/** A command and its flags in a text, where arguments may be missing. */
function faultOfLine([name, ...rest]: string[]): string | undefined {
  const command = commands.find((command) => command.name === name);
  if (command === undefined) {
    return name.startsWith("-") || name.startsWith("<") ? undefined : `there is no command "${name}"`;
  }
  const flags = new Set(flagsOf(command).flatMap(wordsOf));
  const end = rest.findIndex((word) => command.nested?.includes(word));
  const unknown = rest.slice(0, end < 0 ? undefined : end)
    .find((word) => /^--[a-z]/.test(word) && !flags.has(word.replace(/=.*/, "")));
  return unknown === undefined ? undefined : `filesync ${name} has no ${unknown}`;
}

function wordsOf({ name, negatable }: Command["flags"][number]): string[] {
  return [`--${name}`, ...(negatable ? [`--no-${name}`] : [])];
}

/** A command line, wherever a shell or cron begins one. */
const COMMAND = /(?:^|[;&|(*]|\b(?:sudo|if|then|do)\b) *(?:[A-Z_]+=\S+ +)*filesync +([^;&|<>]+)/g;

/** What stands behind `filesync` in the shell of a document, each up to the end of its command. */
function commandLines(text: string): Reference[] {
  const crontab = [...text.matchAll(/^```crontab\n([^]*?)^```/gm)].flatMap(({ 1: lines, index }) =>
    lines.split("\n").map((line, i) => ({
      line: text.slice(0, index).split("\n").length + 1 + i,
      text: line,
    }))
  );
  const shell = shellIn(text).blocks.flatMap(({ line, lines }) =>
    lines.map((text, i) => ({ line: line + i, text }))
  );
  return [...shell, ...crontab].flatMap(({ line, text }) => {
    const code = text.replace(/(^| )#.*/, "");
    return [...code.matchAll(COMMAND)].map(([, rest]) => ({
      line,
      text: rest.replace(/\)$/, "").trim(),
    }));
  });
}

Deno.test("documents tell of every setting and code; if not: deno task docs", async () => {
  for (const [path, parts] of Object.entries(await generated())) {
    const text = documents.get(path)!;
    assertEquals(text, withGenerated(text, parts), path);
  }
});

Deno.test("docs/scripting.md names every type of JSON that commands print", () => {
  const ofActions = ["put", "directory", "symlink", "remove", "move"];
  const types = files.filter((path) => /^src\/cli\/\w+\.ts$/.test(path) && !path.endsWith("_test.ts"))
    .flatMap((path) => [...Deno.readTextFileSync(join(ROOT, path)).matchAll(/\btype: "([a-z-]+)"/g)])
    .map(([, type]) => type);
  const known = new Set(codeIn(documents.get("docs/scripting.md")!).map(({ text }) => text));
  assertEquals([...new Set(types)].filter((type) => !known.has(type) && !ofActions.includes(type)), []);
});

Deno.test("README.md is short, and names every command and every dependency", () => {
  const readme = documents.get("README.md")!;
  assert(readme.split("\n").length <= 250, "It is longer than 250 lines");
  const words = new Set(codeIn(readme).flatMap(({ text }) => text.split(" ")));
  assertEquals(commands.filter(({ name }) => !words.has(name)).map(({ name }) => name), []);
  const { imports } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json"))) as {
    imports: Record<string, string>;
  };
  const packages = new Set(
    Object.keys(imports).map((name) => {
      const [scope, second] = name.split("/");
      if (scope === "@std") return "@std/*";
      return scope.startsWith("@") ? `${scope}/${second}` : scope;
    }),
  );
  const table = readme.slice(readme.indexOf("### Dependencies"));
  const listed = new Set(
    table.split("\n").filter((line) => line.startsWith("| `"))
      .flatMap((line) => codeIn(line.split("|")[1]).map(({ text }) => text)),
  );
  assertEquals([...listed].sort(), [...packages].sort());
});
