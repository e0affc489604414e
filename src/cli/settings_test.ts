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
  const hints = [{ limit: true }, { once: "yes" }, { limit: ["1M"] }, { ignore: [[]] }, { limti: 1 }, {
    help: true,
  }]
    .map((section) => assertThrows(() => invoke({}, {}, section), FilesyncError).message);
  assertEquals(hints, [
    'Cannot use "limit" of [watch] in the settings file: it is not a text or a number',
    'Cannot use "once" of [watch] in the settings file: it is not true or false',
    'Cannot use "limit" of [watch] in the settings file: it is not a text or a number',
    'Cannot use "ignore" of [watch] in the settings file: it is not a text or a number',
    'Cannot use "limti" of [watch] in the settings file: there is no such setting',
    'Cannot use "help" of [watch] in the settings file: there is no such setting',
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
    for (const text of ["[watch]\nlimit = \n", "[wacth]\n", "limit = 1\n", "watch = 1\n"]) {
      await Deno.writeTextFile(path, text);
      const error = await assertRejects(() => readSettingsFile(path, [watch], false), FilesyncError);
      assertEquals(error.code, "usage");
      faults.push(error.reason);
    }
    assertEquals(faults, [
      "line 2, column 9: invalid value",
      "[wacth] is no command",
      '"limit" stands in no section',
      '"watch" stands in no section',
    ]);
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
