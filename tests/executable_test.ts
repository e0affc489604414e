import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { Buffer } from "node:buffer";
import { checkExecutable, TARGETS } from "../tools/release.ts";
import { build } from "../tools/build.ts";
import { writeBigFile } from "./support/bytes.ts";
import { buildHere, findBase } from "./support/executable.ts";
import { sayNotTested } from "./support/not_tested.ts";
import { Pair, until } from "./support/pair.ts";
import { run } from "./support/program.ts";
import { SyncScene } from "./support/sync_scene.ts";
import { TempDirectory, withTemp } from "./support/temp.ts";
import { makeTree } from "./support/trees.ts";

const built = new TempDirectory("filesync-executable-");
const executable = await buildHere(built.path);
if (executable === undefined) sayNotTested("the executable", "there is no base binary to build it on");

Deno.test.afterAll(() => built[Symbol.dispose]());

/** A test whose programs are the executable, away from this checkout. */
function executableTest(name: string, fn: (executable: string) => Promise<void>) {
  Deno.test({
    name: `the executable ${name}`,
    ignore: executable === undefined,
    async fn() {
      const given = Deno.env.get("FILESYNC_BIN");
      const directory = Deno.cwd();
      Deno.env.set("FILESYNC_BIN", executable!);
      Deno.chdir(built.path);
      try {
        await fn(executable!);
      } finally {
        Deno.chdir(directory);
        if (given === undefined) Deno.env.delete("FILESYNC_BIN");
        else Deno.env.set("FILESYNC_BIN", given);
      }
    },
  });
}

executableTest("needs nothing but itself", (executable) =>
  withTemp(async (dir) => {
    const file = `${dir}/filesync elsewhere`;
    Deno.copyFileSync(executable, file);
    const bare = { command: [file], cwd: dir, env: { PATH: "", DENO_DIR: `${dir}/none` } };
    const version = await run(["--version"], bare);
    assertEquals([version.code, version.stdout, version.stderr], [0, `filesync ${config.version}\n`, ""]);
    const wrong = await run(["wacth"], bare);
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, "Did you mean filesync watch?");
    assertMatch((await run(["watch", "--help"], bare)).stdout, /--to DEST/);
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name), ["filesync elsewhere"]);
  }));

executableTest("serves, watches and tells how things stand", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { a: "1", "dir/b": "2" });
  // Is described by a worker, and watching is the job of another.
  writeBigFile(`${pair.source}/big`, 12 << 20, 1);
  const watch = await pair.watchInStep();
  makeTree(pair.source, { "dir/c": "3" });
  await pair.inStep();
  await until("why says that it is in step", async () => {
    const { json: [why] } = await run(["why", `${pair.source}/dir/c`, "--state", pair.state, "--json"], {
      home: pair.home,
    });
    return why.verdict === "in step";
  });
  assertEquals((await watch.stop()).code, 130);
  assertEquals((await pair.server.program.stop()).code, 130);
});

executableTest("syncs both ways, restores and scans", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, { a: "1", "dir/b": "2" });
  await scene.syncWell();
  makeTree(scene.source, { a: "changed" });
  await scene.syncWell();
  const { home } = scene;
  const restored = await run(["restore", `${scene.source}/a`, "--version", "previous"], { home });
  assertEquals([restored.code, restored.stderr], [0, ""]);
  assertEquals(Deno.readTextFileSync(`${scene.source}/a`), "1");
  await scene.syncWell("--two-way");
  await scene.assertInStep();
  const { code, json } = await run(["scan", scene.source, "--json", "--fingerprint"], { home });
  assertEquals([code, json.find(({ type }) => type === "scanned")?.files], [0, 2]);
});

/** Of the program's own text. */
const BUNDLED = "Push every change of a directory to a server or another directory";

for (const target of Object.keys(TARGETS)) {
  const base = await findBase(target);
  if (base === undefined && target !== Deno.build.target) {
    sayNotTested(`the executable for ${target}`, "there is no base binary to build it on");
  }
  Deno.test({
    name: `the executable for ${target} is one, and holds the program`,
    ignore: base === undefined,
    async fn() {
      using temp = new TempDirectory();
      const program = Deno.readFileSync(await build({ target, directory: temp.path, base: base!.file }));
      checkExecutable(program, target);
      assert(program.length > 50 << 20 && program.length < 200 << 20, `${program.length} bytes`);
      assert(Buffer.from(program.buffer).includes(BUNDLED), "the program is not in it");
    },
  });
}
