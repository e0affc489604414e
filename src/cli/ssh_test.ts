import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Home } from "../../tests/support/run_command.ts";
import { hasSshd, NEEDS_SSHD, type Sshd, startSshd } from "../../tests/support/sshd.ts";
import { link, makeTree, treeText } from "../../tests/support/trees.ts";
import { EXIT, FilesyncError } from "../core/errors.ts";
import type { Invocation } from "./command.ts";
import { parseSftp, sftpName, sshTarget } from "./ssh.ts";

Deno.test("parseSftp() understands URLs, and sftpName() writes them", () => {
  const place = { kind: "sftp" as const, host: "box.example" };
  assertEquals(parseSftp("sftp://box.example/srv/a"), { ...place, path: "/srv/a" });
  assertEquals(parseSftp("SFTP://me@Box.example:22/srv/a/"), {
    ...place,
    user: "me",
    port: 22,
    path: "/srv/a",
  });
  assertEquals(parseSftp("sftp://me@box.example:2222/~/a%20b"), {
    ...place,
    user: "me",
    port: 2222,
    path: "~/a b",
  });
  assertEquals(parseSftp("sftp://[::1]/a").host, "::1");
  const names = [
    "sftp://box.example/srv/a",
    "sftp://me@box.example:2222/~/a%20b",
    "sftp://[::1]/a%23b/~x",
    "sftp://d%40x@h/a",
  ];
  assertEquals(names.map((name) => sftpName(parseSftp(name))), names);
});

Deno.test("parseSftp() refuses what names no directory, and passwords without repeating them", () => {
  const faults: [string, string][] = [
    ["sftp://", "it is not a URL"],
    ["sftp://host", "it names no directory"],
    ["sftp://host/", "it names no directory"],
    ["sftp://host/~/", "it names no directory"],
    ["sftp://host/a?b", "it has a ? or a #"],
    ["sftp://me:secret@host/a", "a URL must not hold a password"],
  ];
  for (const [text, reason] of faults) {
    const error = assertThrows(() => parseSftp(text), FilesyncError, reason);
    assertEquals(error.code, "usage");
    assertEquals(error.message.includes("secret"), false);
  }
});

/** What `--ssh-…` say. */
function flags(values: Record<string, string> = {}): Invocation {
  return {
    arguments: [],
    tables: [],
    file: {},
    settings: new Map(),
    flag: (name) => values[name],
    flags: () => [],
    has: (name) => name in values,
  };
}

Deno.test("sshTarget() takes agent, keys and password in that order, or only the key that is named", () => {
  using home = new Home();
  const own = `${home.environment.HOME}/.ssh`;
  Deno.mkdirSync(own);
  for (const name of ["id_rsa", "id_ed25519", "other"]) Deno.writeTextFileSync(`${own}/${name}`, name);
  Deno.writeTextFileSync(`${own}/known_hosts`, "known");
  Object.assign(home.environment, {
    SSH_AUTH_SOCK: "/agent",
    FILESYNC_SSH_PASSWORD: "p",
    FILESYNC_SSH_PASSPHRASE: "q",
    USER: "u",
  });
  const place = parseSftp("sftp://h/a");
  const all = sshTarget(place, flags(), home.context());
  const key = (name: string, text = name) => ({ kind: "key", name, text, passphrase: "q" });
  assertEquals(all.credentials() as unknown[], [
    { kind: "agent", socket: "/agent" },
    key(`${own}/id_ed25519`, "id_ed25519"),
    key(`${own}/id_rsa`, "id_rsa"),
    { kind: "password", password: "p" },
  ]);
  assertEquals([all.user, all.acceptNew], ["u", false]);
  assertStringIncludes(all.knownHosts(), "known");
  all.remember("line\n");
  assertEquals(Deno.readTextFileSync(`${own}/known_hosts`), "known\nline\n");

  delete home.environment.FILESYNC_SSH_PASSWORD;
  const file = `${home.path}/new/known_hosts`;
  const named = sshTarget(
    parseSftp("sftp://me@h/a"),
    flags({ "ssh-key": `${own}/other`, "ssh-known-hosts": file, "ssh-accept-new": "true" }),
    home.context(),
  );
  assertEquals(named.credentials() as unknown[], [key(`${own}/other`, "other")]);
  assertEquals([named.user, named.acceptNew, named.knownHosts()], ["me", true, ""]);
  named.remember("line\n");
  assertEquals(named.knownHosts(), "line\n");
  const missing = sshTarget(place, flags({ "ssh-key": "/nowhere/key" }), home.context());
  assertThrows(() => missing.credentials(), FilesyncError, 'Cannot read the key in "/nowhere/key"');
});

