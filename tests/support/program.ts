/**
 * The program as a user runs it: `deno run main.ts …`, or the executable that `FILESYNC_BIN` names,
 * with a home directory of its own. What it prints is kept for the failure message; with
 * `FILESYNC_TEST_VERBOSE` set it is shown at once.
 *
 * @module
 */
import { fromFileUrl, join, resolve } from "@std/path";
import { homedir } from "node:os";
import { TempDirectory } from "./temp.ts";

/** Settings of {@linkcode Program.start}. */
export interface ProgramOptions {
  /** Names the program in messages. @default {the first argument} */
  label?: string;
  cwd?: string;
  /** Added to the environment, which holds no `FILESYNC_*` of the test's own. */
  env?: Record<string, string>;
  /**
   * Holds `HOME` and the XDG directories: give the same one to programs that share them.
   *
   * @default {a temporary one, removed at the end}
   */
  home?: string;
  /** What to start in place of the program. */
  command?: string[];
}

/** One line of `--json` output. */
export interface JsonLine {
  type: string;
  // deno-lint-ignore no-explicit-any -- the shape depends on the type, and tests assert it
  [field: string]: any;
}

/** Milliseconds that waiting for a line takes at most, unless told otherwise. */
const LINE_TIMEOUT = 30_000;
const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/** A running program. Disposing of it kills it if it still runs. */
export class Program implements AsyncDisposable {
  readonly label: string;
  readonly pid: number;
  /** How it ended. */
  readonly status: Promise<Deno.CommandStatus>;

  readonly #child: Deno.ChildProcess;
  readonly #temporary: TempDirectory | undefined;
  readonly #lines: { text: string; from: "stdout" | "stderr" }[] = [];
  readonly #output: Promise<unknown>;
  #changed = Promise.withResolvers<void>();
  #ended: Deno.CommandStatus | undefined;

  private constructor(args: string[], options: ProgramOptions) {
    const [command, ...before] = options.command ?? programCommand();
    this.label = options.label ?? args[0] ?? command;
    this.#temporary = options.home === undefined ? new TempDirectory() : undefined;
    this.#child = new Deno.Command(command, {
      args: [...before, ...args],
      cwd: options.cwd,
      clearEnv: true,
      env: { ...isolated(options.home ?? this.#temporary!.path), ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#output = Promise.all([
      this.#collect(this.#child.stdout, "stdout"),
      this.#collect(this.#child.stderr, "stderr"),
    ]);
    this.status = this.#finish();
  }

  /** Starts the program with `args`. */
  static start(args: string[], options: ProgramOptions = {}): Program {
    return new Program(args, options);
  }

  /** All lines so far of what it printed. */
  get stdout(): string {
    return this.#text("stdout");
  }

  /** All lines so far of what it complained. */
  get stderr(): string {
    return this.#text("stderr");
  }

  /** Everything `--json` has printed so far; lines that are not JSON objects are left out. */
  get json(): JsonLine[] {
    return this.jsonSince(0);
  }

