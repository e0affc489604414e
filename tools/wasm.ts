/**
 * Builds the WebAssembly modules: `deno task wasm [--check]`.
 *
 * They are written in AssemblyScript (folders named `assembly`) and checked in as text, in base64, inside a
 * module of TypeScript: that is all there is to load, in a worker, a bundle and an executable alike,
 * and it costs nothing until the first use. With `--check` nothing is written; what differs from what
 * is checked in is an error.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import { main as compile } from "assemblyscript/asc";
import { basename, fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** The sources. `assembly/x.ts` becomes `x_wasm.ts`, which exports `X_WASM`. */
export const SOURCES = ["src/hashing/assembly/blake3.ts", "src/chunking/assembly/vgear.ts"];

/** No runtime and no imports: the modules have only functions and their own memory. */
const OPTIONS = ["-O3", "--runtime", "stub", "--noAssert", "--use", "abort=", "--enable", "simd"];

/** Where the module made of `source` is kept. */
export function outputOf(source: string): string {
  return source.replace(/assembly\/(\w+)\.ts$/, "$1_wasm.ts");
}

/**
 * Compiles `source` and gives the text of the module that holds it.
 *
 * @throws {Error} With what the compiler says, when it does not compile.
 */
export async function buildModule(source: string): Promise<string> {
  let wasm = new Uint8Array();
  const { error, stderr } = await compile([source, "--outFile", "out.wasm", "--baseDir", ROOT, ...OPTIONS], {
    writeFile: (_, contents) => void (wasm = new Uint8Array(contents as Uint8Array)),
  });
  if (error !== null) throw new Error(`Cannot compile "${source}": ${stderr}`, { cause: error });
  const name = basename(source, ".ts").toUpperCase();
  return `/** Made by \`deno task wasm\` from \`assembly/${basename(source)}\`: not to be edited. @module */

/** A WebAssembly module, in base64. */
export const ${name}_WASM =
  "${wasm.toBase64()}";
`;
}

if (import.meta.main) {
  const check = Deno.args.includes("--check");
  for (const source of SOURCES) {
    const text = await buildModule(source);
    const path = join(ROOT, outputOf(source));
    if (!check) {
      Deno.writeTextFileSync(path, text);
    } else if (Deno.readTextFileSync(path) !== text) {
      console.error(`"${outputOf(source)}" is not what "${source}" compiles to: run deno task wasm`);
      Deno.exitCode = 1;
    }
  }
}
