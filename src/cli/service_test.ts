import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { Home, jsonLines, type Outcome } from "../../tests/support/run_command.ts";
import { systemdWords } from "../../tests/support/systemd_words.ts";
import type { CommandOutput, Words } from "../service/manager.ts";
import type { CommandEntry } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { main } from "./main.ts";
import { serviceCommand } from "./service.ts";

/** A directory as nobody should call one. */
const ODD = `it's "100%" $HOME`;

/** Does what systemctl says it does, and keeps what it was told. */
class FakeSystemd {
  readonly calls: string[] = [];
  readonly running = new Set<string>();
  /** What `start` answers in place of starting. */
  fault: string | undefined;

  readonly run = ([command, ...words]: Words): Promise<CommandOutput> => {
    this.calls.push([command, ...words].join(" "));
    const answer = (stdout: string, stderr = "") => ({ code: stderr === "" ? 0 : 1, stdout, stderr });
    if (command === "journalctl") return Promise.resolve(answer("10:00 began\n10:01 goes on\n"));
    if (command === "id") return Promise.resolve(answer("ann\n"));
    const [verb, ...rest] = words.filter((word) => word !== "--user" && word !== "--now");
    const unit = rest.at(-1)!;
    if (verb === "start" && this.fault !== undefined) return Promise.resolve(answer("", this.fault));
    if (verb === "start") this.running.add(unit);
    if (verb === "stop" || verb === "disable") this.running.delete(unit);
    if (verb !== "show") return Promise.resolve(answer(""));
    const isRunning = this.running.has(unit);
    return Promise.resolve(answer(
      `LoadState=loaded\nActiveState=${isRunning ? "active" : "inactive"}\nMainPID=${isRunning ? 42 : 0}\n` +
        `StatusText=${isRunning ? "in step: 3 done" : ""}\nNRestarts=${isRunning ? 2 : 0}\nResult=success\n`,
    ));
  };
}

/** A home whose services a fake systemd runs. */
class Scene implements Disposable {
  readonly home = new Home();
  readonly systemd = new FakeSystemd();
  readonly tree = this.home.directory(ODD);
  readonly units = `${this.home.environment.HOME}/.config/systemd/user`;
  executable: string | undefined = `/opt/${ODD}/filesync`;

  async run(...args: string[]): Promise<Outcome> {
    const context = this.home.context({ executable: this.executable });
    const table: CommandEntry[] = [
      ...COMMANDS.filter(({ name }) => name !== "service"),
      { name: "service", summary: "Services", ...serviceCommand(COMMANDS, this.systemd.run) },
    ];
    const code = await main(["service", ...args], table, context);
    return { code, out: context.printed, err: context.complained };
  }

  /** As of a user, wherever the test runs. */
  user(action: string, ...words: string[]): Promise<Outcome> {
    return this.run(action, "--scope", "user", ...words);
  }

  unit(name: string): string {
    return Deno.readTextFileSync(`${this.units}/${name}.service`);
  }

  [Symbol.dispose](): void {
    this.home[Symbol.dispose]();
  }
}

/** The words that a unit starts. */
function started(unit: string): string[] {
  return systemdWords(/^ExecStart=:(.*)$/m.exec(unit)![1]);
}

const NAME = "filesync-serve-it-s-100-HOME";

/** Where there is systemd, as far as paths go. */
function linuxTest(name: string, fn: (scene: Scene) => Promise<void>) {
  Deno.test({
    name,
    ignore: Deno.build.os !== "linux",
    async fn() {
      using scene = new Scene();
      await fn(scene);
    },
  });
}