  /** What `--json` has printed since a {@linkcode mark}. */
  jsonSince(mark: number): JsonLine[] {
    return this.#lines.slice(mark).flatMap(({ text, from }) =>
      from === "stdout" ? parseLine(text) ?? [] : []
    );
  }

  /** How many lines there are: give it to {@linkcode line} or {@linkcode event} as `from`. */
  mark(): number {
    return this.#lines.length;
  }

  /**
   * Waits for a line of output that matches, also one printed before the call.
   *
   * @param from Lines before this {@linkcode mark} do not count.
   * @throws {Error} With all output, when the time is up or the program has ended without it.
   */
  line(pattern: RegExp, timeoutMs = LINE_TIMEOUT, from = 0): Promise<RegExpExecArray> {
    return this.#wait(`a line like ${pattern}`, (text) => pattern.exec(text) ?? undefined, timeoutMs, from);
  }

  /** Waits as {@linkcode line} does for a JSON line of this type, and with these fields. */
  event(
    type: string,
    fields: Record<string, unknown> = {},
    timeoutMs = LINE_TIMEOUT,
    from = 0,
  ): Promise<JsonLine> {
    const wanted = Object.entries({ type, ...fields });
    return this.#wait(
      `the event ${JSON.stringify({ type, ...fields })}`,
      (text) => {
        const event = parseLine(text);
        return wanted.every(([field, value]) => event?.[field] === value) ? event : undefined;
      },
      timeoutMs,
      from,
    );
  }

  /** Sends a signal; nothing happens when the program has ended. */
  kill(signal: Deno.Signal): void {
    if (this.#ended === undefined) this.#child.kill(signal);
  }

  /**
   * Stops the program as Ctrl+C does, and waits until it has ended.
   *
   * @throws {Error} With all output, when it has not ended in time; then it has been killed.
   */
  async stop(timeoutMs = 20_000): Promise<Deno.CommandStatus> {
    this.kill("SIGINT");
    return await this.end(timeoutMs);
  }

  /** Waits until it ends by itself. Throws as {@linkcode stop} does. */
  async end(timeoutMs: number): Promise<Deno.CommandStatus> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.kill("SIGKILL");
    }, timeoutMs);
    const status = await this.status;
    clearTimeout(timer);
    if (isLate) throw this.#failure(`did not end within ${timeoutMs} ms`);
    return status;
  }

  /** Kills the program if it still runs, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.status;
    this.#temporary?.[Symbol.dispose]();
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, from: "stdout" | "stderr"): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.#add(lines, from);
    }
    if (rest !== "") this.#add([rest], from);
  }

  #add(lines: string[], from: "stdout" | "stderr"): void {
    for (const text of lines) {
      this.#lines.push({ text, from });
      if (isVerbose) Deno.stderr.writeSync(new TextEncoder().encode(`[${this.label}] ${text}\n`));
    }
    this.#change();
  }

  async #finish(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    this.#ended = status;
    await this.#output;
    this.#change();
    return status;
  }

  /** Wakes those who wait for lines. */
  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async #wait<T>(
    what: string,
    match: (line: string) => T | undefined,
    timeoutMs: number,
    from: number,
  ): Promise<T> {
    let isLate = false;
    let hasEnded = false;
    this.status.then(() => hasEnded = true);
    const timer = setTimeout(() => {
      isLate = true;
      this.#change();
    }, timeoutMs);
    try {
      for (let next = from;;) {
        // Whether it had ended is asked before the lines are: the last of them must not be missed.
        const isLast = hasEnded;
        for (; next < this.#lines.length; next++) {
          const found = match(this.#lines[next].text);
          if (found !== undefined) return found;
        }
        if (isLast) throw this.#failure(`ended without ${what}`);
        if (isLate) throw this.#failure(`did not print ${what} within ${timeoutMs} ms`);
        await Promise.race([this.#changed.promise, this.status]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #text(from: "stdout" | "stderr"): string {
    return this.#lines.filter((line) => line.from === from).map(({ text }) => text + "\n").join("");
  }

  #failure(what: string): Error {
    const ended = this.#ended === undefined ? "" : ` (exit code ${this.#ended.code})`;
    const output = this.#lines.slice(-100).map(({ text, from }) => `  ${from}: ${text.slice(0, 1000)}`);
    return new Error(`${this.label}${ended} ${what}; it printed\n${output.join("\n")}`);
  }
}

/** What a program that has ended left behind. */
export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
  json: JsonLine[];
}

/** Runs the program to its end. Throws as {@linkcode Program.stop} does after `timeoutMs`. */
export async function run(
  args: string[],
  { timeoutMs = 120_000, ...options }: ProgramOptions & { timeoutMs?: number } = {},
): Promise<RunResult> {
  await using program = Program.start(args, options);
  const { code } = await program.end(timeoutMs);
  return { code, stdout: program.stdout, stderr: program.stderr, json: program.json };
}

/** A server that listens. */
export interface RunningServer extends AsyncDisposable {
  program: Program;
  /** `http://127.0.0.1:port`. */
  url: string;
  token: string;
  port: number;
}

/** Settings of {@linkcode startServer}. */
export interface ServerOptions extends ProgramOptions {
  /** To come back where a first run was. @default {0, any that is free} */
  port?: number;
  /** More arguments of `serve`. */
  args?: string[];
}

/** Starts `serve dir` and waits until it listens. */
export async function startServer(
  dir: string,
  { port = 0, args = [], ...options }: ServerOptions = {},
): Promise<RunningServer> {
  const program = Program.start(
    ["serve", dir, "--listen", `127.0.0.1:${port}`, "--json", ...args],
    options,
  );
  try {
    const { url, token = storedToken(dir, options) } = await program.event("listening");
    return {
      program,
      url,
      token,
      port: Number(new URL(url).port),
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    };
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

/** The token of a server that was started before. */
function storedToken(dir: string, { env, cwd = "." }: ProgramOptions): string {
  return env?.FILESYNC_TOKEN ?? Deno.readTextFileSync(resolve(cwd, dir, ".filesync/token")).trim();
}

/** Settings of {@linkcode startWatch} and {@linkcode pushOnce}. */
export interface WatchOptions extends ProgramOptions {
  /** Directory of the queue and of what is remembered; give the same one to go on where a run ended. */
  state?: string;
  /** More arguments of `watch`. */
  args?: string[];
}

/** Starts `watch dir --to url`; does not wait for anything. */
export function startWatch(dir: string, url: string, token: string, options: WatchOptions = {}): Program {
  return Program.start(watchArguments(dir, url, options), watchSettings(token, options));
}

/** Runs `watch dir --to url --once` to its end; `totals` is its last JSON line of that type. */
export async function pushOnce(
  dir: string,
  url: string,
  token: string,
  options: WatchOptions & { timeoutMs?: number } = {},
): Promise<RunResult & { totals: JsonLine | undefined }> {
  const result = await run([...watchArguments(dir, url, options), "--once"], watchSettings(token, options));
  return { ...result, totals: result.json.findLast(({ type }) => type === "totals") };
}

function watchArguments(dir: string, url: string, { state, args = [] }: WatchOptions): string[] {
  return ["watch", dir, "--to", url, "--json", ...(state === undefined ? [] : ["--state", state]), ...args];
}

function watchSettings<T extends WatchOptions>(token: string, options: T): T {
  return { ...options, env: { FILESYNC_TOKEN: token, ...options.env } };
}

/** What starts the program: an executable and its first arguments. */
export function programCommand(): string[] {
  const executable = Deno.env.get("FILESYNC_BIN");
  if (executable !== undefined) return [resolve(executable)];
  return [Deno.execPath(), "run", "-A", "--config", join(ROOT, "deno.json"), join(ROOT, "main.ts")];
}

const isVerbose = Deno.env.has("FILESYNC_TEST_VERBOSE");

/** The test's environment, but at home in `home` and without settings of the program. */
export function isolated(home: string): Record<string, string> {
  const environment = Deno.env.toObject();
  for (const name of Object.keys(environment)) {
    if (name.startsWith("FILESYNC_") || name.startsWith("XDG_")) delete environment[name];
  }
  Deno.mkdirSync(home, { recursive: true });
  // Deno finds its cache and the registry's settings by the home directory.
  const cache = Deno.env.get("DENO_DIR") || denoDirectory();
  try {
    Deno.copyFileSync(join(homedir(), ".npmrc"), join(home, ".npmrc"));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return {
    ...environment,
    HOME: home,
    USERPROFILE: home,
    XDG_STATE_HOME: join(home, "state"),
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_CACHE_HOME: join(home, "cache"),
    DENO_DIR: cache,
    DENO_NO_UPDATE_CHECK: "1",
    NO_COLOR: "1",
  };
}

/** Where Deno keeps what it has downloaded, by its documentation of `DENO_DIR`. */
export function denoDirectory(): string {
  switch (Deno.build.os) {
    case "darwin":
      return join(homedir(), "Library/Caches/deno");
    case "windows":
      return join(Deno.env.get("LOCALAPPDATA") || homedir(), "deno");
    default:
      return join(Deno.env.get("XDG_CACHE_HOME") || join(homedir(), ".cache"), "deno");
  }
}

function parseLine(text: string): JsonLine | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
