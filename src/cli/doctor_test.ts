import { assert, assertEquals, assertMatch } from "@std/assert";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { serveTree, TOKEN } from "../../tests/support/subjects.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { systemClock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";
import { fromPem } from "../server/der.ts";
import { readOrMakeCertificate } from "../server/certificate.ts";
import { listen } from "../server/listen.ts";
import { pinOf } from "../transport/pinned_fetch.ts";
import type { Check } from "./doctor_check.ts";
import { freeBytes, spaceCheck } from "./doctor_check.ts";
import { watchCheck } from "./doctor_machine.ts";
import { certificateCheck, clockCheck, versionCheck } from "./doctor_server.ts";

/** Runs `doctor`; every check that is not ok names a next step, and text says the same as JSON. */
async function doctor(home: Home, ...args: string[]): Promise<{ code: number; checks: Check[] }> {
  const { code, out, err } = await home.run("doctor", ...args, "--json");
  assertEquals(err, "");
  const checks = jsonLines(out) as unknown as Check[];
  for (const { verdict, detail, next } of checks) {
    assert(detail !== "");
    assertEquals(verdict === "ok", next === undefined, detail);
  }
  assertEquals(code, checks.some(({ verdict }) => verdict === "fail") ? EXIT.problems : EXIT.done);
  const text = await home.run("doctor", ...args);
  assertEquals(text.code, code);
  assertEquals(text.out.match(/^(ok {2}|warn|FAIL) /gm)?.length, checks.length);
  return { code, checks };
}

function verdictOf(checks: Check[], name: string): string | undefined {
  return checks.find((check) => check.name === name)?.verdict;
}

Deno.test("doctor finds a healthy pair healthy, and a damaged state damaged", async () => {
  using home = new Home();
  const source = makeTree(home.directory("source"), { a: "1", d: { e: { f: "2" } } });
  const to = home.directory("destination");
  const state = `${home.path}/state`;
  const before = await doctor(home, source, "--state", state, "--to", to).then(({ checks }) => checks);
  assertEquals(verdictOf(before, "state"), "warn", "there is none yet");
  await home.run("watch", source, "--to", to, "--state", state, "--once", "-q");
  const { code, checks } = await doctor(home, source, "--state", state, "--to", to);
  assertEquals(code, EXIT.done);
  assertEquals(verdictOf(checks, "directory"), "ok");
  assertMatch(checks.find(({ name }) => name === "directory")!.detail, /^3 directories/);
  for (const name of ["state", "destination"]) assertEquals(verdictOf(checks, name), "ok", name);

  const file = Deno.openSync(`${state}/state.db`, { write: true });
  file.seekSync(4_096, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(8_192).fill(0xa5));
  file.close();
  const damaged = await doctor(home, "--state", state);
  assertEquals([damaged.code, verdictOf(damaged.checks, "state")], [EXIT.problems, "fail"]);
  Deno.chmodSync(state, 0o755);
  assertEquals(verdictOf((await doctor(home, "--state", state)).checks, "privacy"), "warn");
  assertEquals((await doctor(home, `${home.path}/missing`)).code, EXIT.problems);
  const there = await doctor(home, "--state", state, "--to", `${home.path}/missing`);
  const missing = there.checks.find(({ name }) => name === "destination");
  assertEquals([missing?.verdict, missing?.detail], [
    "fail",
    `Cannot open "${home.path}/missing": it does not exist`,
  ]);
});

Deno.test("doctor checks the way to a server: version, clock, token", async () => {
  using home = new Home();
  await using served = await serveTree({
    version: "1.2.9",
    gauges: () => [["filesync_free_bytes", "Space.", 5e9]],
  });
  const listener = listen(served.app, { hostname: "127.0.0.1", port: 0, clock: systemClock });
  home.environment.FILESYNC_TOKEN = TOKEN;
  const { code, checks } = await doctor(home, "--to", listener.url);
  assertEquals(code, EXIT.done);
  assertEquals(
    ["server", "clock", "token", "space"].map((name) => verdictOf(checks, name)),
    ["ok", "ok", "ok", "ok"],
  );
  home.environment.FILESYNC_TOKEN = "wrong";
  const refused = await doctor(home, "--to", listener.url);
  assertEquals([refused.code, verdictOf(refused.checks, "token")], [EXIT.problems, "fail"]);
  await listener.close();
  assertEquals(verdictOf((await doctor(home, "--to", listener.url)).checks, "server"), "fail");
  home.environment.FILESYNC_TOKEN = TOKEN;
  const plain = await doctor(home, "--to", "http://server.invalid:1");
  assertEquals(plain.code, EXIT.problems);
});

