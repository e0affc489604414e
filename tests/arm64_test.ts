/**
 * The program on a 64-bit ARM, which QEMU plays: the numbers of flags and the shapes of structures that the
 * program hands to the C library are others there.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import config from "../deno.json" with { type: "json" };
import { build, bundle, compile } from "../tools/build.ts";
import { findBase } from "./support/executable.ts";
import { sayNotTested } from "./support/not_tested.ts";
import { Program, run, startServer, startWatch } from "./support/program.ts";
import { TempDirectory } from "./support/temp.ts";
import { makeTree, waitForSameTree } from "./support/trees.ts";

const TARGET = "aarch64-unknown-linux-gnu";
/** Where Debian's package `libc6-arm64-cross` puts the C library. */
const LIBRARIES = "/usr/aarch64-linux-gnu";
const QEMU = "qemu-aarch64-static";

const temp = new TempDirectory("filesync-arm64-");
const base = await findBase(TARGET);
const missing = base === undefined
  ? "there is no base binary to build on"
  : !existsSync(`${LIBRARIES}/lib/ld-linux-aarch64.so.1`)
  ? `there is no C library for it in ${LIBRARIES}`
  : await hasQemu()
  ? undefined
  : `there is no ${QEMU}`;
if (missing !== undefined) sayNotTested("64-bit ARM", missing);

Deno.test.afterAll(() => temp[Symbol.dispose]());

async function hasQemu(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["--version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "on a 64-bit ARM, what calls the C library passes its own tests",
  ignore: missing !== undefined,
  async fn() {
    const main = await bundle("tests/support/arm64/files_tests.ts", temp.directory("bundle"));
    const program = `${temp.path}/files-tests`;
    await compile(main, [], program, { target: TARGET, base: base!.file });
    const { code, stdout, stderr } = await run([], { command: [QEMU, "-L", LIBRARIES, program] });
    assertEquals(code, 0, stdout + stderr);
    assertStringIncludes(stdout, "ok Libc throws errors that osCode() names");
    assert(stdout.split("\n").length > 40, stdout);
  },
});

Deno.test({
  name: "on a 64-bit ARM, a server takes what a watch pushes",
  ignore: missing !== undefined,
  async fn() {
    const executable = await build({ target: TARGET, directory: temp.directory("built"), base: base!.file });
    const command = [QEMU, "-L", LIBRARIES, executable];
    const home = temp.directory("home");
    const { stdout } = await run(["--version"], { command, home });
    assertEquals(stdout, `filesync ${config.version}\n`);
    const source = makeTree(temp.directory("source"), { a: "1", "dir/b": "2".repeat(100_000) });
    const destination = temp.directory("destination");
    await using server = await startServer(destination, { command, home });
    await using watch: Program = startWatch(source, server.url, server.token, { command, home });
    await waitForSameTree(source, destination, 60_000);
    Deno.renameSync(`${source}/dir`, `${source}/renamed`);
    makeTree(source, { c: "3" });
    await waitForSameTree(source, destination, 60_000);
    assertEquals((await watch.stop()).code, 130);
    assertEquals((await server.program.stop()).code, 130);
  },
});
