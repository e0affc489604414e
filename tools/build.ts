/**
 * Builds one executable: `deno task build [--target TRIPLE] [--out DIR]`.
 *
 * The program is bundled first, because the executable then starts in about two thirds of the time:
 * `--version` takes 45 ms where one that holds all modules one by one takes 70 ms. Workers are
 * programs of their own: each is bundled by itself and lies beside the main one.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import { parseArgs } from "node:util";
import { basename, fromFileUrl, join, resolve } from "@std/path";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** What the program starts with `new Worker`. */
const WORKERS = ["src/chunking/describe_worker.ts", "src/watcher/watch_worker.ts"];

/** Why a build failed; its message is all there is to show. */
class BuildError extends Error {
  override name = "BuildError";
}

/** Bundles `entry` into one file in `directory` and gives the file's path. */
async function bundle(entry: string, directory: string): Promise<string> {
  const file = join(directory, bundleName(entry));
  await deno(["bundle", "--quiet", "--minify", "--platform", "deno", "--output", file, join(ROOT, entry)]);
  return file;
}

function bundleName(entry: string): string {
  return basename(entry).replace(/\.ts$/, ".js");
}

/**
 * Makes `code` start the bundles of the workers, which lie beside it.
 *
 * @throws {BuildError} When it starts one that {@linkcode WORKERS} does not name, or not one that it does.
 */
export function pointToBundles(code: string, workers: readonly string[]): string {
  const left = new Set(workers);
  const pointed = code.replaceAll(/new URL\("\.\/([^"]+\.ts)",\s*import\.meta\.url\)/g, (found, name) => {
    const worker = workers.find((worker) => basename(worker) === name);
    if (worker === undefined) {
      throw new BuildError(`Cannot bundle the program: "${name}" is not in WORKERS of tools/build.ts`);
    }
    left.delete(worker);
    return found.replace(name, bundleName(worker));
  });
  if (left.size === 0) return pointed;
  throw new BuildError(`Cannot bundle the program: it does not start ${[...left].join(", ")}`);
}

async function compile(main: string, include: string[], target: string | undefined, output: string) {
  const { error } = await deno([
    "compile",
    // V8's code cache would be a file beside the executable.
    "--no-code-cache",
    // Nothing of this checkout is needed but the bundles.
    "--no-config",
    "--no-check",
    // Deno asks for all permissions below /proc, through which a tree's directories are held.
    "--allow-all",
    ...(target === undefined ? [] : ["--target", target]),
    ...include.flatMap((file) => ["--include", file]),
    "--output",
    output,
    main,
  ], "piped");
  if (error === undefined) return;
  const download = /https?:\/\/\S+denort\S+?(?=[\s)]|$)/.exec(error)?.[0];
  throw new BuildError(
    download === undefined ? error : `Cannot download the base of the executable: ${download}\n` +
      `  Build where that can be reached, or set DENORT_BIN to a denort of Deno ${Deno.version.deno}`,
  );
}

/** Runs this Deno with `args`. What it complains of is given back when it is `"piped"`, and thrown when not. */
async function deno(args: string[], stderr: "inherit" | "piped" = "inherit"): Promise<{ error?: string }> {
  const result = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr,
  }).output();
  if (result.success) return {};
  if (stderr === "piped") return { error: new TextDecoder().decode(result.stderr).trim() };
  throw new BuildError(`deno ${args[0]} failed`);
}

/** Builds the executable for `target` in `directory` and gives its path. */
async function build(target: string | undefined, directory: string): Promise<string> {
  const scratch = Deno.makeTempDirSync({ prefix: "filesync-build-" });
  try {
    const main = await bundle("main.ts", scratch);
    const workers: string[] = [];
    for (const worker of WORKERS) workers.push(await bundle(worker, scratch));
    Deno.writeTextFileSync(main, pointToBundles(Deno.readTextFileSync(main), WORKERS));
    Deno.mkdirSync(directory, { recursive: true });
    const isWindows = (target ?? Deno.build.target).includes("windows");
    const output = join(directory, isWindows ? "filesync.exe" : "filesync");
    await compile(main, workers, target, output);
    return output;
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    const { values: { target, out } } = parseArgs({
      args: Deno.args,
      options: { target: { type: "string" }, out: { type: "string", default: "dist" } },
    });
    const file = await build(target, resolve(out));
    const { size } = Deno.statSync(file);
    console.info(`${file}  ${(size / 2 ** 20).toFixed(0)} MiB`);
  } catch (error) {
    // A TypeError is what parseArgs throws at a flag it does not know.
    if (!(error instanceof BuildError || error instanceof TypeError)) throw error;
    console.error(error.message);
    Deno.exitCode = 1;
  }
}
