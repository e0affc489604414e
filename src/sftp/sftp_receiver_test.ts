import { generateKeyPairSync } from "node:crypto";
import { assertEquals, assertLess, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { SmallDisk } from "../../tests/support/small_disk.ts";
import {
  canHavePasswords,
  hasSshd,
  NEEDS_SSHD,
  type Sshd,
  startPasswordSshd,
  startSshd,
} from "../../tests/support/sshd.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes } from "../chunking/describe.ts";
import type { Action, PutAction } from "../core/action.ts";
import { unpackManifest } from "../core/chunk.ts";
import { systemClock } from "../core/clock.ts";
import { type ErrorCode, FilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { Batch, Receiver } from "../transport/receiver.ts";
import { receiverContract, type ReceiverSubject } from "../transport/receiver_contract.ts";
import { SftpClient } from "./sftp_client.ts";
import type { SshTarget } from "./ssh_connection.ts";
import { SftpReceiver, type SftpReceiverOptions } from "./sftp_receiver.ts";

const name = hasSshd() ? "SftpReceiver" : `SftpReceiver (${NEEDS_SSHD})`;
const server = hasSshd() ? await startSshd() : undefined;
globalThis.addEventListener("unload", () => void server?.[Symbol.asyncDispose]());

function targetOf(sshd: Sshd, changes: Partial<SshTarget> = {}): SshTarget {
  return {
    host: "127.0.0.1",
    port: sshd.port,
    user: sshd.user,
    credentials: () => [{ kind: "key", name: "user", text: Deno.readTextFileSync(sshd.key) }],
    knownHosts: () => sshd.knownHosts,
    acceptNew: false,
    remember() {},
    ...changes,
  };
}

async function openSubject(options: Partial<SftpReceiverOptions> = {}): Promise<ReceiverSubject> {
  const temp = new TempDirectory();
  const directory = temp.directory("tree");
  const open = async () => {
    const receiver = new SftpReceiver({
      clock: systemClock,
      target: targetOf(server!),
      path: directory,
      state: `${temp.path}/state`,
      ...options,
    });
    await receiver.open();
    return receiver;
  };
  let receiver = await open();
  return {
    get receiver() {
      return receiver;
    },
    directory,
    async reopen() {
      await receiver.close();
      receiver = await open();
    },
    async [Symbol.asyncDispose]() {
      await receiver.close();
      temp[Symbol.dispose]();
    },
  };
}

if (server !== undefined) receiverContract(name, () => openSubject(), { computes: false });

/** A test that needs the server. */
function sshTest(behaviour: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${name} ${behaviour}`, ignore: server === undefined, fn });
}

const TIME = Date.UTC(2024, 0, 1);

function put(path: string, content: Uint8Array, mtime = TIME): PutAction {
  return {
    type: "put",
    path: parsePath(path),
    size: content.length,
    mtime,
    mode: 0o644,
    digest: sha256(content),
  };
}

function batch(actions: Action[], ...contents: Uint8Array<ArrayBuffer>[]): Batch {
  return {
    key: crypto.randomUUID(),
    actions,
    contents: new Map(contents.map((content) => [sha256(content), content])),
  };
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Offers a content, and hands over as runs what is asked for of it; gives how many bytes that were. */
async function bring(receiver: Receiver, content: Uint8Array<ArrayBuffer>, most = Infinity): Promise<number> {
  const { digest, size, packedManifest } = describeBytes(content, DEFAULT_CHUNKING);
  const manifest = unpackManifest(packedManifest);
  const starts = manifest.reduce((all, { length }) => [...all, all.at(-1)! + length], [0]);
  const [need] = await receiver.check([{ digest, size, manifest }]);
  let sent = 0;
  for (const at of (need as number[]).slice(0, most)) {
    const data = content.slice(starts[at], starts[at + 1]);
    await receiver.stageRuns([{ content: digest, first: at, data }]);
    sent += data.length;
  }
  return sent;
}

sshTest("refuses a server that is not known, or that shows another key", async () => {
  const other = `[127.0.0.1]:${server!.port} ssh-ed25519 ${
    new Uint8Array([0, 0, 0, 11, ...bytesOf("ssh-ed25519"), 0, 0, 0, 1, 7]).toBase64()
  }\n`;
  const faults: [string, string][] = [
    ["", "its key is not in known_hosts"],
    [other, "it shows another key than the one in known_hosts"],
    [`@revoked ${server!.knownHosts}`, "must not be trusted"],
  ];
  for (const [knownHosts, reason] of faults) {
    const target = targetOf(server!, { knownHosts: () => knownHosts });
    const error = await assertRejects(() => SftpClient.connect(target), FilesyncError, reason);
    assertEquals([error.code, error.permanent], ["unauthorized", true]);
  }
  // A key that is known to be another one is not accepted by anybody who trusts new ones.
  const bold = (knownHosts: string) => ({ knownHosts: () => knownHosts, acceptNew: true });
  await assertRejects(() => SftpClient.connect(targetOf(server!, bold(other))), FilesyncError, "another key");
  let remembered = "";
  const target = targetOf(server!, { ...bold(""), remember: (line) => void (remembered += line) });
  (await SftpClient.connect(target)).close();
  assertEquals(remembered.trim().split(" "), server!.knownHosts.split(" ").slice(0, 3));
  (await SftpClient.connect(targetOf(server!, { knownHosts: () => remembered }))).close();
});

sshTest("says who is not let in, and where nobody answers", async () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const text = privateKey.export({ type: "pkcs1", format: "pem" }) as string;
  const stranger = targetOf(server!, { credentials: () => [{ kind: "key", name: "k", text }] });
  const refused = await assertRejects(
    () => SftpClient.connect(stranger),
    FilesyncError,
    "accepts none of our keys",
  );
  assertEquals([refused.code, refused.permanent], ["unauthorized", true]);
  const keyless = targetOf(server!, { credentials: () => [] });
  await assertRejects(() => SftpClient.connect(keyless), FilesyncError, "there is no key to show it");
  const nowhere = await assertRejects(
    () => SftpClient.connect(targetOf(server!, { port: 1, knownHosts: () => "" })),
    FilesyncError,
  );
  assertEquals([nowhere.code, nowhere.permanent], ["unreachable", false]);
});

sshTest("does not come again and again to a server that was shown too many keys", async () => {
  const strict = await startSshd("MaxAuthTries 1");
  try {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const text = privateKey.export({ type: "pkcs1", format: "pem" }) as string;
    const { credentials } = targetOf(strict);
    const target = targetOf(strict, {
      credentials: () => [{ kind: "key", name: "stranger", text }, ...credentials()],
    });
    const error = await assertRejects(
      () => SftpClient.connect(target),
      FilesyncError,
      "before the right one",
    );
    assertEquals([error.code, error.permanent], ["unauthorized", true]);
    assertStringIncludes(error.hint!, "--ssh-key");
  } finally {
    await strict[Symbol.asyncDispose]();
  }
});

sshTest("logs in with a key that only the agent has", async () => {
  using temp = new TempDirectory();
  const socket = `${temp.path}/agent`;
  const agent = new Deno.Command("ssh-agent", { args: ["-D", "-a", socket], stdout: "null" }).spawn();
  try {
    const target = targetOf(server!, { credentials: () => [{ kind: "agent", socket }] });
    for (let tries = 0; !existsSync(socket); tries++) {
      assertLess(tries, 3_000);
      await systemClock.sleep(10);
    }
    await assertRejects(() => SftpClient.connect(target), FilesyncError, "accepts none of our keys");
    const env = { SSH_AUTH_SOCK: socket };
    const added = await new Deno.Command("ssh-add", { args: ["-q", server!.key], env }).output();
    assertEquals(added.success, true);
    (await SftpClient.connect(target)).close();
  } finally {
    agent.kill();
    await agent.status;
  }
});

sshTest("logs in with a key whose passphrase it is told, and with no other", async () => {
  using temp = new TempDirectory();
  const key = `${temp.path}/key`;
  Deno.copyFileSync(server!.key, key);
  Deno.chmodSync(key, 0o600);
  const args = ["-q", "-p", "-P", "", "-N", "secret", "-f", key];
  assertEquals((await new Deno.Command("ssh-keygen", { args }).output()).success, true);
  const text = Deno.readTextFileSync(key);
  const target = (passphrase?: string) =>
    targetOf(server!, { credentials: () => [{ kind: "key", name: "key", text, passphrase }] });
  (await SftpClient.connect(target("secret"))).close();
  for (const passphrase of [undefined, "wrong"]) {
    const error = await assertRejects(() => SftpClient.connect(target(passphrase)), FilesyncError);
    assertEquals([error.code, error.permanent], ["unauthorized", true]);
    assertStringIncludes(error.hint!, "FILESYNC_SSH_PASSPHRASE");
  }
});

for (const way of ["password", "keyboard-interactive"] as const) {
  const isAble = canHavePasswords();
  Deno.test({
    name: `${name} logs in by ${way} with the right password only${isAble ? "" : " (needs to be root)"}`,
    ignore: !isAble,
    async fn() {
      const own = await startPasswordSshd("right word", way);
      try {
        const target = (password: string) =>
          targetOf(own, { credentials: () => [{ kind: "password", password }] });
        (await SftpClient.connect(target("right word"))).close();
        const error = await assertRejects(
          () => SftpClient.connect(target("wrong word")),
          FilesyncError,
          "it does not accept the password",
        );
        assertEquals([error.code, error.permanent], ["unauthorized", true]);
      } finally {
        await own[Symbol.asyncDispose]();
      }
    },
  });
}

sshTest("gives up on a server whose SFTP says nothing", async () => {
  const silent = await startSshd("Subsystem sftp /bin/sleep 600");
  try {
    const error = await assertRejects(
      () => SftpClient.connect(targetOf(silent, { patience: 200 })),
      FilesyncError,
      "its SFTP does not answer",
    );
    assertEquals([error.code, error.permanent], ["unreachable", false]);
  } finally {
    await silent[Symbol.asyncDispose]();
  }
});

sshTest("goes by the other keys when the agent is gone", async () => {
  const { credentials } = targetOf(server!);
  const target = targetOf(server!, {
    credentials: () => [{ kind: "agent", socket: "/nowhere/agent" }, ...credentials()],
  });
  (await SftpClient.connect(target)).close();
});

sshTest(
  "writes nothing there before there is something to write, and leaves only its directory",
  async () => {
    await using subject = await openSubject();
    const { receiver, directory } = subject;
    await receiver.refresh();
    await receiver.check([{ digest: sha256(bytesOf("x")), size: 1 }]);
    assertEquals([...Deno.readDirSync(directory)], []);
    await receiver.apply(batch([put("a", bytesOf("x"))], bytesOf("x")));
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name).sort(), [".filesync", "a"]);
    assertEquals([...Deno.readDirSync(`${directory}/.filesync/tmp`)], []);
    assertEquals(Deno.statSync(`${directory}/.filesync`).mode! & 0o777, 0o700);
  },
);

sshTest("refuses a directory that is missing, that is served, or whose state is a link", async () => {
  using temp = new TempDirectory();
  const [served, linked] = ["served", "linked"].map((name) => temp.directory(name));
  Deno.mkdirSync(`${served}/.filesync`);
  Deno.writeTextFileSync(`${served}/.filesync/index.db`, "");
  Deno.symlinkSync("/", `${linked}/.filesync`);
  const faults: [string, ErrorCode, string][] = [
    [`${temp.path}/none`, "not-found", "it does not exist"],
    [served, "conflict", "filesync serves it"],
    [linked, "conflict", "is no directory"],
  ];
  for (const [path, code, reason] of faults) {
    await using receiver = new SftpReceiver({
      clock: systemClock,
      target: targetOf(server!),
      path,
      state: `${temp.path}/state`,
    });
    const error = await assertRejects(() => receiver.open(), FilesyncError, reason);
    assertEquals([error.code, error.permanent], [code, true]);
  }
});

sshTest("reads what was there before only when somebody has a content of its size", async () => {
  await using subject = await openSubject();
  const { receiver, directory } = subject;
  const [same, other] = [1, 2].map((seed) => new Uint8Array(600_000).map((_, i) => (i * seed) >> 8));
  for (const [name, content] of [["same", same], ["other", other]] as const) {
    Deno.writeFileSync(`${directory}/${name}`, content);
  }
  Deno.writeFileSync(`${directory}/alike`, other.slice(1));
  await receiver.refresh();
  const digestAt = async (path: string) => {
    const entry = await receiver.entry(parsePath(path));
    return entry?.kind === "file" ? entry.digest : undefined;
  };
  assertNotEquals(await digestAt("same"), sha256(same));
  // Nothing has that size: nothing is read.
  assertEquals(await receiver.check([{ digest: sha256(bytesOf("x")), size: 1 }]), ["whole"]);
  assertNotEquals(await digestAt("same"), sha256(same));
  const { digest, size, packedManifest } = describeBytes(same, DEFAULT_CHUNKING);
  const manifest = unpackManifest(packedManifest);
  assertEquals(await receiver.check([{ digest, size, manifest }]), ["nothing"]);
  assertEquals(await receiver.manifest(digest), manifest);
  assertNotEquals(await receiver.manifest(sha256(other)), manifest);
  assertEquals([await digestAt("same"), await digestAt("other")], [sha256(same), sha256(other)]);
  assertNotEquals(await digestAt("alike"), sha256(other.slice(1)));
  const { results, before, after } = await receiver.apply(batch([put("same", same)]));
  assertEquals([results, after - before], [[{ done: true }], 1]);
});

sshTest("copies by way of this machine where the server cannot, and verifies what it copied", async () => {
  await using subject = await openSubject();
  const { receiver, directory } = subject;
  const tree = await (receiver as SftpReceiver).connect();
  const content = new Uint8Array(5_000_000).map((_, i) => i >> 7);
  await bring(receiver, content);
  assertEquals((await receiver.apply(batch([put("a", content)]))).results, [{ done: true }]);
  for (const copyData of [true, false]) {
    tree.client.abilities.copyData = copyData;
    const path = `copy ${copyData}`;
    assertEquals((await receiver.apply(batch([put(path, content)]))).results, [{ done: true }]);
    assertEquals(sha256(Deno.readFileSync(`${directory}/${path}`)), sha256(content));
  }
  // Of the same size and time, so that only reading tells.
  for (const path of ["a", "copy true", "copy false"]) {
    const { mtime } = Deno.statSync(`${directory}/${path}`);
    const file = Deno.openSync(`${directory}/${path}`, { write: true });
    file.writeSync(new Uint8Array([255]));
    file.close();
    Deno.utimeSync(`${directory}/${path}`, mtime!, mtime!);
  }
  for (const copyData of [true, false]) {
    tree.client.abilities.copyData = copyData;
    const { results: [result] } = await receiver.apply(batch([put("new", content)]));
    assertEquals(result.done === false && result.problem.code, "content-missing");
    assertEquals(existsSync(`${directory}/new`), false);
  }
  assertEquals([...Deno.readDirSync(`${directory}/.filesync/tmp`)], []);
});

/** How many files below `directory` processes of this machine have open. */
function openOn(directory: string): number {
  let count = 0;
  for (const { name: pid } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      for (const { name: fd } of Deno.readDirSync(`/proc/${pid}/fd`)) {
        if (Deno.readLinkSync(`/proc/${pid}/fd/${fd}`).startsWith(directory)) count++;
      }
    } catch {
      // It has ended.
    }
  }
  return count;
}

sshTest("leaves nothing of a copy for which the server's disk has no room", async () => {
  using disk = SmallDisk.mount(8 << 20);
  if (disk === undefined) return;
  await using subject = await openSubject({ path: disk.path });
  const { receiver } = subject;
  const content = randomBytes(3, 5 << 20);
  await bring(receiver, content);
  assertEquals((await receiver.apply(batch([put("a", content)]))).results, [{ done: true }]);
  const tree = await (receiver as SftpReceiver).connect();
  for (const copyData of [true, false]) {
    tree.client.abilities.copyData = copyData;
    const { results: [result] } = await receiver.apply(batch([put("b", content)]));
    assertEquals(result.done === false && result.problem.code, "disk-full");
    assertEquals([...Deno.readDirSync(`${disk.path}/.filesync/tmp`)], [], `copyData ${copyData}`);
  }
  const full = await assertRejects(() => bring(receiver, randomBytes(4, 5 << 20)), FilesyncError);
  assertEquals([full.code, full.permanent], ["disk-full", false]);
  // What is open there takes its room although it was removed.
  for (let tries = 0; openOn(disk.path) > 0; tries++) {
    assertLess(tries, 300, "the server still has it open");
    await systemClock.sleep(10);
  }
});

sshTest("does without the extensions of OpenSSH", async () => {
  await using subject = await openSubject();
  const { receiver, directory } = subject;
  const { client } = await (receiver as SftpReceiver).connect();
  for (const ability of ["posixRename", "fsync", "lsetstat", "copyData", "statvfs"] as const) {
    client.abilities[ability] = false;
  }
  const [one, two] = ["one", "two"].map(bytesOf);
  const link: Action = { type: "symlink", path: parsePath("l"), target: "a", mtime: TIME };
  const directoryAction: Action = { type: "directory", path: parsePath("d"), mtime: TIME, mode: 0o750 };
  const move: Action = { type: "move", from: parsePath("b"), path: parsePath("a") };
  for (
    const [actions, ...contents] of [
      [[put("a", one), put("b", two), link, directoryAction], one, two],
      [[put("a", two), move, { ...link, target: "b" }]],
    ] as [Action[], ...Uint8Array<ArrayBuffer>[]][]
  ) {
    const { results } = await receiver.apply(batch(actions, ...contents));
    assertEquals(results, actions.map(() => ({ done: true as const })));
  }
  assertEquals(Deno.readTextFileSync(`${directory}/a`), "two");
  assertEquals(Deno.readLinkSync(`${directory}/l`), "b");
  assertEquals(Deno.statSync(`${directory}/d`).mode! & 0o777, 0o750);
  // What the server could not set is no change that is found again and again.
  const { sequence } = await receiver.open();
  assertEquals((await receiver.refresh()).sequence, sequence);
});

Deno.test({
  name: `${name} sets modes where the server is shut into a directory (needs to be root)`,
  // Only a root's sshd can, and wants a directory that is root's all the way up.
  ignore: server === undefined || Deno.uid() !== 0,
  async fn() {
    const jail = Deno.makeTempDirSync({ dir: "/run" });
    Deno.chmodSync(jail, 0o755);
    const own = await startSshd(`ChrootDirectory ${jail}`);
    try {
      Deno.mkdirSync(`${jail}/tree`);
      await using subject = await openSubject({ target: targetOf(own), path: "/tree" });
      const directory: Action = { type: "directory", path: parsePath("d"), mtime: TIME, mode: 0o750 };
      const link: Action = { type: "symlink", path: parsePath("d/l"), target: "a", mtime: TIME };
      const actions = [directory, put("d/a", bytesOf("x")), link, {
        ...put("d/a", bytesOf("x")),
        mode: 0o600,
      }];
      const { results } = await subject.receiver.apply(batch(actions, bytesOf("x")));
      assertEquals(results, actions.map(() => ({ done: true as const })));
      const looks = ["d", "d/a", "d/l"].map((path) => Deno.lstatSync(`${jail}/tree/${path}`));
      assertEquals(looks.slice(0, 2).map(({ mode }) => mode! & 0o777), [0o750, 0o600]);
      assertEquals(looks.map(({ mtime }) => mtime!.getTime()), [TIME, TIME, TIME]);
    } finally {
      await own[Symbol.asyncDispose]();
      Deno.removeSync(jail, { recursive: true });
    }
  },
});

sshTest("goes on with a big file after the connection broke, and sends no byte twice", async () => {
  const own = await startSshd();
  try {
    await using subject = await openSubject({ target: targetOf(own) });
    const { receiver, directory } = subject;
    const content = randomBytes(1, 3_000_000);
    const first = await bring(receiver, content, 20);
    await own.stop();
    const error = await assertRejects(() => bring(receiver, content), FilesyncError);
    assertEquals([error.code, error.permanent], ["unreachable", false]);
    await own.start();
    await receiver.open();
    const second = await bring(receiver, content);
    assertEquals(first + second, content.length);
    const { results } = await receiver.apply(batch([put("big", content)]));
    assertEquals(results, [{ done: true }]);
    assertEquals(sha256(Deno.readFileSync(`${directory}/big`)), sha256(content));
  } finally {
    await own[Symbol.asyncDispose]();
  }
});

sshTest(
  "puts no file in the place of a directory, nor loses what it cannot replace, without posix-rename",
  async () => {
    await using subject = await openSubject();
    const { receiver, directory } = subject;
    const { client } = await (receiver as SftpReceiver).connect();
    client.abilities.posixRename = false;
    const there: Action = { type: "directory", path: parsePath("d"), mtime: TIME, mode: 0o755 };
    await receiver.apply(batch([there, put("a", bytesOf("old"))], bytesOf("old")));
    const { results: [refused] } = await receiver.apply(batch([put("d", bytesOf("x"))], bytesOf("x")));
    assertEquals(refused.done === false && refused.problem.code, "conflict");
    assertEquals(Deno.statSync(`${directory}/d`).isDirectory, true);
    await assertRejects(() => client.rename(`${directory}/none`, `${directory}/a`), FilesyncError);
    assertEquals(Deno.readTextFileSync(`${directory}/a`), "old");
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name).sort(), [".filesync", "a", "d"]);
  },
);

/** The processes that `parent` has started. */
async function childrenOf(parent: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "pid=", "--ppid", parent.trim()] }).output();
  return new TextDecoder().decode(stdout).split("\n").map((pid) => pid.trim()).filter((pid) => pid !== "");
}

sshTest("leaves no connection behind of which the server ended its part of SFTP", async () => {
  const own = await startSshd("Subsystem sftp /usr/lib/openssh/sftp-server");
  try {
    await using subject = await openSubject({ target: targetOf(own) });
    const { receiver } = subject;
    const listening = Deno.readTextFileSync(`${own.directory}/pid`);
    const kill = async (parent: string) => {
      for (const child of await childrenOf(parent)) await kill(child);
      const name = Deno.readTextFileSync(`/proc/${parent.trim()}/comm`);
      if (name.startsWith("sftp-server")) Deno.kill(Number(parent), "SIGKILL");
    };
    await kill(listening);
    await assertRejects(async () => {
      for (;;) await receiver.apply(batch([put(crypto.randomUUID(), bytesOf("x"))], bytesOf("x")));
    }, FilesyncError);
    await receiver.open();
    for (let tries = 0; (await childrenOf(listening)).length > 1; tries++) {
      assertLess(tries, 300, "the first connection stays");
      await systemClock.sleep(50);
    }
    const { results } = await receiver.apply(batch([put("a", bytesOf("x"))], bytesOf("x")));
    assertEquals(results, [{ done: true }]);
  } finally {
    await own[Symbol.asyncDispose]();
  }
});

sshTest("ends although the server does not answer any more, in ten seconds", async () => {
  const own = await startSshd();
  const clock = new FakeClock(TIME);
  try {
    const subject = await openSubject({ target: targetOf(own), clock });
    const { receiver } = subject;
    await receiver.apply(batch([put("a", bytesOf("x"))], bytesOf("x")));
    const served = await childrenOf(Deno.readTextFileSync(`${own.directory}/pid`));
    for (const pid of served) Deno.kill(Number(pid), "SIGSTOP");
    const lost = assertRejects(
      () => receiver.apply(batch([put("b", bytesOf("y"))], bytesOf("y"))),
      FilesyncError,
    );
    // All that is between here and the question are promises that are resolved.
    await systemClock.sleep(0);
    let isClosed = false;
    const closed = subject[Symbol.asyncDispose]().then(() => isClosed = true);
    await clock.advance(9_999);
    assertEquals(isClosed, false);
    await clock.advance(1);
    assertEquals((await lost).code, "unreachable");
    await closed;
  } finally {
    await own[Symbol.asyncDispose]();
  }
});

sshTest("fills chunks that are alike from one, and takes runs in any order", async () => {
  await using subject = await openSubject();
  const { receiver, directory } = subject;
  const part = randomBytes(2, 400_000);
  const content = new Uint8Array([
    ...part,
    ...new Uint8Array(300_000),
    ...part,
    ...new Uint8Array(100_000),
    7,
  ]);
  const { digest, size, packedManifest } = describeBytes(content, DEFAULT_CHUNKING);
  const manifest = unpackManifest(packedManifest);
  const starts = manifest.reduce((all, { length }) => [...all, all.at(-1)! + length], [0]);
  for (const order of ["forwards", "backwards"]) {
    const [need] = await receiver.check([{ digest, size, manifest }]) as number[][];
    assertLess(need.length, manifest.length);
    for (const at of order === "forwards" ? need : need.toReversed()) {
      await receiver.stageRuns([{
        content: digest,
        first: at,
        data: content.slice(starts[at], starts[at + 1]),
      }]);
    }
    const { results } = await receiver.apply(batch([put(order, content)]));
    assertEquals(results, [{ done: true }]);
    assertEquals(sha256(Deno.readFileSync(`${directory}/${order}`)), digest);
    await receiver.apply(batch([{ type: "remove", path: parsePath(order) }]));
  }
});
