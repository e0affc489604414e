import { assertEquals, assertThrows } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { type Command, GLOBAL_FLAGS } from "./command.ts";
import { checkArguments, parseCommandLine } from "./parse.ts";

const watch: Command = {
  name: "watch",
  summary: "Watch",
  arguments: [{ name: "dir", description: "The directory to watch" }],
  flags: [
    { name: "to", value: "HOST", description: "Where to" },
    { name: "limit", value: "SIZE", description: "How fast" },
    { name: "ignore", short: "i", value: "PATTERN", repeat: true, description: "What not" },
    { name: "once", description: "Stop after it" },
    { name: "verify", negatable: true, description: "Check", default: "true" },
  ],
  examples: [],
  run: () => Promise.resolve(0),
};
const status: Command = {
  name: "status",
  summary: "Status",
  arguments: [{ name: "dir", optional: true, description: "Which" }],
  flags: [],
  examples: [],
  run: () => Promise.resolve(0),
};

function parse(...args: string[]) {
  const line = parseCommandLine(args, [watch, status]);
  return { command: line.command?.name, words: line.arguments, given: Object.fromEntries(line.given) };
}

function fault(...args: string[]): string {
  const error = assertThrows(() => parse(...args), FilesyncError);
  assertEquals([error.code, error.permanent], ["usage", true]);
  return `${error.message} | ${error.hint}`;
}

Deno.test("parseCommandLine() keeps every word as it was typed", () => {
  assertEquals(parse("watch", "123", "--to", "0x10", "--limit=1e3").words, ["123"]);
  assertEquals(parse("watch", "123", "--to", "0x10", "--limit=1e3").given, { to: ["0x10"], limit: ["1e3"] });
  assertEquals(parse("watch", "", "-", "007").words, ["", "-", "007"]);
});

Deno.test("parseCommandLine() collects what repeats and takes the last of what does not", () => {
  const { given } = parse("watch", "a", "-i", "*.o", "--ignore", "*.a", "--ignore=-x", "--to=a", "--to", "b");
  assertEquals(given, { ignore: ["*.o", "*.a", "-x"], to: ["b"] });
});

Deno.test("parseCommandLine() tells a switch that is off from one that was not given", () => {
  assertEquals(parse("watch", "a").given, {});
  assertEquals(parse("watch", "a", "--once", "--no-verify").given, { once: ["true"], verify: ["false"] });
  assertEquals(parse("watch", "a", "--once=false").given, { once: ["false"] });
  assertEquals(parse("watch", "--once", "a", "-qv").given, {
    once: ["true"],
    quiet: ["true"],
    verbose: ["true"],
  });
});

Deno.test("parseCommandLine() takes all after -- for arguments", () => {
  assertEquals(parse("watch", "--once", "--", "--to", "5").words, ["--to", "5"]);
  assertEquals(parse("watch", "a", "--", "--once=maybe").given, {});
});

Deno.test("parseCommandLine() finds the command behind global flags", () => {
  assertEquals(parse("--json", "--config", "watch", "status", "x"), {
    command: "status",
    words: ["x"],
    given: { config: ["watch"], json: ["true"] },
  });
  assertEquals(parse("-V"), { command: undefined, words: [], given: { version: ["true"] } });
  assertEquals(parse(), { command: undefined, words: [], given: {} });
});

Deno.test("parseCommandLine() understands help as a command", () => {
  assertEquals(parse("help", "watch"), { command: "watch", words: [], given: { help: ["true"] } });
  assertEquals(parse("help"), { command: undefined, words: [], given: { help: ["true"] } });
  assertEquals(fault("help", "wacth").includes("filesync watch"), true);
});

Deno.test("parseCommandLine() refuses what it does not know and suggests what it does", () => {
  assertEquals(
    fault("wacth", "a"),
    'Cannot run "wacth": there is no such command | Did you mean filesync watch? filesync --help lists all commands',
  );
  assertEquals(
    fault("watch", "a", "--limti=5"),
    'Cannot use "--limti": filesync watch has no such flag | Did you mean --limit? ' +
      "filesync watch --help lists all flags; a name that begins with a dash goes after --",
  );
  assertEquals(fault("watch", "-x").startsWith('Cannot use "-x"'), true);
  assertEquals(fault("--to", "x", "watch").startsWith('Cannot use "--to": filesync has no'), true);
  for (const odd of ["--_=x", "--__proto__=x", "--constructor", "--to.x=y", "---", "-1"]) {
    assertEquals(fault("watch", odd).includes("has no such flag"), true, odd);
  }
});

Deno.test("parseCommandLine() negates only what is negatable", () => {
  assertEquals(fault("watch", "a", "--no-once").includes("Did you mean --once?"), true);
});

Deno.test("parseCommandLine() refuses a flag without its value", () => {
  const text = "Cannot use --to: its value is missing | Write --to=HOST";
  assertEquals(fault("watch", "a", "--to"), text);
  assertEquals(fault("watch", "a", "--to="), text);
  assertEquals(fault("watch", "a", "--to", "--once"), text);
  assertEquals(fault("watch", "a", "--to", ""), text);
  assertEquals(fault("watch", "a", "--to", "--", "b"), text);
  assertEquals(fault("watch", "a", "-i").includes("--ignore=PATTERN"), true);
});

Deno.test("parseCommandLine() refuses a value for a switch", () => {
  assertEquals(
    fault("watch", "a", "--once=maybe"),
    'Cannot use "--once=maybe": --once is on or off and takes no value | Write --once',
  );
});

Deno.test("checkArguments() takes an empty argument for none: it is no name of the working directory", () => {
  for (const words of [[""], ["", "b"]]) {
    const error = assertThrows(() => checkArguments(watch, words), FilesyncError, "<dir> is empty");
    assertEquals(error.hint, "Give the directory to watch; a variable in its place may not be set");
  }
  assertThrows(() => checkArguments(status, [""]), FilesyncError, "<dir> is empty");
});

Deno.test("checkArguments() counts", () => {
  checkArguments(watch, ["a"]);
  checkArguments(status, []);
  assertThrows(() => checkArguments(watch, []), FilesyncError, "<dir> is missing");
  assertThrows(() => checkArguments(watch, ["a", "b"]), FilesyncError, '"b" is one argument too many');
});

Deno.test("GLOBAL_FLAGS have names of their own", () => {
  const names = GLOBAL_FLAGS.flatMap((flag) => flag.short ? [flag.name, flag.short] : [flag.name]);
  assertEquals(new Set(names).size, names.length);
});

Deno.test("parseCommandLine() leaves a nested line as it is, from its first word on", () => {
  const service: Command = {
    ...status,
    name: "service",
    arguments: [{ name: "action", description: "What" }],
    flags: [
      { name: "scope", value: "SCOPE", description: "Whose" },
      { name: "user", value: "NAME", description: "Who" },
    ],
    nested: ["watch", "serve"],
  };
  const words = (line: string) => parseCommandLine(line.split(" "), [service]).arguments;
  const nested = ["watch", "serve", "--once", "-q"];
  // "user" is a value here, and not the flag of that name.
  assertEquals(words("service install --scope user watch serve --once -q"), ["install", ...nested]);
  assertEquals(words("service --user serve install watch serve --once -q"), ["install", ...nested]);
  assertEquals(words("service status"), ["status"]);
});
