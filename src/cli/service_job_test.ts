import { assertEquals, assertRejects } from "@std/assert";
import { Home } from "../../tests/support/run_command.ts";
import { FilesyncError } from "../core/errors.ts";
import { COMMANDS } from "./commands.ts";
import { type JobPlace, readJob } from "./service_job.ts";

const place: JobPlace = { scope: "user", executable: "/bin/filesync", isHere: true, tokenOf: () => "/token" };

function jobOf(home: Home, ...words: string[]) {
  return readJob(words, COMMANDS, home.context(), place);
}

Deno.test("readJob() writes out every destination of a line", async () => {
  using home = new Home();
  const [source, copy] = ["source", "copy"].map((name) => home.directory(name));
  const spec = await jobOf(home, "watch", source, "--to", copy, "--to", "backup.lan");
  assertEquals(spec.args, ["watch", source, `--to=${copy}`, "--to=backup.lan"]);
  assertEquals([spec.reads, spec.writes], [[source], [copy]]);
  assertEquals(spec.description, `filesync watch ${source} to ${copy}, backup.lan`);
});

Deno.test("readJob() leaves to the settings file what its tables say", async () => {
  using home = new Home();
  const [one, two, copy] = ["one", "two", "copy"].map((name) => home.directory(name));
  const file = `${home.path}/filesync.toml`;
  const text = `[[watch]]\ndir = "${one}"\nto = "${copy}"\nlimit = "1M"\n` +
    `[[watch]]\ndir = "${two}"\nto = "backup.lan"\ntoken-file = "${copy}/token"\n`;
  Deno.writeTextFileSync(file, `${text}[logging]\nlevel = "warning"\n`);
  home.environment.FILESYNC_CONFIG = file;
  const spec = await jobOf(home, "watch", "--ignore", "*.o");
  assertEquals(spec.name, "filesync-watch");
  assertEquals(spec.args, ["watch", "--ignore=*.o", `--config=${file}`]);
  assertEquals(spec.reads, [one, two, file, `${copy}/token`]);
  assertEquals([spec.writes, spec.belongsTo, spec.description], [[copy], file, "filesync watch"]);
  const single = await jobOf(home, "watch", two);
  assertEquals([single.name, single.args], ["filesync-watch-two", ["watch", two, `--config=${file}`]]);
  assertEquals(single.writes, []);
});

Deno.test("readJob() wants to know what is to be watched", async () => {
  using home = new Home();
  await assertRejects(() => jobOf(home, "watch"), FilesyncError, "<dir> is missing");
});
