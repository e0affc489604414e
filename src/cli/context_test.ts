import { assert, assertEquals } from "@std/assert";

/** Runs a program that has a context of its own, in a pipe. */
function start(body: string): Deno.ChildProcess {
  const module = new URL("./context.ts", import.meta.url).href;
  const program = `import { systemContext } from ${JSON.stringify(module)};
const context = systemContext("1.2.3");
${body}`;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", `data:application/typescript,${encodeURIComponent(program)}`],
    cwd: new URL(".", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Resolves with the reader once the program has printed a line. */
async function firstLine(child: Deno.ChildProcess): Promise<string> {
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}

Deno.test("systemContext() knows that a pipe is no terminal", async () => {
  const child = start(`{
    using own = context;
    own.stdout.write(JSON.stringify([own.isTerminal, own.colors, own.columns(), own.version]));
    own.stderr.write("é".repeat(200_000));
  }`);
  const { stdout, stderr, code } = await child.output();
  assertEquals(new TextDecoder().decode(stdout), '[false,false,80,"1.2.3"]');
  assertEquals(stderr.length, 400_000);
  // Disposed of, the signal handlers do not keep the program alive.
  assertEquals(code, 0);
});

/** Whether there is a Python, which makes pipes that do not block. */
const hasPython = await new Deno.Command("python3", { args: ["--version"], stdout: "null", stderr: "null" })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name: "systemContext() waits for a pipe that is full, also when it was set not to block",
  ignore: Deno.build.os === "windows" || !hasPython,
  async fn() {
    const module = new URL("./context.ts", import.meta.url).href;
    const program = `import { systemContext } from ${JSON.stringify(module)};
      using context = systemContext("1.2.3");
      context.stdout.write("x".repeat(300_000));`;
    const url = `data:application/typescript,${encodeURIComponent(program)}`;
    // Reads only when the pipe has been full for a while.
    const script = `import os, subprocess, sys, time
r, w = os.pipe()
os.set_blocking(w, False)
child = subprocess.Popen(sys.argv[1:], stdout=w)
os.close(w)
size = 0
os.read(r, 1)
time.sleep(0.2)
for data in iter(lambda: os.read(r, 65536), b""): size += len(data)
print(1 + size, child.wait())`;
    const { stdout } = await new Deno.Command("python3", {
      args: ["-c", script, Deno.execPath(), "run", "-A", "--quiet", url],
      cwd: new URL(".", import.meta.url),
      stdin: "null",
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "300000 0\n");
  },
});

/** Whether util-linux's `script`, which gives a program a terminal, is there. */
const hasScript = await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name: "systemContext() wants colours at a terminal only, and none with NO_COLOR or a dumb one",
  ignore: Deno.build.os !== "linux" || !hasScript,
  async fn() {
    async function isColoured(env: Record<string, string>, redirection = ""): Promise<boolean> {
      const main = new URL("../../main.ts", import.meta.url).pathname;
      const { stdout } = await new Deno.Command("script", {
        args: ["-qec", `'${Deno.execPath()}' run -A '${main}' --help ${redirection}`, "/dev/null"],
        env: { TERM: "xterm", NO_COLOR: "", ...env },
        stdin: "null",
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert(text.includes("Usage:"), text);
      return text.includes("\x1b[");
    }
    assert(await isColoured({}));
    assert(!await isColoured({ NO_COLOR: "1" }));
    assert(!await isColoured({ TERM: "dumb" }));
    // Whatever goes to a pipe, and whatever stands beside it.
    assert(!await isColoured({}, "| cat"));
  },
});

Deno.test("systemContext() drops what nobody reads any more", async () => {
  const child = start(`
    context.stdout.write("ready\\n");
    for (let i = 0; i < 100; i++) {
      await null;
      context.stdout.write("x".repeat(10_000) + "\\n");
    }
    context.stderr.write("still here");
    await null;
    Deno.exit(7);`);
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const stderr = await new Response(child.stderr).text();
  assertEquals([stderr, (await child.status).code], ["still here", 7]);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test({
    name: `systemContext() aborts at the first ${signal} and ends at the second`,
    ignore: Deno.build.os === "windows",
    async fn() {
      const child = start(`
        context.signal.addEventListener("abort", () => context.stdout.write("aborted\\n"));
        setInterval(() => {}, 1000);
        context.stdout.write("ready\\n");`);
      assertEquals(await firstLine(child), "ready\n");
      child.kill(signal);
      assertEquals(await firstLine(child), "aborted\n");
      child.kill(signal);
      const { code, signal: killedBy } = await child.status;
      assertEquals([code, killedBy], [130, null]);
      await child.stdout.cancel();
      assertEquals(await new Response(child.stderr).text(), "");
    },
  });
}
