/** A `systemd --user` that can reach nothing of this machine: see `isolated_systemd.sh`. @module */
import { fromFileUrl } from "@std/path";
import { TempDirectory } from "./temp.ts";

const SCRIPT = fromFileUrl(new URL("isolated_systemd.sh", import.meta.url));

/** A line of shell in the isolated place, run to its end. */
export interface ShellResult {
  code: number;
  /** What it printed, to either stream. */
  out: string;
}

/** The service manager, and a shell beside it. Everything that it started ends when it is disposed of. */
export class IsolatedSystemd implements AsyncDisposable {
  readonly #temp: TempDirectory;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #rest = "";

  private constructor(temp: TempDirectory, marker: string) {
    this.#temp = temp;
    this.#child = new Deno.Command("bash", {
      args: [SCRIPT, temp.directory("scratch"), marker],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * Starts it.
   *
   * @throws {Error} When it cannot be isolated, or does not start there; the message tells why.
   */
  static async start(): Promise<IsolatedSystemd> {
    const marker = Deno.makeTempFileSync({ dir: "/tmp", prefix: "filesync-marker-" });
    try {
      const systemd = new IsolatedSystemd(new TempDirectory("filesync-systemd-"), marker);
      try {
        const { code, out } = await systemd.#answer();
        if (Number.isNaN(code)) return systemd;
        throw new Error(out.trim().replace(/^refused: /, ""));
      } catch (error) {
        await systemd[Symbol.asyncDispose]();
        throw error;
      }
    } finally {
      Deno.removeSync(marker);
    }
  }

  /** The only directory of the machine that is there, as `/scratch`: by its own path. */
  get scratch(): string {
    return this.#temp.directory("scratch");
  }

  /** Runs a line of shell. */
  async sh(line: string): Promise<ShellResult> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
    return await this.#answer();
  }

  /**
   * Runs a line that must do well, and gives what it printed.
   *
   * @throws {Error} With that, when it does not.
   */
  async succeed(line: string): Promise<string> {
    const { code, out } = await this.sh(line);
    if (code === 0) return out;
    throw new Error(`${line}\nended with ${code}:\n${out}\n${this.#logs}`);
  }

  /** The end of every file in the scratch directory that is called so, such as systemd's own. */
  get #logs(): string {
    const names = [...Deno.readDirSync(this.scratch)].map(({ name }) => name).filter((name) =>
      name.endsWith(".log")
    );
    return names.map((name) => `${name}:\n${Deno.readTextFileSync(`${this.scratch}/${name}`).slice(-2000)}`)
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#output.cancel();
    this.#temp[Symbol.dispose]();
  }

  /** Reads until the line that tells the end of an answer; the code is `NaN` for "ready", 1 when all has ended. */
  async #answer(): Promise<ShellResult> {
    for (;;) {
      const end = /^--- (\w+)\n/m.exec(this.#rest);
      if (end !== null) {
        const out = this.#rest.slice(0, end.index);
        this.#rest = this.#rest.slice(end.index + end[0].length);
        return { code: Number(end[1]), out };
      }
      const { value, done } = await this.#output.read();
      if (done) return { code: 1, out: this.#rest };
      this.#rest += value;
    }
  }
}
