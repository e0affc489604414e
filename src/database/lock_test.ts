import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { isLocked, lockState } from "./lock.ts";

function holder(directory: string): Deno.ChildProcess {
  const script = `
    import { isLocked, lockState } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};
    const lock = lockState(${JSON.stringify(directory)}, "it");
    console.log("locked");
    setInterval(() => lock, 1000);`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), { args: ["eval", "--config", config, script], stdout: "piped" })
    .spawn();
}

Deno.test("lockState() names the process that holds it, and is free as soon as that is killed", async () => {
  const temp = Deno.makeTempDirSync();
  const directory = `${temp}/state`;
  const child = holder(directory);
  const reader = child.stdout.getReader();
  await reader.read();
  const error = assertThrows(() => lockState(directory, 'the tree "/srv"'), FilesyncError);
  assertEquals([error.code, error.permanent], ["locked", true]);
  if (Deno.build.os !== "windows") {
    assertEquals(error.message, `Cannot lock the state of the tree "/srv": process ${child.pid} is using it`);
    assertStringIncludes(error.hint!, `Stop process ${child.pid}`);
  }
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  lockState(directory, "it")[Symbol.dispose]();
  Deno.removeSync(temp, { recursive: true });
});

Deno.test("lockState() is exclusive within a process too, and given back when disposed of", () => {
  const directory = Deno.makeTempDirSync();
  {
    using _ = lockState(directory, "it");
    assertThrows(() => lockState(directory, "it"), FilesyncError, `process ${Deno.pid}`);
  }
  lockState(directory, "it")[Symbol.dispose]();
  assertEquals(Deno.readTextFileSync(`${directory}/lock`), `${Deno.pid}\n`);
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("isLocked() tells whether somebody holds the lock, and is in nobody's way", () => {
  const directory = Deno.makeTempDirSync();
  assertEquals(isLocked(directory), undefined);
  const lock = lockState(directory, "it");
  assertEquals(isLocked(directory), true);
  lock[Symbol.dispose]();
  assertEquals([isLocked(directory), isLocked(directory)], [false, false]);
  lockState(directory, "it")[Symbol.dispose]();
  Deno.removeSync(directory, { recursive: true });
});
