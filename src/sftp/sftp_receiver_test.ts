import { assertEquals } from "@std/assert";
import { hasSshd, NEEDS_SSHD, type Sshd, startSshd } from "../../tests/support/sshd.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { systemClock } from "../core/clock.ts";
import { receiverContract, type ReceiverSubject } from "../transport/receiver_contract.ts";
import { knownKeys } from "./known_hosts.ts";
import type { SshTarget } from "./sftp_client.ts";
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
    knownKeys: () => knownKeys(sshd.knownHosts, "127.0.0.1", sshd.port),
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

if (server !== undefined) {
  receiverContract(name, () => openSubject(), { computes: false });
} else {
  Deno.test({ name, ignore: true, fn() {} });
}

Deno.test({
  name: `${name} closes`,
  ignore: server === undefined,
  async fn() {
    await using subject = await openSubject();
    assertEquals((await subject.receiver.open()).hasContents, false);
  },
});