Deno.test("sshTarget() takes from ~/.ssh/config what neither the URL nor a flag says", () => {
  using home = new Home();
  const own = `${home.environment.HOME}/.ssh`;
  Deno.mkdirSync(own);
  const config =
    "Host nas\nHostName 192.0.2.7\nPort 2222\nUser backup\nIdentityFile ~/.ssh/%n\nIdentityFile /none\n";
  Deno.writeTextFileSync(`${own}/config`, config);
  for (const name of ["nas", "id_rsa"]) Deno.writeTextFileSync(`${own}/${name}`, name);
  Object.assign(home.environment, { SSH_AUTH_SOCK: "/agent", USER: "u" });
  const look = (url: string, values?: Record<string, string>) => {
    const { host, port, user, credentials } = sshTarget(parseSftp(url), flags(values), home.context());
    return [host, port, user, ...credentials().map((one) => one.kind === "key" ? one.text : one.kind)];
  };
  assertEquals(look("sftp://nas/a"), ["192.0.2.7", 2222, "backup", "nas", "agent"]);
  assertEquals(look("sftp://me@nas:22/a", { "ssh-key": `${own}/id_rsa` }), ["192.0.2.7", 22, "me", "id_rsa"]);
  assertEquals(look("sftp://other/a"), ["other", 22, "u", "agent", "id_rsa"]);
});

/** A home whose `~/.ssh` knows a server that is there for it alone. */
async function withServer(test: (home: Home, sshd: Sshd, url: (path: string) => string) => Promise<void>) {
  const sshd = await startSshd();
  try {
    using home = new Home();
    const own = `${home.environment.HOME}/.ssh`;
    Deno.mkdirSync(own);
    Deno.copyFileSync(sshd.key, `${own}/id_ed25519`);
    Deno.writeTextFileSync(`${own}/known_hosts`, sshd.knownHosts);
    await test(home, sshd, (path) => `sftp://${sshd.user}@127.0.0.1:${sshd.port}${path}`);
  } finally {
    await sshd[Symbol.asyncDispose]();
  }
}

/** A test that needs sshd. */
function sshTest(behaviour: string, fn: () => Promise<void>): void {
  const ignore = !hasSshd();
  Deno.test({ name: ignore ? `${behaviour} (${NEEDS_SSHD})` : behaviour, ignore, fn });
}

sshTest(
  "watch --to sftp:// pushes a tree, and the second time nothing",
  () =>
    withServer(async (home, _sshd, url) => {
      const [source, copy] = ["source", "copy"].map((name) => home.directory(name));
      makeTree(source, { "a.txt": "12", d: { "b 😀": "345", l: link("../a.txt") }, empty: {} });
      const to = ["--to", url(copy), "--once"];
      const first = await home.run("watch", source, ...to);
      assertEquals([first.code, first.err], [EXIT.done, ""]);
      assertEquals(await treeText(copy), await treeText(source));
      const second = await home.run("watch", source, ...to);
      assertStringIncludes(second.out, "done: nothing to change");

      Deno.renameSync(`${source}/d`, `${source}/e`);
      Deno.writeTextFileSync(`${source}/a.txt`, "changed");
      const third = await home.run("watch", source, ...to);
      assertStringIncludes(third.out, "move d → e");
      assertEquals(await treeText(copy), await treeText(source));
      const { out } = await home.run("status");
      assertStringIncludes(out, `→ ${url(copy)}\n`);
      const refused = await home.run("history", url(copy));
      assertEquals(refused.code, EXIT.usage);
    }),
);

