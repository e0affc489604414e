/**
 * Executables for tests, built as they are released, where what they are built on can be had: Deno's base
 * binary (`denort`). `DENORT_BIN` names the one for this machine, `FILESYNC_TEST_BASES` those for others, as
 * `TRIPLE=FILE` with spaces between; else it is looked for where Deno keeps those it has downloaded. The one
 * for this machine is downloaded when its site answers at once.
 *
 * @module
 */
import { existsSync } from "@std/fs";
import { join, resolve } from "@std/path";
import { build, BuildError } from "../../tools/build.ts";
import { parseBases } from "../../tools/release.ts";
import { denoDirectory } from "./program.ts";

/** Milliseconds within which a site must answer that a test may download from. */
const ANSWER_WITHIN = 2_000;

/** Where the base of an executable is; `undefined` when it has to be downloaded first. */
export type Base = { file?: string };

/** The base for `target`; `undefined` when it cannot be had, which must not hold up a test. */
export async function findBase(target: string): Promise<Base | undefined> {
  const isHere = target === Deno.build.target;
  const given = parseBases((Deno.env.get("FILESYNC_TEST_BASES") ?? "").split(/\s+/).filter(Boolean));
  const file = given.get(target) ?? (isHere ? Deno.env.get("DENORT_BIN") : undefined);
  if (file !== undefined) return { file };
  const path = `release/v${Deno.version.deno}/denort-${target}.zip`;
  if (existsSync(join(Deno.env.get("DENO_DIR") || denoDirectory(), "dl", path))) return {};
  return isHere && await answers(`https://dl.deno.land/${path}`) ? {} : undefined;
}

/** The executable that `FILESYNC_BIN` names, or a new one; `undefined` where it cannot be built. */
export async function buildHere(directory: string): Promise<string | undefined> {
  const given = Deno.env.get("FILESYNC_BIN");
  if (given !== undefined) return resolve(given);
  const base = await findBase(Deno.build.target);
  if (base === undefined) return undefined;
  try {
    return await build({ directory, base: base.file });
  } catch (error) {
    // A site that answers may still not give what it has.
    if (error instanceof BuildError && error.message.includes("Cannot download")) return undefined;
    throw error;
  }
}

const asked = new Map<string, Promise<boolean>>();

function answers(url: string): Promise<boolean> {
  const answer = asked.get(url) ??
    fetch(url, { method: "HEAD", signal: AbortSignal.timeout(ANSWER_WITHIN) }).then(
      ({ ok }) => ok,
      () => false,
    );
  asked.set(url, answer);
  return answer;
}
