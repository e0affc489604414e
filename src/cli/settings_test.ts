import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { FilesyncError } from "../core/errors.ts";
import type { Command } from "./command.ts";
import { defaultSettingsPath, invocationOf, readSettingsFile } from "./settings.ts";

const watch: Command = {
  name: "watch",
  summary: "Watch",
  arguments: [],
  flags: [
    { name: "to", value: "HOST", env: "FILESYNC_TO", required: true, description: "Where to" },
    { name: "limit", value: "SIZE", env: "FILESYNC_LIMIT", default: "1G", description: "How fast" },
    { name: "ignore", value: "PATTERN", env: "FILESYNC_IGNORE", repeat: true, description: "What not" },
    { name: "once", env: "FILESYNC_ONCE", description: "Stop after it" },
    { name: "verify", negatable: true, default: "true", description: "Check" },
  ],
  examples: [],
  run: () => Promise.resolve(0),
};

function invoke(
  given: Record<string, string[]>,
  environment: Record<string, string> = {},
  section: Record<string, unknown> = {},
) {
  return invocationOf(
    watch,
    { arguments: ["a"], given: new Map(Object.entries({ to: ["host"], ...given })) },
    (name) => environment[name],
    { watch: section },
  );
}

Deno.test("invocationOf() asks flag, then environment, then file, then default", () => {
  const environment = { FILESYNC_LIMIT: "2M" };
  const section = { limit: "3M" };
  const values = [
    invoke({ limit: ["1M"] }, environment, section),
    invoke({}, environment, section),
    invoke({}, { FILESYNC_LIMIT: "" }, section),
    invoke({}),
  ].map((invocation) => invocation.settings.get("limit"));
  assertEquals(values, [
    { values: ["1M"], from: "flag" },
    { values: ["2M"], from: "environment" },
    { values: ["3M"], from: "file" },
    { values: ["1G"], from: "default" },
  ]);
});

Deno.test("invocationOf() gives an invocation that tells given from default", () => {
  const invocation = invoke({ ignore: ["a", "b"], once: ["true"] });
  assertEquals(invocation.arguments, ["a"]);
  assertEquals(invocation.flag("limit"), "1G");
  assertEquals(invocation.has("limit"), false);
  assertEquals(invocation.has("to"), true);
  assertEquals(invocation.flags("ignore"), ["a", "b"]);
  assertEquals([invocation.has("once"), invocation.has("verify"), invocation.has("json")], [
    true,
    true,
    false,
  ]);
  assertThrows(() => invocation.flag("nonsense"), TypeError);
  assertThrows(() => invocation.has("nonsense"), TypeError);
});

Deno.test("invocationOf() reads switches and lists of the environment", () => {
  const invocation = invoke({}, { FILESYNC_ONCE: "yes", FILESYNC_IGNORE: "*.a\n*.b\n", FILESYNC_JSON: "1" });
  assertEquals([invocation.has("once"), invocation.has("json")], [true, true]);
  assertEquals(invocation.flags("ignore"), ["*.a", "*.b"]);
  assertEquals(invoke({ once: ["false"] }, { FILESYNC_ONCE: "1" }).has("once"), false);
  assertThrows(() => invoke({}, { FILESYNC_ONCE: "maybe" }), FilesyncError, "FILESYNC_ONCE");
});

Deno.test("invocationOf() reads texts, numbers, switches and lists of the file", () => {
  const invocation = invoke({}, {}, { limit: 5000, ignore: ["x", "y"], once: true, verify: false });
  assertEquals(invocation.flag("limit"), "5000");
  assertEquals(invocation.flags("ignore"), ["x", "y"]);
  assertEquals([invocation.has("once"), invocation.has("verify")], [true, false]);
  assertEquals(invoke({}, {}, { ignore: "z" }).flags("ignore"), ["z"]);
});

