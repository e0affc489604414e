import { assert, assertEquals } from "@std/assert";
import { existsSync } from "@std/fs";
import { Program } from "./support/program.ts";
import { randomBytes } from "./support/bytes.ts";
import { hasSshd, NEEDS_SSHD, startSshd } from "./support/sshd.ts";
import { TempDirectory } from "./support/temp.ts";
import { link, makeTree, treeText } from "./support/trees.ts";
import { until } from "./support/pair.ts";

const PATIENCE = 60_000;

const behaviour =
  "watch keeps a directory on an SFTP server in step, also when the server is gone for a while";

Deno.test({
  name: hasSshd() ? behaviour : `${behaviour} (${NEEDS_SSHD})`,
  ignore: !hasSshd(),
  async fn() {
    using temp = new TempDirectory();
    const [source, copy, home] = ["source", "copy", "home"].map((name) => temp.directory(name));
    makeTree(source, { "a.txt": "first", d: { "b.txt": "second", l: link("../a.txt") } });
    Deno.writeFileSync(`${source}/big`, randomBytes(1, 20 << 20));
    const sshd = await startSshd();
    try {
      Deno.writeTextFileSync(`${temp.path}/known_hosts`, sshd.knownHosts);
      const url = `sftp://${sshd.user}@127.0.0.1:${sshd.port}${copy}`;
      const login = ["--ssh-key", sshd.key, "--ssh-known-hosts", `${temp.path}/known_hosts`];
      await using watch = Program.start(["watch", source, "--to", url, ...login, "--json"], { home });
      const inStep = async () => await treeText(copy) === await treeText(source);
      await until("all is there", inStep, PATIENCE);
      assertEquals(Deno.readFileSync(`${copy}/big`), randomBytes(1, 20 << 20));

      const mark = watch.mark();
      await sshd.stop();
      Deno.renameSync(`${source}/d`, `${source}/e`);
      makeTree(source, { "c.txt": "while the server is away" });
      Deno.removeSync(`${source}/a.txt`);
      await watch.event("connection", { state: "offline" }, PATIENCE, mark);
      assert(existsSync(`${copy}/d/b.txt`));
      await sshd.start();
      await until("all that was changed is there", inStep, PATIENCE);
      assertEquals((await watch.stop()).code, 130);
      assertEquals([...Deno.readDirSync(`${copy}/.filesync/tmp`)], []);
    } finally {
      await sshd[Symbol.asyncDispose]();
    }
  },
});
