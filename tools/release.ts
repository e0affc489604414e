/**
 * Makes what is released: `deno task release [--target TRIPLE]… [--base TRIPLE=FILE]… [--out DIR]`.
 * For each target an archive with the executable, license, README, manual page and completions, and one file
 * with the SHA-256 of all archives, which `sha256sum --check` reads. `--base` names the `denort` for a target, where Deno's own site
 * cannot be reached.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { basename, fromFileUrl, join, resolve } from "@std/path";
import { loadCommands } from "../src/cli/commands.ts";
import { completionScript } from "../src/cli/completions.ts";
import { manPage } from "../src/cli/man_page.ts";
import { sha256 } from "../src/hashing/sha256.ts";
import config from "../deno.json" with { type: "json" };
import { build, BuildError } from "./build.ts";
import { tar } from "./tar.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** What Deno has bases for, and how an executable for it begins. */
export const TARGETS: Readonly<Record<string, RegExp>> = {
  "x86_64-unknown-linux-gnu": /^7f454c46.{24}0[23]003e00/,
  "aarch64-unknown-linux-gnu": /^7f454c46.{24}0[23]00b700/,
  "x86_64-pc-windows-msvc": /^4d5a/,
  "x86_64-apple-darwin": /^cffaedfe07000001/,
  "aarch64-apple-darwin": /^cffaedfe0c000001/,
};

/**
 * Refuses an executable that is for another machine: a base that was mistaken for another is found by nobody
 * who tests on one system only.
 *
 * @param header Its first 20 bytes: the magic numbers of ELF, PE and Mach-O, and ELF's `e_machine`.
 * @throws {BuildError}
 */
export function checkExecutable(header: Uint8Array, target: string): void {
  if (TARGETS[target]?.test(header.subarray(0, 20).toHex())) return;
  throw new BuildError(`Cannot release for ${target}: what was built is for another system`);
}

/** `TRIPLE=FILE` of each `--base`. */
export function parseBases(bases: readonly string[]): Map<string, string> {
  return new Map(bases.map((base) => {
    const [target, file] = base.split(/=(.*)/s);
    if (target in TARGETS && file) return [target, resolve(file)];
    throw new BuildError(`Cannot use --base ${base}: it is not TRIPLE=FILE with one of ${known()}`);
  }));
}

/** The lines of `sha256sum`. */
export function checksums(files: readonly { name: string; data: Uint8Array }[]): string {
  return files.map(({ name, data }) => `${sha256(data)}  ${name}\n`).join("");
}

/** Completions by the names under which shells look for them. */
const COMPLETIONS = {
  "completions/filesync.bash": "bash",
  "completions/_filesync": "zsh",
  "completions/filesync.fish": "fish",
  "completions/filesync.ps1": "powershell",
};

/**
 * What is made of the table of commands: the manual page and the completions.
 *
 * @param date Of the release, such as `2026-11-21`.
 */
export async function documents(date: string): Promise<{ name: string; data: Uint8Array<ArrayBuffer> }[]> {
  const commands = await loadCommands();
  const texts = [
    ["filesync.1", manPage(commands, { version: config.version, date })],
    ...Object.entries(COMPLETIONS).map(([name, shell]) => [name, completionScript(shell, commands)]),
  ];
  return texts.map(([name, text]) => ({ name, data: new TextEncoder().encode(text) }));
}

/** Builds for `target` and gives the archive. */
async function release(
  target: string,
  base: string | undefined,
  date: string,
): Promise<{ name: string; data: Uint8Array }> {
  const scratch = Deno.makeTempDirSync({ prefix: "filesync-release-" });
  try {
    const executable = await build({ target, directory: scratch, base });
    const program = Deno.readFileSync(executable);
    checkExecutable(program, target);
    const directory = `filesync-${config.version}-${target}`;
    const archive = tar([
      { name: `${directory}/${basename(executable)}`, data: program, executable: true },
      ...["LICENSE", "README.md"].map((name) => ({
        name: `${directory}/${name}`,
        data: Deno.readFileSync(join(ROOT, name)),
      })),
      ...(await documents(date)).map(({ name, data }) => ({ name: `${directory}/${name}`, data })),
    ]);
    return { name: `${directory}.tar.gz`, data: gzipSync(archive, { level: 9 }) };
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

function known(): string {
  return Object.keys(TARGETS).join(", ");
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: {
        target: { type: "string", multiple: true, default: Object.keys(TARGETS) },
        base: { type: "string", multiple: true, default: [] },
        out: { type: "string", default: "dist" },
      },
    });
    const bases = parseBases(values.base);
    const unknown = values.target.find((target) => !(target in TARGETS));
    if (unknown !== undefined) throw new BuildError(`Cannot release for ${unknown}: there are ${known()}`);
    const out = resolve(values.out);
    Deno.mkdirSync(out, { recursive: true });
    const date = new Date().toISOString().slice(0, "YYYY-MM-DD".length);
    const archives = [];
    for (const target of values.target) {
      const archive = await release(target, bases.get(target), date);
      Deno.writeFileSync(join(out, archive.name), archive.data);
      console.info(`${join(out, archive.name)}  ${(archive.data.length / 2 ** 20).toFixed(0)} MiB`);
      archives.push(archive);
    }
    Deno.writeTextFileSync(join(out, "SHA256SUMS"), checksums(archives));
  } catch (error) {
    // A TypeError is what parseArgs throws at a flag it does not know.
    if (!(error instanceof BuildError || error instanceof TypeError)) throw error;
    console.error(error.message);
    Deno.exitCode = 1;
  }
}
