import { assertEquals, assertThrows } from "@std/assert";
import { TempDirectory } from "../tests/support/temp.ts";
import { bundle, pointToBundles, withDirname } from "./build.ts";

const WORKERS = ["src/a/one_worker.ts"];

Deno.test("pointToBundles() turns the address of every worker to its bundle", () => {
  assertEquals(
    pointToBundles(["", `new Worker(new URL("./one_worker.ts",import.meta.url),{})`], WORKERS),
    ["", `new Worker(new URL("./one_worker.js",import.meta.url),{})`],
  );
});

Deno.test("pointToBundles() refuses a worker that would be missing in the executable", () => {
  const code = `new URL("./one_worker.ts", import.meta.url);new URL("./two_worker.ts", import.meta.url)`;
  assertThrows(() => pointToBundles([code], WORKERS), Error, `"two_worker.ts" is not in WORKERS`);
});

Deno.test("pointToBundles() refuses a program that does not start one of the workers", () => {
  assertThrows(() => pointToBundles([""], WORKERS), Error, "it does not start src/a/one_worker.ts");
});

Deno.test("bundle() keeps everything that is to be disposed of", async () => {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(
    `${temp.path}/disposing.ts`,
    `function thing(name: string) {
       return { inner: () => thing("inner of " + name), [Symbol.dispose]: () => ended.push(name) };
     }
     const ended: string[] = [];
     function work() {
       using outer = thing("outer");
       using _inner = outer.inner();
     }
     work();
     export { ended };`,
  );
  const { ended } = await import(await bundle(`${temp.path}/disposing.ts`, temp.directory("bundle")));
  assertEquals(ended, ["inner of outer", "outer"]);
});

Deno.test("withDirname() defines what modules of Node.js look for, where they do", () => {
  const code = 'import a from "./a.js";\nlet at = __dirname + "/";';
  assertEquals(withDirname(code), `const __dirname = import.meta.dirname;\n${code}`);
  assertEquals(withDirname("let at;"), "let at;");
});

Deno.test("bundle() has the style sheet and the script of pages in it", async () => {
  using temp = new TempDirectory();
  const { STYLES, SCRIPT } = await import(await bundle("src/server/dashboard/assets.ts", temp.path));
  assertEquals([STYLES.text.includes("prefers-color-scheme"), SCRIPT.text.includes("EventSource")], [
    true,
    true,
  ]);
});