Deno.test("doctor checks a certificate, and asks for the pin of one that nobody signed", async () => {
  using home = new Home();
  await using served = await serveTree({ version: "1.2.9" });
  const tls = await readOrMakeCertificate(home.path, ["localhost"], systemClock);
  const listener = listen(served.app, { hostname: "127.0.0.1", port: 0, clock: systemClock, tls });
  home.environment.FILESYNC_TOKEN = TOKEN;
  const without = await doctor(home, "--to", listener.url);
  const untrusted = without.checks.find(({ verdict }) => verdict === "fail")!;
  assertMatch(untrusted.next!, /--tls-pin/, JSON.stringify(untrusted));
  const { code, checks } = await doctor(home, "--to", listener.url, "--tls-pin", pinOf(tls.cert));
  assertEquals([code, verdictOf(checks, "token")], [EXIT.done, "ok"]);
  assert(checks.some(({ name, detail }) => name === "certificate" && detail.includes(pinOf(tls.cert))));
  await listener.close();

  const der = fromPem("CERTIFICATE", tls.cert)!;
  const day = 24 * 3_600_000;
  const verdict = (days: number) => certificateCheck(der, systemClock.now() + days * day).verdict;
  assertEquals([verdict(0), verdict(3_640), verdict(3_660), verdict(-10)], ["ok", "warn", "fail", "warn"]);
});

Deno.test("doctor judges watches, space, versions and clocks", () => {
  const verdicts = (checks: Check[]) => checks.map(({ verdict }) => verdict);
  assertEquals(verdicts([10, 850, 1_001].map((needed) => watchCheck(needed, 1_000))), ["ok", "warn", "fail"]);
  assertMatch(watchCheck(600_000, 8_192).next!, /max_user_watches=1200000/);
  assertEquals(verdicts([1e10, 1e9, 1e7].map((free) => spaceCheck("space", free, "here"))), [
    "ok",
    "warn",
    "fail",
  ]);
  assert(freeBytes(".") > 0);
  assertEquals(verdicts(["1.2.0", "1.3.0", "2.2.0"].map((its) => versionCheck("1.2.3", its))), [
    "ok",
    "warn",
    "warn",
  ]);
  assertEquals(verdicts([0, -4_000, 60_000, -86_400_000].map(clockCheck)), ["ok", "ok", "warn", "warn"]);
});

Deno.test("doctor without a directory looks at what the settings file names", async () => {
  using home = new Home();
  const source = makeTree(home.directory("source"), { a: "1" });
  const copies = ["one", "two"].map((name) => home.directory(name));
  const file = `${home.path}/filesync.toml`;
  const table = (dir: string, to: unknown) => `[[watch]]\ndir = "${dir}"\nto = ${JSON.stringify(to)}\n`;
  Deno.writeTextFileSync(file, table(source, copies));
  const good = await doctor(home, "--config", file);
  assertEquals([good.code, verdictOf(good.checks, "directory")], [EXIT.done, "ok"]);
  assertEquals(good.checks.filter(({ name }) => name === "destination").length, 2);
  Deno.writeTextFileSync(file, table(source, copies) + table(`${home.path}/none`, "127.0.0.1:1"));
  const { checks } = await doctor(home, "--config", file);
  assertEquals(checks.filter(({ verdict }) => verdict === "fail").map(({ name }) => name), [
    "directory",
    "server",
  ]);
  Deno.writeTextFileSync(file, table(source, copies) + "limti = 1\n");
  const wrong = await doctor(home, "--config", file);
  assertMatch(
    wrong.checks.find(({ name }) => name === "settings")!.detail,
    /"limti" of \[\[watch\]\] number 1/,
  );
});