Deno.test("invocationOf() refuses what does not fit in the file", () => {
  const hints = [
    { limit: true },
    { once: "yes" },
    { limit: ["1M"] },
    { ignore: [[]] },
    { limti: 1 },
    {
      help: true,
    },
    { limit: "" },
    { ignore: ["a", ""] },
  ]
    .map((section) => assertThrows(() => invoke({}, {}, section), FilesyncError).message);
  assertEquals(hints, [
    'Cannot use "limit" of [watch] in the settings file: it is neither a text nor a number',
    'Cannot use "once" of [watch] in the settings file: it is not true or false',
    'Cannot use "limit" of [watch] in the settings file: it is neither a text nor a number',
    'Cannot use "ignore" of [watch] in the settings file: it is neither a text nor a number',
    'Cannot use "limti" of [watch] in the settings file: there is no such setting',
    'Cannot use "help" of [watch] in the settings file: there is no such setting',
    'Cannot use "limit" of [watch] in the settings file: it is empty',
    'Cannot use "ignore" of [watch] in the settings file: it is empty',
  ]);
});

Deno.test("invocationOf() needs what is required, from wherever", () => {
  const none = { arguments: [], given: new Map() };
  const error = assertThrows(() => invocationOf(watch, none, () => undefined, {}), FilesyncError);
  assertEquals([error.message, error.hint], [
    "Cannot run filesync watch: --to is missing",
    "Give --to HOST or set FILESYNC_TO",
  ]);
  assertEquals(invocationOf(watch, none, () => undefined, { watch: { to: "here" } }).flag("to"), "here");
});

Deno.test("invocationOf() names the section in which a wrong value stands", () => {
  const line = { arguments: ["a"], given: new Map([["to", ["x"]]]) };
  const faults = [{ general: { quiet: 3 } }, { watch: { quiet: 3 } }, { crawler: { Ignore: [true] } }].map(
    (file) => assertThrows(() => invocationOf(watch, line, () => undefined, file), FilesyncError),
  );
  assertEquals(faults.map(({ operation, hint }) => [operation, hint]), [
    ['use "quiet" of [general] in the settings file', "Write quiet = true"],
    ['use "quiet" of [watch] in the settings file', "Write quiet = true"],
    ['use "Ignore" of [crawler] in the settings file', 'Write Ignore = ["PATTERN"]'],
  ]);
});

Deno.test("invocationOf() takes an empty list for nothing, where something is required", () => {
  const several = { ...tabled, flags: [{ ...watch.flags[0], repeat: true }] };
  const line = { arguments: ["a"], given: new Map() };
  const invoked = (section: unknown, words = ["a"]) =>
    invocationOf(several, { ...line, arguments: words }, () => undefined, { watch: section });
  assertThrows(() => invoked({ to: [] }), FilesyncError, "--to is missing");
  assertThrows(() => invoked([{ dir: "a", to: [] }], []), FilesyncError, '"to" of [[watch]] number 1');
  assertEquals(invoked({ to: ["x"] }).flags("to"), ["x"]);
});

/** A command that tables can ask for. */
const tabled: Command = {
  ...watch,
  fromTables: true,
  arguments: [{ name: "dir", optional: true, description: "The directory" }],
  flags: [...watch.flags, { name: "key", value: "FILE", env: "FILESYNC_KEY", description: "A file" }],
};

function tables(
  written: unknown,
  { given = {}, environment = {}, file = {} }: {
    given?: Record<string, string[]>;
    environment?: Record<string, string>;
    file?: Record<string, unknown>;
  } = {},
) {
  const line = { arguments: [], given: new Map(Object.entries(given)) };
  return invocationOf(tabled, line, (name) => environment[name], { watch: written, ...file }).tables;
}

Deno.test("invocationOf() makes an invocation of every table", () => {
  const [first, second] = tables([{ dir: "a", to: "x" }, { dir: "b", to: "y", limit: "5M", once: true }]);
  assertEquals([first.arguments, first.flag("to"), first.flag("limit"), first.has("once")], [
    ["a"],
    "x",
    "1G",
    false,
  ]);
  assertEquals([second.arguments, second.flag("to"), second.flag("limit"), second.has("once")], [
    ["b"],
    "y",
    "5M",
    true,
  ]);
  // One section with a directory is a table, too.
  assertEquals(tables({ dir: "a", to: "x" }).map(({ arguments: words }) => words), [["a"]]);
  assertEquals(tables({ to: "x" }), []);
});

