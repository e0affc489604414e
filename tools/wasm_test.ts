import { assert, assertEquals } from "@std/assert";
import { buildModule, outputOf, SOURCES } from "./wasm.ts";

for (const source of SOURCES) {
  Deno.test(`buildModule() makes of ${source} what is checked in`, async () => {
    const checkedIn = new URL(`../${outputOf(source)}`, import.meta.url);
    // Not assertEquals(): it would show a difference of thousands of characters.
    assert(await buildModule(source) === await Deno.readTextFile(checkedIn), "run deno task wasm");
  });

  Deno.test(`the module of ${source} needs nothing from outside`, async () => {
    const base64 = /"([A-Za-z0-9+/=]{100,})"/.exec(await buildModule(source))![1];
    const module = new WebAssembly.Module(Uint8Array.fromBase64(base64));
    assertEquals(WebAssembly.Module.imports(module), []);
  });
}