linuxTest(
  "service install writes a unit, enables it, and changes nothing the second time",
  async (scene) => {
    const first = await scene.user("install", "serve", scene.tree, "--listen", "0.0.0.0:7433");
    assertEquals([first.code, first.err], [0, ""]);
    assertStringIncludes(first.out, `Next: filesync service start ${NAME}`);
    const unit = scene.unit(NAME);
    assertEquals(started(unit), [scene.executable!, "serve", scene.tree, "--listen=0.0.0.0:7433"]);
    assertEquals(scene.systemd.calls, [
      "systemctl --user daemon-reload",
      `systemctl --user enable ${NAME}.service`,
      `systemctl --user try-restart ${NAME}.service`,
    ]);
    const again = await scene.user("install", "serve", scene.tree, "--listen", "0.0.0.0:7433");
    assertMatch(again.out, /is as it should be/);
    assertEquals(scene.unit(NAME), unit);
    await scene.user("install", "serve", scene.tree, "--listen", "0.0.0.0:7434");
    assertStringIncludes(scene.unit(NAME), "--listen=0.0.0.0:7434");
  },
);

linuxTest("service start, status, stop and uninstall do what they say", async (scene) => {
  await scene.user("install", "serve", scene.tree);
  const { calls, running } = scene.systemd;
  calls.length = 0;
  assertStringIncludes((await scene.user("status")).out, `${NAME}: stopped`);
  assertEquals((await scene.user("start", NAME)).out.split("\n")[0], `${NAME} is started`);
  assertEquals([...running], [`${NAME}.service`]);
  const { out } = await scene.user("status", "serve", scene.tree);
  assertStringIncludes(out, `${NAME}: running (process 42, started again 2 times)\n  in step: 3 done\n`);
  assertStringIncludes(out, "10:01 goes on");
  const [status] = jsonLines((await scene.user("status", "--json")).out);
  assertEquals(
    [status.type, status.action, status.name, status.state, status.pid],
    ["service", "status", NAME, "running", 42],
  );
  // By the line that it was installed with, and by a part of its name.
  assertEquals((await scene.user("stop", "serve", scene.tree)).code, 0);
  assertEquals([...running], []);
  assertEquals((await scene.user("start", "serve-it-s-100-HOME.service")).code, 0);
  assertEquals((await scene.user("uninstall")).code, 0);
  assertEquals([...running], []);
  assert(calls.includes(`systemctl --user disable --now ${NAME}.service`));
  assertEquals(calls.at(-1), "systemctl --user daemon-reload");
  assertEquals([...Deno.readDirSync(scene.units)], []);
  assertStringIncludes((await scene.user("status")).out, "There is no service of the user");
});

linuxTest("service keeps a token out of the unit, and takes it away again", async (scene) => {
  scene.home.environment.FILESYNC_TOKEN = "topsecrettoken";
  const { out } = await scene.user("install", "watch", scene.tree, "--to", "https://backup.example:7433");
  assert(!out.includes("topsecret"));
  const name = NAME.replace("serve", "watch");
  const token = `${scene.home.environment.HOME}/.config/filesync/${name}.token`;
  assertEquals(Deno.readTextFileSync(token), "topsecrettoken\n");
  assertEquals(Deno.statSync(token).mode! & 0o777, 0o600);
  assertEquals(started(scene.unit(name)).slice(1), [
    "watch",
    scene.tree,
    "--to=https://backup.example:7433",
    `--token-file=${token}`,
  ]);
  await scene.user("uninstall", name);
  assertEquals(existsSync(token), false);
});

linuxTest("service never touches what is not its own", async (scene) => {
  Deno.mkdirSync(scene.units, { recursive: true });
  const path = `${scene.units}/${NAME}.service`;
  Deno.writeTextFileSync(path, "[Service]\nExecStart=/bin/true\n");
  const { code, err } = await scene.user("install", "serve", scene.tree);
  assertEquals(code, 1);
  assertStringIncludes(err, "it is there already, and is of another service");
  assertEquals(Deno.readTextFileSync(path), "[Service]\nExecStart=/bin/true\n");
  for (const action of ["start", "stop", "uninstall"]) {
    const { code, err } = await scene.user(action, "sshd");
    assertEquals(code, 1);
    assertStringIncludes(err, "the user has no such service");
  }
  assertEquals(scene.systemd.calls, []);
});