Deno.test("invocationOf() lets a table go before the environment, and the line before both", () => {
  const environment = { FILESYNC_LIMIT: "2M", FILESYNC_TO: "everywhere" };
  const written = [{ dir: "a", to: "x", limit: "3M" }, { dir: "b", to: "y" }];
  const limits = (given: Record<string, string[]>) =>
    tables(written, { environment, given }).map((table) => [table.flag("to"), table.flag("limit")]);
  assertEquals(limits({}), [["x", "3M"], ["y", "2M"]]);
  assertEquals(limits({ limit: ["1M"] }), [["x", "1M"], ["y", "1M"]]);
  const [{ settings }] = tables(written, { file: { general: { json: true } } });
  assertEquals([settings.get("limit")?.from, settings.get("json")?.values], ["file", ["true"]]);
});

Deno.test("invocationOf() takes ~ in a table for the home directory, where places are named", () => {
  const [{ arguments: words, flag, flags }] = tables([{ dir: "~/a", to: "h", key: "~/k", ignore: ["~/i"] }], {
    environment: { HOME: "/home/u" },
  });
  assertEquals([words, flag("key"), flags("ignore")], [["/home/u/a"], "/home/u/k", ["~/i"]]);
  assertEquals(tables([{ dir: "~", to: "h" }], { environment: { HOME: "/h" } })[0].arguments, ["/h"]);
  assertEquals(tables([{ dir: "~other/a", to: "h" }], { environment: { HOME: "/h" } })[0].arguments, [
    "~other/a",
  ]);
});

Deno.test("invocationOf() says what is wrong with which table", () => {
  const good = { dir: "a", to: "x" };
  const faults: [Record<string, unknown>, string][] = [
    [{ to: "x" }, '"dir" of [[watch]] number 2 in the settings file: it is missing'],
    [{ dir: 5, to: "x" }, '"dir" of [[watch]] number 2 in the settings file: it is not a text'],
    [{ dir: "", to: "x" }, '"dir" of [[watch]] number 2 in the settings file: it is empty'],
    [{ dir: "a" }, '"to" of [[watch]] number 2 in the settings file: it is missing'],
    [{ ...good, limti: 1 }, '"limti" of [[watch]] number 2 in the settings file: there is no such setting'],
    [{ ...good, once: 3 }, '"once" of [[watch]] number 2 in the settings file: it is not true or false'],
    [{ ...good, json: true }, '"json" of [[watch]] number 2 in the settings file: it is for all of them'],
  ];
  for (const [table, message] of faults) {
    const error = assertThrows(() => tables([good, table]), FilesyncError, `Cannot use ${message}`);
    assertEquals(error.code, "usage");
  }
  assertThrows(() => tables({ dir: 5, to: "x" }), FilesyncError, '"dir" of [watch] in');
});

Deno.test("invocationOf() needs nothing of the line where tables say it, but when it is asked for", () => {
  const line = { arguments: ["b"], given: new Map() };
  const invocation = invocationOf(tabled, line, () => undefined, { watch: [{ dir: "a", to: "x" }] });
  assertEquals(invocation.has("to"), false);
  assertThrows(() => invocation.flags("to"), FilesyncError, "--to is missing");
});

Deno.test("defaultSettingsPath() follows the platform", () => {
  const environment = (values: Record<string, string>) => (name: string) => values[name];
  assertEquals(
    defaultSettingsPath(environment({ HOME: "/h" }), "linux"),
    join("/h", ".config", "filesync", "filesync.toml"),
  );
  assertEquals(
    defaultSettingsPath(environment({ HOME: "/h", XDG_CONFIG_HOME: "/x" }), "linux"),
    join("/x", "filesync", "filesync.toml"),
  );
  assertEquals(
    defaultSettingsPath(environment({ HOME: "/h", XDG_CONFIG_HOME: "relative" }), "linux"),
    join("/h", ".config", "filesync", "filesync.toml"),
  );
  assertEquals(
    defaultSettingsPath(environment({ APPDATA: "/a" }), "windows"),
    join("/a", "filesync", "filesync.toml"),
  );
  assertEquals(defaultSettingsPath(() => undefined, "linux"), undefined);
});

