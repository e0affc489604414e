import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { assertSnapshot } from "@std/testing/snapshot";
import { fakeContext, statusCommand, watchCommand } from "../../tests/support/command_line.ts";
import { type ErrorCode, EXIT, FilesyncError } from "../core/errors.ts";
import type { Command, Context } from "./command.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { exitCodeOf, main } from "./main.ts";

async function run(args: string[], changes: Partial<Context> = {}, act: Command["run"] = statusCommand.run) {
  const context = fakeContext(changes);
  const commands = [{ ...watchCommand, run: act }, { ...statusCommand, run: act }];
  const code = await main(args, commands, context);
  return { code, out: context.printed, err: context.complained };
}

function fails(code: ErrorCode, more: Partial<FilesyncError> = {}): Command["run"] {
  return () => {
    const details = { code, operation: 'do "x"', reason: "it is not so", ...more };
    return Promise.reject(new FilesyncError(details));
  };
}

Deno.test("main() runs the command with what was asked", async () => {
  const { code } = await run(["watch", "d", "--to", "h", "-i", "a"], {}, (invocation) => {
    assertEquals([invocation.arguments, invocation.flag("to"), invocation.flags("ignore")], [["d"], "h", [
      "a",
    ]]);
    return Promise.resolve(1);
  });
  assertEquals(code, 1);
});

Deno.test("main() answers help and version without running anything", async () => {
  const never = () => Promise.reject(new Error("ran"));
  for (const args of [["--help"], ["help"], ["-h"]]) {
    const { code, out } = await run(args, {}, never);
    assertEquals([code, out.includes("Commands:")], [0, true]);
  }
  for (const args of [["watch", "--help"], ["help", "watch"], ["watch", "a", "b", "-h"]]) {
    const { code, out } = await run(args, {}, never);
    assertEquals([code, out.includes("filesync watch <dir> --to HOST [flags]")], [0, true]);
  }
  for (const args of [["--version"], ["-V"], ["status", "-V"]]) {
    assertEquals(await run(args, {}, never), { code: 0, out: "filesync 1.2.3\n", err: "" });
  }
});

Deno.test("main() shows help to someone who gives no command", async () => {
  const { code, out, err } = await run([]);
  assertEquals([code, out, err.includes("Commands:")], [EXIT.usage, "", true]);
});

Deno.test("main() explains errors", async (t) => {
  const shown = [
    await run(["wacth", "a"]),
    await run(["watch", "--limti", "3"]),
    await run(["watch"]),
    await run(["watch", "a"]),
    await run(["status", "a", "b\x1b[2J"]),
    await run(["status"], {}, fails("unreachable", { hint: "Start the server" })),
    await run(["status", "--json"], {}, fails("brake", { hint: "Look twice", permanent: true })),
    await run(["status", "--jsn", "--json"]),
    await run(["status"], { colors: true }, fails("io", { hint: "Try" })),
    await run(["status"], {}, () => Promise.reject(new Deno.errors.PermissionDenied("os error 13"))),
    await run(["status"], {}, () => Promise.reject(new TypeError("x is not a function"))),
  ];
  for (const { out } of shown) assertEquals(out, "");
  await assertSnapshot(t, shown.map(({ code, err }) => [code, ...err.trimEnd().split("\n")]));
});

Deno.test("main() shows where an error came from only with --debug", async () => {
  const act = () => Promise.reject(new TypeError("outer", { cause: new Error("inner") }));
  const plain = await run(["status"], {}, act);
  assert(!plain.err.includes("    at "));
  const environment = (name: string) => name === "FILESYNC_DEBUG" ? "1" : undefined;
  for (
    const debug of [await run(["status", "--debug"], {}, act), await run(["status"], { environment }, act)]
  ) {
    assert(debug.err.includes("    at ") && debug.err.includes("caused by Error: inner"), debug.err);
  }
});

Deno.test("main() takes the environment's word for JSON, also when the line is not understood", async () => {
  const environment = (name: string) => name === "FILESYNC_JSON" ? "yes" : undefined;
  const { code, err } = await run(["status", "--jsn"], { environment });
  assertEquals([code, JSON.parse(err).type], [EXIT.usage, "error"]);
});

Deno.test("main() tells nobody to wait for another try: the command has ended", async () => {
  const causes = [new Deno.errors.AlreadyExists("x"), Object.assign(new Error("x"), { code: "ENOSPC" })];
  for (
    const cause of [...causes, fails("timeout"), fails("indexing"), fails("too-many"), fails("conflict")]
  ) {
    const act = cause instanceof Error ? () => Promise.reject(cause) : cause;
    const { err } = await run(["status"], {}, act);
    assert(!/tried again|it goes on|Nothing:/.test(err), err);
    const json = JSON.parse((await run(["status", "--json"], {}, act)).err);
    assert(err.includes(`\n  ${json.hint}\n`), err);
  }
  // What is said of this one error only stays.
  const { err } = await run(["status"], {}, fails("conflict", { hint: "Name another directory" }));
  assert(err.endsWith("\n  Name another directory\n"), err);
});

