import { assertEquals } from "@std/assert";
import { Home, jsonLines, type Outcome } from "../../tests/support/run_command.ts";
import { Served } from "../../tests/support/served.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { jsonDocument } from "../../tools/json_docs.ts";
import { faultIn, JSON_LINES } from "./json_schemas.ts";

/** Runs commands with `--json`, and compares every line with the schemas. */
class Checker {
  /** What was printed: `type` and command. */
  readonly seen = new Set<string>();
  readonly faults: string[] = [];

  constructor(readonly home: Home) {}

  async run(command: string, ...args: string[]): Promise<Outcome> {
    const outcome = await this.home.run(command, "--json", ...args);
    this.check(command, outcome);
    return outcome;
  }

  check(command: string, { out, err }: Pick<Outcome, "out" | "err">): void {
    // Beside it, on stderr, may stand notes for people.
    const errors = err.split("\n").filter((line) => line.startsWith("{")).join("\n");
    for (const line of [...jsonLines(out), ...jsonLines(errors)]) {
      this.seen.add(`${line.type} of ${command}`);
      const fault = faultIn(line, command);
      if (fault !== undefined) this.faults.push(`${command}: ${JSON.stringify(line)}\n${fault}`);
    }
  }
}

/** What takes more than a command to bring about. */
const RARE = new Set([
  ...["serve", "restore", "verify", "digest", "scan"].map((command) => `problem of ${command}`),
  ...["watch", "serve", "restore", "verify", "scan"].map((command) => `notice of ${command}`),
  ...["serve", "watch"].map((command) => `reload of ${command}`),
  "error of all, on stderr",
]);

Deno.test({
  name: "every command prints what JSON_LINES says, and all that it says is printed",
  ignore: Deno.build.os === "windows",
  async fn() {
    using home = new Home();
    const checker = new Checker(home);
    const run = checker.run.bind(checker);
    const source = makeTree(home.directory("source"), { a: "1", "d/b": "22" });
    Deno.symlinkSync("a", `${source}/link`);
    const copy = home.directory("copy");

    // A push, and what is known of it.
    await run("watch", source, "--to", copy, "--once");
    Deno.renameSync(`${source}/a`, `${source}/moved`);
    await run("watch", source, "--to", copy, "--once", "--dry-run");
    new Deno.Command("mkfifo", { args: [`${source}/pipe`] }).outputSync();
    await run("watch", source, "--to", copy, "--once");
    await run("status");
    await run("why", `${source}/moved`);
    await run("history", copy);
    await run("doctor", source);

    // Backups and their versions.
    const backup = `${home.directory("backups")}/backup`;
    await run("sync", source, backup);
    makeTree(source, { moved: "other", new: "3" });
    await run("sync", source, backup, "--dry-run");
    await run("sync", source, backup);
    await run("versions", source);
    await run("versions", `${source}/moved`);
    await run("versions", source, "--diff", "latest");
    await run("verify", backup);
    await run("restore", `${source}/moved`, "--version", "previous");
    makeTree(source, { moved: "changed since" });
    await run("restore", source, "--version", "previous");
    const other = `${home.directory("others")}/other`;
    await run("sync", source, other, "--two-way");
    makeTree(source, { new: "here" });
    makeTree(other, { new: "there!" });
    await run("sync", source, other, "--two-way");
    await run("digest", source);
    await run("digest", source, "--list");
    await run("scan", source);
    Deno.removeSync(`${source}/pipe`);

    // What is emptied is taken for a fault.
    const many = makeTree(
      home.directory("many"),
      Object.fromEntries(Array.from("abcdefghijklmnop", (name) => [name, ""])),
    );
    const kept = `${home.directory("kept")}/many`;
    await run("sync", many, kept);
    for (const { name } of [...Deno.readDirSync(many)]) Deno.removeSync(`${many}/${name}`);
    await run("sync", many, kept);

    // A server.
    const served = home.directory("served");
    {
      await using server = new Served(home, served, "-l", "127.0.0.1:0", "--keep", "5", "--json");
      const url = await server.url();
      await run("watch", source, "--to", url, "--once");
      makeTree(source, { new: "once more" });
      await run("watch", source, "--to", url, "--once");
      await run("history", url);
      checker.check("serve", await server.stop());
    }
    await run("versions", served);
    await run("versions", served, "--at", "0s");

    // Catalogs.
    await run("catalog", "init");
    await run("scan", source);
    makeTree(source, { new: "and again" });
    await run("scan", source);
    await run("changes");

    await run("init");
    await run("service", "print", "serve", served);
    await run("service", "status", "--scope", "user");
    await run("upgrade", "--check");
    await run("watch", source, "--to", "ftp://nowhere");

    assertEquals(checker.faults, []);
    const said = JSON_LINES.flatMap(({ type, from }) => from.map((command) => `${type} of ${command}`));
    assertEquals(said.filter((line) => !checker.seen.has(line) && !RARE.has(line)), []);
  },
});

Deno.test("docs/JSON.md is made of JSON_LINES (deno run -A tools/json_docs.ts)", async () => {
  assertEquals(await Deno.readTextFile(new URL("../../docs/JSON.md", import.meta.url)), await jsonDocument());
});