linuxTest("service tells what systemd complained of", async (scene) => {
  scene.systemd.fault = "Job for x failed.\nSee journalctl.\n";
  const { code, err } = await scene.user("install", "--now", "serve", scene.tree);
  assertEquals(code, 1);
  assertStringIncludes(
    err,
    `Cannot run systemctl --user start ${NAME}.service: Job for x failed.; See journalctl.`,
  );
});

linuxTest("service install takes a sync that goes on, and no other", async (scene) => {
  const backup = `${scene.home.directory("disk")}/${ODD}`;
  const once = await scene.user("install", "sync", scene.tree, backup);
  assertEquals(once.code, 2);
  assertStringIncludes(once.err, "Add --watch, or how often it shall be done");
  assertEquals((await scene.user("install", "sync", scene.tree, backup, "--interval", "1h")).code, 0);
  const unit = scene.unit(NAME.replace("serve", "sync"));
  assertEquals(started(unit).slice(1), ["sync", scene.tree, backup, "--interval=1h"]);
  // It does not know SIGHUP, which would end it.
  assert(!unit.includes("ExecReload"));
  assertEquals((await scene.user("uninstall", "sync", scene.tree)).code, 0);
});

linuxTest("service print shows a system's sync, which may write what it makes anew", async (scene) => {
  const disk = scene.home.directory("disk");
  const line = ["sync", scene.tree, `${disk}/copy`, "--watch", "--two-way"];
  const { code, out, err } = await scene.run("print", "--scope", "system", ...line);
  assertEquals(code, 0, err);
  const writes = systemdWords(/^ReadWritePaths=(.*)$/m.exec(out)![1]);
  assertEquals(writes, [scene.tree, disk]);
  assertEquals(started(out).slice(1), [
    ...["sync", scene.tree, `${disk}/copy`, "--two-way", "--watch"],
    "--state=/var/lib/filesync/filesync-sync-it-s-100-HOME",
  ]);
  assertStringIncludes(out, "User=ann");
  assertEquals(scene.systemd.calls.filter((call) => call.startsWith("systemctl")), []);
});

linuxTest("service print shows what launchd, Windows and WinSW would be told", async (scene) => {
  const line = ["watch", "/srv/a b", "--to", "https://x.example"];
  const mac = await scene.run("print", "--platform", "macos", ...line);
  assertStringIncludes(mac.out, "<string>/srv/a b</string>");
  const windows = await scene.run(
    "print",
    "--platform",
    "windows",
    "watch",
    "C:\\a b",
    "--to=https://x.example",
  );
  assertStringIncludes(windows.out, 'watch \\"C:\\a b\\" --to=https://x.example');
  const winsw = ["--platform", "windows", "--format", "winsw", "watch", "C:\\a b", "--to=https://x.example"];
  assertStringIncludes((await scene.run("print", ...winsw)).out, "<id>filesync-watch-a-b</id>");
});

linuxTest("service says what is wrong with a line", async (scene) => {
  const cases: [words: string[], complaint: string][] = [
    [["instal"], "Did you mean install?"],
    [["install", "status"], "no command that keeps running"],
    [["install", "watch", scene.tree], "--to"],
    [["install", "watch", scene.tree, "--to", "x.example", "--once"], "--once is for a single run"],
    [["install", "--scope", "usr", "serve", scene.tree], "Did you mean user? Write system or user\n"],
    [
      ["print", "--format", "x", "serve", scene.tree],
      'use "x" for --format: there is no such format\n  Write winsw',
    ],
    [["print"], "Cannot make a service: what it shall run is missing\n  Give a command line"],
    [["x"], 'Cannot run filesync service "x": there is no such action\n'],
    [["install", "--name", "a b", "serve", scene.tree], "names are of letters"],
    [["start"], "None is installed"],
  ];
  for (const [words, complaint] of cases) {
    const { code, err } = await scene.run(...words);
    assertEquals([words, code], [words, 2]);
    assertStringIncludes(err, complaint);
  }
  scene.executable = undefined;
  const { code, err } = await scene.user("install", "serve", scene.tree);
  assertEquals(code, 1);
  assertStringIncludes(err, "this is filesync run from its source");
});
