/** Brings services to this machine and takes them away, by what a {@linkcode ServiceManager} says. @module */
import { ensureDirSync } from "@std/fs";
import { dirname } from "@std/path";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { replaceFile } from "../files/replace_file.ts";
import type { Installation, Removal, RunCommand, ServiceFile, Words } from "./manager.ts";

/** What was done. */
export interface Applied {
  written: string[];
  /** Files that were as they should be. */
  kept: string[];
  removed: string[];
  commands: Words[];
}

/**
 * Installs. Files that are there already are replaced when they are of our making.
 *
 * @param isOurs Whether a file of that text was made by an earlier installation.
 * @throws {FilesyncError} When a file belongs to somebody else, cannot be written, or a command fails.
 */
export async function applyInstallation(
  { directories, files, commands }: Installation,
  isOurs: (file: ServiceFile, text: string) => boolean,
  run: RunCommand,
): Promise<Applied> {
  const applied: Applied = { written: [], kept: [], removed: [], commands: [] };
  const standing = files.map(({ path }) => textOf(path));
  // All are looked at before any is written.
  files.forEach((file, i) => {
    const text = standing[i];
    if (text === undefined || text === file.text || isOurs(file, text)) return;
    throw new FilesyncError({
      code: "conflict",
      operation: `write "${file.path}"`,
      reason: "it is there already, and is of another service",
      hint: "Give this one a name of its own with --name, or uninstall the other",
      permanent: true,
    });
  });
  directories.forEach((path) => attempt(`make the directory "${path}"`, () => ensureDirSync(path)));
  files.forEach((file, i) => {
    if (standing[i] === file.text) applied.kept.push(file.path);
    else {
      attempt(`write "${file.path}"`, () => replace(file));
      applied.written.push(file.path);
    }
  });
  for (const words of commands) {
    await runOrThrow(words, run);
    applied.commands.push(words);
  }
  return applied;
}

/**
 * Uninstalls. What is gone already is no error.
 *
 * @throws {FilesyncError} When a file cannot be removed, or the last commands fail.
 */
export async function applyRemoval({ before, files, after }: Removal, run: RunCommand): Promise<Applied> {
  const applied: Applied = { written: [], kept: [], removed: [], commands: [] };
  for (const words of before) {
    await run(words).catch(() => {});
    applied.commands.push(words);
  }
  for (const path of files) {
    if (textOf(path) === undefined) continue;
    attempt(`remove "${path}"`, () => Deno.removeSync(path));
    applied.removed.push(path);
  }
  for (const words of after) {
    await runOrThrow(words, run);
    applied.commands.push(words);
  }
  return applied;
}

/**
 * Runs `words`.
 *
 * @throws {FilesyncError} With what it complained of, when it fails or is not there.
 */
export async function runOrThrow(words: Words, run: RunCommand): Promise<string> {
  const operation = `run ${words.join(" ")}`;
  let output;
  try {
    output = await run(words);
  } catch (error) {
    throw toFilesyncError(operation, error);
  }
  const { code, stdout, stderr } = output;
  if (code === 0) return stdout;
  throw new FilesyncError({
    code: "io",
    operation,
    reason: (stderr.trim() || stdout.trim() || `it ended with the exit code ${code}`).replaceAll("\n", "; "),
  });
}

/** The text of a file; `undefined` when there is none. */
export function textOf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw toFilesyncError(`read "${path}"`, error);
  }
}

/** A service manager may read it at any moment, and nobody may read a token meanwhile. */
function replace({ path, text, mode = 0o644 }: ServiceFile): void {
  ensureDirSync(dirname(path));
  replaceFile(path, text, mode);
}

function attempt(operation: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    throw toFilesyncError(operation, error);
  }
}
