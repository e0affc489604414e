/**
 * Services as systemd really runs them: the units that `filesync service install` writes, in a user's systemd
 * that can reach nothing of this machine.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { writeBigFile } from "./support/bytes.ts";
import { buildHere } from "./support/executable.ts";
import { sayNotTested } from "./support/not_tested.ts";
import { IsolatedSystemd } from "./support/isolated_systemd.ts";
import { until } from "./support/pair.ts";
import { TempDirectory } from "./support/temp.ts";
import { makeTree, waitForSameTree } from "./support/trees.ts";

const built = new TempDirectory("filesync-systemd-");
const executable = Deno.build.os === "linux" ? await buildHere(built.path) : undefined;
const missing = executable === undefined
  ? "there is no base binary to build the executable on"
  : await whyNotIsolated();
if (missing !== undefined) sayNotTested("services of a real systemd", missing);

Deno.test.afterAll(() => built[Symbol.dispose]());

/** Why systemd cannot be run apart from the machine; `undefined` when it can. */
async function whyNotIsolated(): Promise<string | undefined> {
  try {
    await using _systemd = await IsolatedSystemd.start();
  } catch (error) {
    return (error as Error).message;
  }
}

/** An address of this machine that nobody uses; of a range that the system does not give away by itself. */
function freeAddress(): string {
  for (;;) {
    const address = { hostname: "127.0.0.1", port: 20_000 + Math.floor(Math.random() * 10_000) };
    try {
      Deno.listen(address).close();
      return `${address.hostname}:${address.port}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** As nobody should call a directory. */
const ODD = `it's "100%" $HOME`;

/** The directory as a word of a shell. */
const QUOTED = `'${`/scratch/${ODD}`.replaceAll("'", `'\\''`)}'`;

/** The program, and directories, in the isolated place. */
class Scene implements AsyncDisposable {
  readonly tree: string;
  readonly copy: string;

  private constructor(readonly systemd: IsolatedSystemd) {
    Deno.copyFileSync(executable!, `${systemd.scratch}/filesync`);
    this.tree = makeTree(`${systemd.scratch}/${ODD}`, { a: "1", "dir/b": "2" });
    this.copy = `${systemd.scratch}/copy`;
    Deno.mkdirSync(this.copy);
  }

  static async start(): Promise<Scene> {
    return new Scene(await IsolatedSystemd.start());
  }

  /** Runs `filesync service …`. */
  service(line: string): Promise<string> {
    return this.systemd.succeed(`/scratch/filesync service --scope user ${line}`);
  }

  /** Adds settings to the unit of a service. */
  async adjust(name: string, ...settings: string[]): Promise<void> {
    const directory = `${this.systemd.scratch}/home/.config/systemd/user/${name}.service.d`;
    Deno.mkdirSync(directory, { recursive: true });
    const lines = [
      "[Service]",
      `StandardOutput=append:/scratch/${name}.log`,
      "RestartSec=100ms",
      ...settings,
    ];
    Deno.writeTextFileSync(`${directory}/test.conf`, `${lines.join("\n")}\n`);
    await this.systemd.succeed("systemctl --user daemon-reload");
  }

  /** What systemd knows of a service. */
  async show(name: string): Promise<Record<string, string>> {
    const properties = "ActiveState,MainPID,NRestarts,Result,ExecMainStatus,StatusText";
    const out = await this.systemd.succeed(`systemctl --user show -p ${properties} ${name}`);
    return Object.fromEntries(out.trim().split("\n").map((line) => line.split(/=(.*)/s)));
  }

  /** Waits until a service runs in another process than `pid`. */
  async runsAnew(name: string, pid: string): Promise<string> {
    let shown: Record<string, string> = {};
    await until(`${name} runs anew`, async () => {
      shown = await this.show(name);
      return shown.ActiveState === "active" && shown.MainPID !== pid && shown.MainPID !== "0";
    });
    return shown.MainPID;
  }

  /** What a service printed. */
  output(name: string): Record<string, unknown>[] {
    const lines = Deno.readTextFileSync(`${this.systemd.scratch}/${name}.log`).trim().split("\n");
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.systemd[Symbol.asyncDispose]();
  }
}

Deno.test({
  name: "systemd runs serve and watch, starts them again, reloads and stops them",
  ignore: missing !== undefined,
  async fn(t) {
    await using scene = await Scene.start();
    const { systemd } = scene;
    const serve = "filesync-serve-copy";
    const watch = "filesync-watch-odd";
    const address = freeAddress();

    await t.step("installed and started, they are in step", async () => {
      await scene.service(`install serve /scratch/copy --listen ${address} --json`);
      await scene.adjust(serve);
      await scene.service(`start ${serve}`);
      assertEquals((await scene.show(serve)).ActiveState, "active");
      await scene.service(`install --name watch-odd watch ${QUOTED} --to http://${address} --json`);
      await scene.adjust(watch);
      await scene.service(`start ${watch}`);
      await waitForSameTree(scene.tree, scene.copy, 60_000);
      await until(
        "systemd knows that it is in step",
        async () => (await scene.show(watch)).StatusText.startsWith("in step"),
      );
      const status = JSON.parse(await scene.service(`status --json ${watch}`));
      assertEquals([status.state, status.restarts], ["running", undefined]);
    });

    await t.step("killed, they are started again", async () => {
      for (const name of [serve, watch]) {
        const { MainPID } = await scene.show(name);
        await systemd.succeed(`kill -9 ${MainPID}`);
        await scene.runsAnew(name, MainPID);
        assertEquals((await scene.show(name)).NRestarts, "1");
      }
      makeTree(scene.tree, { c: "3" });
      await waitForSameTree(scene.tree, scene.copy, 60_000);
    });

    await t.step("one that hangs is killed by the watchdog, and started again", async () => {
      await scene.adjust(watch, "WatchdogSec=2s");
      await systemd.succeed(`systemctl --user restart ${watch}`);
      const { MainPID } = await scene.show(watch);
      const fed = new Set<string>();
      await until("it has told twice that it is well", async () => {
        fed.add(await systemd.succeed(`systemctl --user show -p WatchdogTimestampMonotonic ${watch}`));
        return fed.size > 3;
      });
      assertEquals((await scene.show(watch)).MainPID, MainPID);
      await systemd.succeed(`kill -STOP ${MainPID}`);
      await scene.runsAnew(watch, MainPID);
      await scene.adjust(watch);
      await systemd.succeed(`systemctl --user restart ${watch}`);
    });

    await t.step("reloading goes on in the same process", async () => {
      const { MainPID } = await scene.show(serve);
      const reloads = () => scene.output(serve).filter(({ type, done }) => type === "reload" && done).length;
      await systemd.succeed(`systemctl --user reload ${serve}`);
      await until("the settings were read again", () => reloads() === 1);
      await until("it is active", async () => (await scene.show(serve)).ActiveState === "active");
      assertEquals((await scene.show(serve)).MainPID, MainPID);
    });

    await t.step("stopped in the middle of a file, they end soon, and go on there", async () => {
      await scene.service(
        `install --name watch-odd watch ${QUOTED} --to http://${address} --json --limit 1M`,
      );
      writeBigFile(`${scene.tree}/big`, 24 << 20, 1);
      const isSending = () =>
        scene.output(watch).some(({ type, totalBytes, doneItems, totalItems }) =>
          type === "progress" && Number(totalBytes) >= 24 << 20 && Number(doneItems) < Number(totalItems)
        );
      await until("it is under way", isSending);
      for (const name of [watch, serve]) {
        await scene.service(`stop ${name}`);
        const { ActiveState, Result, ExecMainStatus } = await scene.show(name);
        assertEquals([name, ActiveState, Result, ExecMainStatus], [name, "inactive", "success", "130"]);
      }
      assertEquals(scene.output(watch).at(-1)?.type, "totals");
      assertEquals(existsSync(`${scene.copy}/big`), false);
      await scene.service(`install --name watch-odd watch ${QUOTED} --to http://${address} --json`);
      for (const name of [serve, watch]) await scene.service(`start ${name}`);
      await waitForSameTree(scene.tree, scene.copy, 60_000);
      for (const name of [watch, serve]) await scene.service(`stop ${name}`);
    });

    await t.step("a line that is wrong is not tried again", async () => {
      await scene.adjust(watch, "ExecStart=", "ExecStart=/scratch/filesync watch --nonsense");
      assertNotEquals((await systemd.sh(`systemctl --user start ${watch}`)).code, 0);
      const { ActiveState, NRestarts, ExecMainStatus } = await scene.show(watch);
      assertEquals([ActiveState, NRestarts, ExecMainStatus], ["failed", "0", "2"]);
    });

    await t.step("a sync that goes on can be one", async () => {
      const name = "filesync-sync-odd";
      await scene.service(`install --name sync-odd --now sync ${QUOTED} /scratch/backup --interval 1s`);
      await waitForSameTree(scene.tree, `${systemd.scratch}/backup`, 60_000);
      makeTree(scene.tree, { d: "4" });
      await waitForSameTree(scene.tree, `${systemd.scratch}/backup`, 60_000);
      await scene.service(`stop ${name}`);
      assertEquals((await scene.show(name)).Result, "success");
      await scene.service(`uninstall ${name}`);
    });

    await t.step("uninstalled, nothing of them is left", async () => {
      for (const name of [watch, serve]) {
        Deno.removeSync(`${systemd.scratch}/home/.config/systemd/user/${name}.service.d`, {
          recursive: true,
        });
        await scene.service(`uninstall ${name}`);
      }
      assertStringIncludes(await scene.service("status"), "There is no service of the user");
      assertStringIncludes((await systemd.sh(`systemctl --user cat ${serve}`)).out, "No files found");
    });
  },
});

