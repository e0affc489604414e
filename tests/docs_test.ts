/**
 * Runs the commands that the documents show, as they stand there: each document in a sandbox of its own,
 * several documents at a time. `document.ts` tells which lines are run, and how.
 *
 * - `filesync` is this program, the home directory `/home/ann`; `sudo` does without.
 * - Directories of the system, such as `/srv`, are directories of the sandbox.
 * - Every machine with a port from 7433 to 7439 is this one, with a port that is free.
 * - PostgreSQL at `db.lan` is one that is started for it.
 *
 * With `FILESYNC_TEST_VERBOSE` set it shows every command and what it prints.
 *
 * @module
 */
import { existsSync } from "@std/fs";
import { fromFileUrl, join } from "@std/path";
import { PRELUDE, scriptOf, shellIn } from "./support/document.ts";
import { HAS_POSTGRES, PostgresServer } from "./support/postgres.ts";
import { isolated, programCommand } from "./support/program.ts";
import { TempDirectory } from "./support/temp.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** Milliseconds that a document may take: many times what it does. */
const PATIENCE = 300_000;

/** Documents at a time. */
const ABREAST = 3;

/** Directories of the system that documents name. */
const SYSTEM = ["etc", "home", "mnt", "srv", "tmp", "var"];

const documents = ["README.md", ...namesIn("docs").map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith(".md"))
  .map((name) => ({ name, shell: shellIn(Deno.readTextFileSync(join(ROOT, name))) }))
  .filter(({ shell }) => shell.blocks.some(({ how }) => how.kind !== "not-run"))
  // The longest first, so that none is left to run alone.
  .sort((a, b) => b.shell.blocks.length - a.shell.blocks.length);

Deno.test({
  name: "the commands in the documents do what the documents say",
  ignore: Deno.build.os !== "linux" || !hasProgram("bash"),
  // Steps run side by side.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await using started = new AsyncDisposableStack();
    const all = documents.flatMap(({ shell }) => shell.blocks.flatMap(({ lines }) => lines)).join("\n");
    const postgres = HAS_POSTGRES && all.includes("db.lan")
      ? started.use(await PostgresServer.start())
      : undefined;
    const waiting = [...documents];
    await Promise.all(Array.from({ length: ABREAST }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { name, shell } = next;
        const text = shell.blocks.flatMap(({ lines }) => lines).join("\n");
        await t.step({
          name,
          ignore: ["curl", "psql"].some((program) => hasWord(text, program) && !hasProgram(program)) ||
            (text.includes("db.lan") && postgres === undefined),
          sanitizeOps: false,
          sanitizeResources: false,
          sanitizeExit: false,
          async fn() {
            using sandbox = new Sandbox(await postgres?.database());
            const script = scriptOf(shell, (line) => sandbox.rewrite(line));
            const { code, output } = await sandbox.run(name, script);
            if (code !== 0) throw new Error(`${name} does not do what it says:\n${output}`);
          },
        });
      }
    }));
  },
});

/** A little system of its own, below a temporary directory. */
class Sandbox implements Disposable {
  readonly #temp = new TempDirectory("filesync-docs-");
  readonly #home: string;
  readonly #ports: number[];
  readonly #database: URL | undefined;

  constructor(database: URL | undefined) {
    this.#database = database;
    for (const name of SYSTEM) this.#temp.directory(name);
    this.#home = this.#temp.directory("home/ann");
    this.#ports = Array.from({ length: 7 }, freePort);
    const command = programCommand().map((word) => `'${word}'`).join(" ");
    this.#program("filesync", `exec ${command} "$@"`);
    this.#program("sudo", 'exec "$@"');
  }

  #program(name: string, script: string): void {
    const path = join(this.#temp.directory("bin"), name);
    Deno.writeTextFileSync(path, `#!/bin/sh\n${script}\n`);
    Deno.chmodSync(path, 0o755);
  }

  /** A line of a document, for this sandbox. */
  rewrite(line: string): string {
    return line
      .replaceAll(/postgres:\/\/[\w@.]*db\.lan\/\w+/g, this.#database?.href ?? "$&")
      .replaceAll(new RegExp(`(?<![\\w.~}*/-])/(${SYSTEM.join("|")})\\b`, "g"), `${this.#temp.path}/$1`)
      .replaceAll(/[\w.-]+:743([3-9])\b/g, (_, digit) => `127.0.0.1:${this.#ports[Number(digit) - 3]}`);
  }

  /** Runs the script of a document, and ends everything that it started. */
  async run(document: string, script: string): Promise<{ code: number; output: string }> {
    const paths = { prelude: join(this.#temp.path, "prelude"), script: join(this.#temp.path, "script") };
    Deno.writeTextFileSync(paths.prelude, PRELUDE);
    Deno.writeTextFileSync(paths.script, script);
    const { XDG_STATE_HOME: _, XDG_CONFIG_HOME: __, XDG_CACHE_HOME: ___, ...environment } = isolated(
      this.#home,
    );
    const isVerbose = Deno.env.has("FILESYNC_TEST_VERBOSE");
    const child = new Deno.Command("bash", {
      args: ["-c", `exec 2>&1; . "$0"; ${isVerbose ? "set -v; " : ""}. "$1"`, paths.prelude, paths.script],
      cwd: this.#home,
      clearEnv: true,
      env: {
        ...environment,
        DOCUMENT: document,
        SANDBOX: this.#temp.path,
        USER: "ann",
        FILESYNC_LISTEN: `127.0.0.1:${this.#ports[0]}`,
        PATH: `${this.#temp.path}/bin:${environment.PATH}`,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const timer = setTimeout(() => this.#endAll(), PATIENCE);
    const [output, { code }] = await Promise.all([new Response(child.stdout).text(), child.status]);
    clearTimeout(timer);
    if (isVerbose) Deno.stderr.writeSync(new TextEncoder().encode(output));
    return { code, output };
  }

  /** Ends every program that is at home here, however it was started. */
  #endAll(): void {
    for (const pid of namesIn("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const environment = Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0");
        if (environment.includes(`HOME=${this.#home}`)) Deno.kill(Number(pid), "SIGKILL");
      } catch {
        // It has ended, or is somebody else's.
      }
    }
  }

  [Symbol.dispose](): void {
    this.#endAll();
    this.#temp[Symbol.dispose]();
  }
}

/** A port below those that the system gives away by itself, so that nobody takes it meanwhile. */
function freePort(): number {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch {
      // In use: another one.
    }
  }
}

function hasWord(text: string, word: string): boolean {
  return new RegExp(`\\b${word}\\b`).test(text);
}

function hasProgram(name: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => existsSync(join(directory, name)));
}

function namesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory.startsWith("/") ? directory : join(ROOT, directory))]
    .map(({ name }) => name).sort();
}