sshTest(
  "watch --to sftp:// goes by the name that ~/.ssh/config has for a server",
  () =>
    withServer(async (home, sshd) => {
      const [source, copy] = ["source", "copy"].map((name) => home.directory(name));
      const own = `${home.environment.HOME}/.ssh`;
      Deno.renameSync(`${own}/id_ed25519`, `${own}/box`);
      const lines = ["Host box", "HostName 127.0.0.1", `Port ${sshd.port}`, `User ${sshd.user}`];
      Deno.writeTextFileSync(`${own}/config`, [...lines, "IdentityFile ~/.ssh/box", ""].join("\n"));
      makeTree(source, { "a.txt": "12" });
      const { code, err } = await home.run("watch", source, "-1", "--to", `sftp://box${copy}`);
      assertEquals([code, err], [EXIT.done, ""]);
      assertEquals(await treeText(copy), await treeText(source));
    }),
);

sshTest(
  "watch --to sftp:// says what is wrong with host, key and place",
  () =>
    withServer(async (home, _sshd, url) => {
      const [source, copy] = ["source", "copy"].map((name) => home.directory(name));
      const ssh = `${home.environment.HOME}/.ssh`;
      const missing = await home.run("watch", source, "-1", "--to", url(`${copy}/none`));
      assertEquals(missing.code, EXIT.problems);
      assertStringIncludes(missing.err, "it does not exist");
      Deno.removeSync(`${ssh}/known_hosts`);
      const unknown = await home.run("watch", source, "-1", "--to", url(copy));
      assertEquals(unknown.code, EXIT.unreachable);
      assertStringIncludes(unknown.err, "its key is not in known_hosts");
      const accepted = await home.run("watch", source, "-1", "--to", url(copy), "--ssh-accept-new");
      assertEquals([accepted.code, accepted.err], [EXIT.done, ""]);
      assertEquals((await home.run("watch", source, "-1", "--to", url(copy))).code, EXIT.done);
      Deno.removeSync(`${ssh}/id_ed25519`);
      const keyless = await home.run("watch", source, "-1", "--to", url(copy));
      assertEquals(keyless.code, EXIT.unreachable);
      assertStringIncludes(keyless.err, "there is no key to show it");
    }),
);

sshTest("doctor looks at an SFTP server, and changes nothing", () =>
  withServer(async (home, _sshd, url) => {
    const copy = home.directory("copy");
    const good = await home.run("doctor", "--to", url(copy));
    assertEquals(good.code, EXIT.done, good.out);
    for (
      const line of ["it lets ", "replaces files in one step", "is a directory there", "free on the server"]
    ) {
      assertStringIncludes(good.out, line);
    }
    assertEquals([...Deno.readDirSync(copy)], []);
    const bad = await home.run("doctor", "--to", url(`${copy}/none`));
    assertEquals(bad.code, EXIT.problems);
  }));

sshTest(
  "sync to sftp:// makes a backup equal, says that no versions are kept, and refuses two ways",
  () =>
    withServer(async (home, _sshd, url) => {
      const [source, copy] = ["source", "copy"].map((name) => home.directory(name));
      makeTree(source, { "a.txt": "12" });
      makeTree(copy, { "theirs.txt": "34" });
      const dry = await home.run("sync", source, url(copy), "--dry-run", "--allow-mass-delete");
      assertStringIncludes(dry.out, "would remove theirs.txt");
      assertEquals(await treeText(copy), 'theirs.txt "34"');
      const { code, out } = await home.run("sync", source, url(copy), "--allow-mass-delete");
      assertEquals(code, EXIT.done);
      assertStringIncludes(out, "No versions are kept on an SFTP server");
      assertEquals(await treeText(copy), await treeText(source));
      const faults: [string, string][] = [["--two-way", "both ways"], [
        "--keep=3",
        "an SFTP server keeps none",
      ]];
      for (const [flag, reason] of faults) {
        const refused = await home.run("sync", source, url(copy), flag);
        assertEquals(refused.code, EXIT.usage);
        assertStringIncludes(refused.err, reason);
      }
      assert((await home.run("sync", source, url(copy), "--keep=none")).code === EXIT.done);
    }),
);