Deno.test("readSettingsFile() reads TOML and says where it is wrong", async () => {
  const directory = await Deno.makeTempDir();
  const path = join(directory, "filesync.toml");
  try {
    assertEquals(await readSettingsFile(path, [watch], false), {});
    const missing = await assertRejects(() => readSettingsFile(path, [watch], true), FilesyncError);
    assertEquals([missing.code, missing.reason], ["not-found", "it does not exist"]);

    await Deno.writeTextFile(path, '[watch]\nlimit = "10M"\nignore = ["a"]\n');
    const settings = await readSettingsFile(path, [watch], true);
    assertEquals(JSON.stringify(settings), '{"watch":{"limit":"10M","ignore":["a"]}}');

    const faults: string[] = [];
    for (const text of ["[watch]\nlimit = \n", "[wacth]\n", "limit = 1\n", "watch = 1\n", "[[watch]]\n"]) {
      await Deno.writeTextFile(path, text);
      const error = await assertRejects(() => readSettingsFile(path, [watch], false), FilesyncError);
      assertEquals(error.code, "usage");
      faults.push(error.reason);
    }
    assertEquals(faults, [
      "line 2, column 9: invalid value",
      "[wacth] is no command",
      '"limit" stands in no section',
      '"watch" is a section, and not a setting',
      "there can be only one [watch]",
    ]);
    assertEquals(await readSettingsFile(path, [tabled], false), { watch: [{}] });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("readSettingsFile() reads INI, and sections that commands share", async () => {
  const scan: Command = {
    ...watch,
    name: "scan",
    flags: [
      { name: "catalog", value: "URL", description: "Where" },
      { name: "workers", value: "N", description: "How many" },
      { name: "ignore", value: "PATTERN", repeat: true, description: "What not" },
      { name: "one-file-system", description: "Stay" },
      { name: "password-file", value: "FILE", description: "Secret" },
      { name: "log", value: "FILE", description: "Log" },
    ],
  };
  const read = async (name: string, text: string) => {
    const path = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(join(path, name), text);
      const file = await readSettingsFile(join(path, name), [watch, scan], true);
      const { settings } = invocationOf(scan, { arguments: [], given: new Map() }, () => undefined, file);
      return Object.fromEntries([...settings].map(([name, { values }]) => [name, values.join()]));
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  };
  const expected = {
    catalog: "postgres://me@db.lan:5433/files",
    workers: "8",
    ignore: "*.tmp,cache/",
    "one-file-system": "true",
    "password-file": "/etc/secret",
    log: "/var/log/x.log",
  };
  const ini = [
    "; of the crawler",
    "[crawler]",
    "workers = 8",
    "one_file_system: yes",
    "ignore = *.tmp",
    'ignore = "cache/"',
    "[postgresql]",
    "host = db.lan",
    "port = 5433",
    "user = me",
    "database = files",
    "password_file = /etc/secret",
    "[logging]",
    "file = /var/log/x.log",
  ];
  assertEquals(await read("filesync.ini", ini.join("\n")), expected);
  const toml = `[crawler]
workers = 1
one-file-system = true
ignore = ["*.tmp", "cache/"]
[postgresql]
host = "db.lan"
port = 5433
user = "me"
database = "files"
password-file = "/etc/secret"
[logging]
file = "/var/log/x.log"
[scan]
workers = 8
`;
  assertEquals(await read("filesync.toml", toml), expected);
  const socket = await read("x.conf", "[postgresql]\nhost = /run/postgresql\n");
  assertEquals(socket.catalog, "postgres://localhost/filesync?host=%2Frun%2Fpostgresql");
  for (
    const [text, reason] of [
      ["nonsense\n", "line 1: it is neither a [section] nor a setting"],
      ["[crawler]\nwrokers = 1\n", '[crawler] has no setting "wrokers"'],
    ]
  ) {
    const error = await assertRejects(() => read("x.ini", text), FilesyncError);
    assertEquals([error.code, error.reason], ["usage", reason]);
  }
});
