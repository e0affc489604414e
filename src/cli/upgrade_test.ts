import { assertEquals, assertStringIncludes } from "@std/assert";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { compareVersions, newestIn } from "./upgrade.ts";

const SUM = "a".repeat(64);
const TARGET = Deno.build.target;

function listed(...versions: string[]): string {
  return versions.map((version) => `${SUM}  filesync-${version}-${TARGET}.tar.gz\n`).join("") +
    `${SUM}  filesync-99.0.0-sparc-sun-solaris.tar.gz\nnonsense\n${SUM}  filesync-98.0.0-${TARGET}.zip\n`;
}

Deno.test("compareVersions() counts, and does not spell", () => {
  const sorted = ["0.9.0", "0.10.0", "0.10.1", "1.0.0"];
  assertEquals([...sorted].reverse().sort(compareVersions), sorted);
  assertEquals(compareVersions("1.2.3", "1.2.3"), 0);
});

Deno.test("newestIn() finds the newest archive for a system, whatever else is in the list", () => {
  assertEquals(newestIn(listed("0.9.0", "0.10.0", "0.2.0"), TARGET), {
    version: "0.10.0",
    name: `filesync-0.10.0-${TARGET}.tar.gz`,
    sha256: SUM,
  });
  assertEquals(newestIn(listed(), TARGET), undefined);
});

Deno.test("upgrade --check asks for the list of releases, and says what is in it", async () => {
  using home = new Home();
  const lists: Record<string, string> = {
    "/new/SHA256SUMS": listed("1.10.0"),
    "/old/SHA256SUMS": listed("1.2.3"),
    "/none/SHA256SUMS": listed(),
    "/long/SHA256SUMS": "x".repeat(2 << 20),
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const list = lists[new URL(url).pathname];
    return list === undefined ? new Response("", { status: 404 }) : new Response(list);
  });
  const at = `http://127.0.0.1:${server.addr.port}`;
  const check = (...args: string[]) => home.run("upgrade", "--check", ...args);

  const { code, out } = await check("--releases", `${at}/new/`);
  assertEquals(code, 0);
  assertStringIncludes(out, `1.10.0 is newer: ${at}/new/filesync-1.10.0-${TARGET}.tar.gz\n  SHA-256 ${SUM}`);
  assertStringIncludes((await check("--releases", `${at}/old/SHA256SUMS`)).out, "nothing newer: 1.2.3");
  assertStringIncludes((await check("--releases", `${at}/none/`)).out, "has no release for this system");
  assertStringIncludes((await check()).out, "Name a list of releases with --releases");
  const [answer] = jsonLines((await check("--releases", `${at}/new/`, "--json")).out);
  assertEquals([answer.version, answer.newest, answer.sha256], ["1.2.3", "1.10.0", SUM]);

  const missing = await check("--releases", `${at}/nowhere/`);
  assertEquals([missing.code, missing.err.includes("it answers 404")], [3, true]);
  assertStringIncludes((await check("--releases", `${at}/long/`)).err, "too long for a list");
  assertEquals((await check("--releases", "http://127.0.0.1:1/")).code, 3);
  assertEquals((await check("--releases", "ftp://x/")).code, 2);
  assertEquals((await home.run("upgrade")).code, 2);
});

Deno.test("upgrade --check gives up on who does not answer", async () => {
  using home = new Home();
  const asked = Promise.withResolvers<void>();
  const held = Promise.withResolvers<Response>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    asked.resolve();
    return held.promise;
  });
  const times: number[] = [];
  const clock = {
    now: () => 0,
    sleep: async (ms: number) => {
      times.push(ms);
      await asked.promise;
    },
  };
  const context = home.context();
  Object.assign(context, { clock });
  const { code, err } = await home.runIn(
    context,
    ...["upgrade", "--check", "--releases", `http://127.0.0.1:${server.addr.port}/`],
  );
  held.resolve(new Response(""));
  assertEquals([code, times], [3, [10_000]]);
  assertStringIncludes(err, "did not answer within 10 seconds");
});
