/**
 * Builds one executable: `deno task build [--target TRIPLE] [--out DIR]`.
 *
 * The program is bundled first, with a bundle for each command: `--version` takes 30 ms, where one bundle for
 * all takes 53 ms, and modules one by one take 70 ms. The least that any executable takes is 27 ms. Workers are
 * programs of their own: each is bundled by itself and lies beside the main one.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import { parseArgs } from "node:util";
import { basename, fromFileUrl, join, resolve } from "@std/path";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** What the program starts with `new Worker`. */
const WORKERS = [
  "src/chunking/describe_worker.ts",
  "src/crawler/crawl_worker.ts",
  "src/watcher/watch_worker.ts",
];

/** Why a build failed; its message is all there is to show. */
export class BuildError extends Error {
  override name = "BuildError";
}

/**
 * Bundles `entry` into `directory` and gives the path of the bundle. What it imports when the need arises
 * lies in files of its own beside it, which are not read until then.
 *
 * It is not minified: the minifier makes `using y = open().part()` of `using x = open(); using y = x.part()`, and nothing
 * disposes of what was in between. Nor would that start any sooner. Releases of Deno before 2.9 take texts
 * (`with { type: "text" }`) only when they are told to.
 */
export async function bundle(entry: string, directory: string): Promise<string> {
  const flags = [
    "--quiet",
    "--unstable-raw-imports",
    "--platform",
    "deno",
    "--code-splitting",
    "--outdir",
    directory,
  ];
  // What ssh2 has compiled where it can, and does without elsewhere.
  flags.push("--external=*.node");
  await deno(["bundle", ...flags, resolve(ROOT, entry)]);
  return join(directory, bundleName(entry));
}

function bundleName(entry: string): string {
  return basename(entry).replace(/\.ts$/, ".js");
}

/**
 * Makes bundles start those of the workers, which lie beside them.
 *
 * @param bundles The code of each.
 * @throws {BuildError} When they start one that {@linkcode WORKERS} does not name, or not one that it does.
 */
export function pointToBundles(bundles: readonly string[], workers: readonly string[]): string[] {
  const left = new Set(workers);
  const pointed = bundles.map((code) =>
    code.replaceAll(/new URL\("\.\/([^"]+\.ts)",\s*import\.meta\.url\)/g, (found, name) => {
      const worker = workers.find((worker) => basename(worker) === name);
      if (worker === undefined) {
        throw new BuildError(`Cannot bundle the program: "${name}" is not in WORKERS of tools/build.ts`);
      }
      left.delete(worker);
      return found.replace(name, bundleName(worker));
    })
  );
  if (left.size === 0) return pointed;
  throw new BuildError(`Cannot bundle the program: it does not start ${[...left].join(", ")}`);
}

/** Gives code of CommonJS modules the variable that it looks for, and that modules of a bundle do not have. */
export function withDirname(code: string): string {
  return /\b__dirname\b/.test(code) ? `const __dirname = import.meta.dirname;\n${code}` : code;
}

/**
 * Compiles the bundle `main`, and those that it starts, to an executable.
 *
 * @throws {BuildError}
 */
export async function compile(
  main: string,
  include: readonly string[],
  output: string,
  { target, base }: Pick<BuildOptions, "target" | "base">,
): Promise<void> {
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
  ], { stderr: "piped", env: base === undefined ? {} : { DENORT_BIN: base } });
  if (error === undefined) return;
  const download = /https?:\/\/\S+denort\S+?(?=[\s)]|$)/.exec(error)?.[0];
  throw new BuildError(
    download === undefined ? error : `Cannot download the base of the executable: ${download}\n` +
      `  Build where that can be reached, or set DENORT_BIN to a denort of Deno ${Deno.version.deno}`,
  );
}

/** Runs this Deno with `args`. What it complains of is given back when it is `"piped"`, and thrown when not. */
async function deno(
  args: string[],
  { stderr = "inherit", env }: { stderr?: "inherit" | "piped"; env?: Record<string, string> } = {},
): Promise<{ error?: string }> {
  const result = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "null",
    stderr,
  }).output();
  if (result.success) return {};
  if (stderr === "piped") return { error: new TextDecoder().decode(result.stderr).trim() };
  throw new BuildError(`deno ${args[0]} failed`);
}

/** Settings of {@linkcode build}. */
export interface BuildOptions {
  /** @default {this machine} */
  target?: string;
  /** Where the executable goes. */
  directory: string;
  /** The base of the executable, a `denort`. @default {`DENORT_BIN`, or the one of Deno's site} */
  base?: string;
}

/**
 * Builds the executable and gives its path.
 *
 * @throws {BuildError}
 */
export async function build({ target, directory, base }: BuildOptions): Promise<string> {
  const scratch = Deno.makeTempDirSync({ prefix: "filesync-build-" });
  try {
    const main = await bundle("main.ts", scratch);
    const workers: string[] = [];
    for (const worker of WORKERS) workers.push(await bundle(worker, scratch));
    const bundles = [...Deno.readDirSync(scratch)].map(({ name }) => join(scratch, name));
    const code = pointToBundles(bundles.map((file) => Deno.readTextFileSync(file)), WORKERS);
    bundles.forEach((file, i) => Deno.writeTextFileSync(file, withDirname(code[i])));
    Deno.mkdirSync(directory, { recursive: true });
    const isWindows = (target ?? Deno.build.target).includes("windows");
    const output = join(directory, isWindows ? "filesync.exe" : "filesync");
    await compile(main, workers, output, { target, base });
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
    const file = await build({ target, directory: resolve(out) });
    const { size } = Deno.statSync(file);
    console.info(`${file}  ${(size / 2 ** 20).toFixed(0)} MiB`);
  } catch (error) {
    // A TypeError is what parseArgs throws at a flag it does not know.
    if (!(error instanceof BuildError || error instanceof TypeError)) throw error;
    console.error(error.message);
    Deno.exitCode = 1;
  }
}
