import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { ServiceSpec } from "./manager.ts";
import { systemdTemplate, systemdUnit } from "./systemd_unit.ts";

const SPEC: ServiceSpec = {
  name: "filesync-serve-photos",
  description: 'filesync serve /srv/ann\'s "100%" $HOME\\',
  executable: "/bin/true",
  args: ["serve", `/srv/ann's "100%" $HOME\\`, "--listen=0.0.0.0:7433"],
  scope: "system",
  account: "daemon",
  writes: [`/srv/ann's "100%" $HOME\\`],
  reads: [],
};

const hasAnalyze = await new Deno.Command("systemd-analyze", { args: ["--version"], stdout: "null" }).output()
  .then(({ success }) => success, () => false);
if (!hasAnalyze) {
  Deno.stderr.writeSync(new TextEncoder().encode("units are not analyzed: there is no systemd-analyze\n"));
}

/** What systemd-analyze says of a unit's text; it reads the file, and runs nothing. */
async function analyze(name: string, text: string, ...args: string[]): Promise<string> {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/${name}`, text);
  const { stdout, stderr } = await new Deno.Command("systemd-analyze", {
    args: [...args, `${temp.path}/${name}`],
    env: { LC_ALL: "C" },
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test({
  name: "systemdUnit() shuts a service in to an exposure of 1.5 or less",
  ignore: !hasAnalyze,
  async fn() {
    const units = {
      "serve.service": systemdUnit(SPEC),
      "watch.service": systemdUnit({ ...SPEC, writes: [], reads: ["/home/ann"] }),
      "filesync@x.service": systemdTemplate("/bin/true", "daemon"),
    };
    for (const [name, text] of Object.entries(units)) {
      const said = await analyze(name, text, "security", "--offline=true");
      const score = /exposure level for \S+: ([\d.]+)/.exec(said)?.[1];
      assertLessOrEqual(Number(score ?? NaN), 1.5, said);
    }
  },
});

Deno.test({
  name: "systemdUnit() is understood by systemd, whatever the directory is called",
  ignore: !hasAnalyze,
  async fn() {
    for (const scope of ["system", "user"] as const) {
      const said = await analyze("a.service", systemdUnit({ ...SPEC, scope }), "verify");
      assert(!said.includes("a.service:"), said);
    }
  },
});

Deno.test("systemdUnit() never takes from V8 what it cannot live without, nor /proc/meminfo", () => {
  for (const unit of [systemdUnit(SPEC), systemdTemplate("/bin/true", "root")]) {
    assert(!/MemoryDenyWriteExecute|ProcSubset/.test(unit));
  }
});

Deno.test("systemdUnit() leaves visible what the service works with", () => {
  assertStringIncludes(systemdUnit(SPEC), "ProtectHome=yes");
  assertStringIncludes(systemdUnit({ ...SPEC, reads: ["/home/ann/x"] }), "ProtectHome=read-only");
  assertStringIncludes(systemdUnit({ ...SPEC, executable: "/root/filesync" }), "ProtectHome=read-only");
  assertStringIncludes(systemdUnit({ ...SPEC, writes: ["/tmp/x"] }), "PrivateTmp=no");
  assertStringIncludes(systemdUnit({ ...SPEC, writes: ["/tmpx"] }), "PrivateTmp=yes");
});

Deno.test("systemdUnit() gives capabilities only where they are needed, and then no user namespace", () => {
  const capabilities = (spec: Partial<ServiceSpec>) =>
    /^CapabilityBoundingSet=(.*)\n.*\nPrivateUsers=(.*)$/m.exec(systemdUnit({ ...SPEC, ...spec }))?.slice(1);
  assertEquals(capabilities({}), ["", "yes"]);
  assertEquals(capabilities({ privilegedPort: true }), ["CAP_NET_BIND_SERVICE", "no"]);
  assertEquals(capabilities({ account: "root", writes: [] }), ["CAP_DAC_READ_SEARCH", "no"]);
});

Deno.test("systemdUnit() of a user asks for nothing that needs privileges", () => {
  const unit = systemdUnit({ ...SPEC, scope: "user" });
  assert(!/^(User|Protect|Private|Capability|ReadWrite)/m.test(unit), unit);
  assertStringIncludes(unit, "WantedBy=default.target");
});