Deno.test("main() tells of what failed, not of what failed when that was cleaned up", async () => {
  const messy = (error: unknown): Command["run"] => async () => {
    await using _ = { [Symbol.asyncDispose]: fails("io") as () => Promise<never> };
    await using __ = { [Symbol.asyncDispose]: fails("io") as () => Promise<never> };
    throw error;
  };
  const details = { code: "unreachable", operation: "reach it", reason: "it is off" } as const;
  const { code, err } = await run(["status"], {}, messy(new FilesyncError(details)));
  assertEquals(code, EXIT.unreachable);
  assert(err.includes("Cannot reach it: it is off"));
  const signal = AbortSignal.abort();
  assertEquals((await run(["status"], { signal }, messy(signal.reason))).code, EXIT.interrupted);
});

Deno.test("exitCodeOf() keeps the promise of the documentation", () => {
  const codes = ["usage", "unreachable", "unauthorized", "brake", "io", "disk-full"] as const;
  assertEquals(codes.map(exitCodeOf), [2, 3, 3, 4, 1, 1]);
});

Deno.test("main() ends with 130 when it was interrupted", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  controller.abort();
  assertEquals((await run(["status"], { signal })).code, EXIT.interrupted);
  assertEquals((await run(["status"], { signal }, () => Promise.resolve(1))).code, 1);
  assertEquals(await run(["status"], { signal }, () => Promise.reject(signal.reason)), {
    code: EXIT.interrupted,
    out: "",
    err: "",
  });
  // An error that has nothing to do with it is still told.
  assertEquals((await run(["status"], { signal }, fails("brake"))).code, EXIT.brake);
  const abort = () => Promise.reject(new DOMException("stopped", "AbortError"));
  assertEquals((await run(["status"], {}, abort)).code, EXIT.problems);
});

Deno.test("main() reads the settings file of the user, or the one that is named", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = join(directory, "filesync", "filesync.toml");
    await Deno.mkdir(join(directory, "filesync"));
    await Deno.writeTextFile(path, '[watch]\nto = "usual"\njson = true\n');
    const other = join(directory, "other.toml");
    await Deno.writeTextFile(other, '[watch]\nto = "other"\n');
    const environment = (name: string) =>
      ["XDG_CONFIG_HOME", "APPDATA"].includes(name) ? directory : undefined;
    const seen: (string | undefined)[] = [];
    const act: Command["run"] = (invocation) =>
      Promise.resolve(seen.push(invocation.flag("to"))).then(() => 0);
    await run(["watch", "a"], { environment }, act);
    await run(["--config", other, "watch", "a"], { environment }, act);
    await run(["watch", "a", "--to", "typed"], { environment }, act);
    assertEquals(seen, ["usual", "other", "typed"]);

    const json = await run(["watch", "a"], { environment }, fails("brake"));
    assertEquals(JSON.parse(json.err).exitCode, 4);
    const missing = await run(["watch", "a", "--config", join(directory, "none")], { environment }, act);
    assertEquals([missing.code, missing.err.includes("it does not exist")], [1, true]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("explainStrays() shows no stack of what fails while nobody waits for it, but with --debug", async () => {
  const script = `
    import { explainStrays } from ${JSON.stringify(import.meta.resolve("./main.ts"))};
    import { systemContext } from ${JSON.stringify(import.meta.resolve("./context.ts"))};
    explainStrays(Deno.args, systemContext("1"));
    if (Deno.args.includes("throw")) setTimeout(() => { throw new TypeError("stray") });
    else Promise.reject(new TypeError("stray"));
    setTimeout(() => {}, 20_000);`;
  const stray = async (...args: string[]) => {
    using temp = new TempDirectory();
    const file = `${temp.path}/stray.ts`;
    Deno.writeTextFileSync(file, script);
    const config = fromFileUrl(import.meta.resolve("../../deno.json"));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "-A", "--config", config, file, ...args],
    }).output();
    return { code, err: new TextDecoder().decode(stderr) };
  };
  for (const args of [[], ["throw"], ["--json"]]) {
    const { code, err } = await stray(...args);
    assertEquals(code, EXIT.problems, err);
    assert(err.includes("Cannot go on: stray") && err.includes("--debug"), err);
    assert(!err.includes("    at "), err);
  }
  assert((await stray("--debug")).err.includes("    at "));
});
