/**
 * Source trees as people have them, from npm, got through Deno alone and kept in the
 * system's temporary directory for the next run.
 *
 * @module
 */
import { copy, existsSync } from "@std/fs";
import { tmpdir } from "node:os";
import { join } from "@std/path";

/** Fewest files in {@linkcode realSourceTree}. */
export const REAL_TREE_FILES = 10_000;

/**
 * Lays out in `dir` the installed source of a large user-interface framework (Ant Design, with
 * React and all it stands on) and of a compiler: about 17,500 files and 400 symbolic links, 150 MB,
 * from empty files to 9 MB. No package in it depends on the platform.
 */
export async function realSourceTree(dir: string): Promise<void> {
  await copyTree(await installed({ antd: "5.20.0", typescript: "5.9.2" }), dir);
}

/**
 * Two versions of one library, about 5,300 small files each, most of them the same. The directories
 * are shared between runs: copy them with {@linkcode copyTree}, do not change them.
 */
export async function realPair(): Promise<{ before: string; after: string }> {
  return {
    before: await installed({ "date-fns": "4.0.0" }),
    after: await installed({ "date-fns": "4.1.0" }),
  };
}

/**
 * Copies the content of `from` into `to`, over what is there, with modes, times and links; two names
 * of one file become two files. Takes the system's `cp` where there is one, which is several times faster.
 */
export async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  try {
    await succeed("cp", ["-RPp", `${from}/.`, to], {});
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await copy(from, to, { overwrite: true, preserveTimestamps: true });
  }
}

/** The directory in which `dependencies` are installed. */
async function installed(dependencies: Record<string, string>): Promise<string> {
  const names = Object.entries(dependencies).map(([name, version]) => `${name}-${version}`);
  const kept = join(tmpdir(), `filesync-real-tree-1-${names.join("-")}`);
  if (existsSync(kept)) return kept;
  // Made beside and renamed: an install that was stopped half-way is never taken for a whole one.
  const fresh = await Deno.makeTempDir({ prefix: "filesync-real-tree-" });
  try {
    await Deno.writeTextFile(join(fresh, "package.json"), JSON.stringify({ private: true, dependencies }));
    await succeed(Deno.execPath(), ["install", "--quiet", "--node-modules-dir=auto"], { cwd: fresh });
    await Deno.rename(fresh, kept);
  } catch (error) {
    await Deno.remove(fresh, { recursive: true });
    // Another test may have been faster.
    if (!existsSync(kept)) throw error;
  }
  return kept;
}

async function succeed(command: string, args: string[], options: { cwd?: string }): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { ...options, args, stdout: "null" }).output();
  if (success) return;
  throw new Error(`Cannot run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