Deno.test({
  name: "systemd runs a server shut in as far as a unit of the system shuts it in",
  ignore: missing !== undefined,
  async fn() {
    await using scene = await Scene.start();
    const { systemd } = scene;
    const name = "filesync-serve-copy";
    const address = freeAddress();
    const line = `serve /scratch/copy --listen ${address} --json`;
    const unit = `/scratch/home/.config/systemd/user/${name}.service`;
    Deno.chownSync(scene.copy, 65534, 65534);
    await systemd.succeed(
      `/scratch/filesync service print --scope system --user nobody ${line} 2>/dev/null > ${unit}`,
    );
    await scene.adjust(name);
    // The socket to tell a user's systemd is for that user; the system's is for everybody.
    await systemd.succeed("chmod -R a+rwX /run/manager/systemd");
    await systemd.succeed(`systemctl --user start ${name}`);
    const { MainPID } = await scene.show(name);
    await systemd.succeed(
      `/scratch/filesync watch ${QUOTED} --to http://${address} --once --quiet`,
    );
    await waitForSameTree(scene.tree, scene.copy, 10_000);
    const status = await systemd.succeed(`cat /proc/${MainPID}/status`);
    assertMatch(status, /^Uid:\t65534\t/m);
    assertMatch(status, /^CapBnd:\t0+$/m);
    assertMatch(status, /^NoNewPrivs:\t1$/m);
    assertMatch(status, /^Seccomp:\t2$/m);
    const mounts = await systemd.succeed(`cat /proc/${MainPID}/mountinfo`);
    assertMatch(mounts, / \/scratch ro,/);
    assertMatch(mounts, / \/scratch\/copy rw,/);
    await systemd.succeed(`systemctl --user stop ${name}`);
    assertEquals(scene.output(name).at(-1)?.type, "received");
  },
});

Deno.test({
  name: "systemd runs a directory that an instance of the template is named for",
  ignore: missing !== undefined,
  async fn() {
    await using scene = await Scene.start();
    const { systemd } = scene;
    const unit = "/scratch/home/.config/systemd/user/filesync@.service";
    const address = freeAddress();
    await systemd.succeed(`/scratch/filesync service print --scope system --template 2>/dev/null > ${unit}`);
    await systemd.succeed(`mv /scratch/copy "/scratch/c'o py"`);
    await systemd.succeed(`systemctl --user set-environment FILESYNC_LISTEN=${address}`);
    await systemd.succeed(`systemctl --user daemon-reload`);
    await systemd.succeed(`systemctl --user start "filesync@$(systemd-escape -p "/scratch/c'o py").service"`);
    await systemd.succeed(
      `/scratch/filesync watch ${QUOTED} --to http://${address} --once --quiet`,
    );
    await waitForSameTree(scene.tree, `${systemd.scratch}/c'o py`, 10_000);
  },
});
