/**
 * A real SSH server (Debian's package `openssh-server`) on a port of the loopback address, with a configuration, a
 * host key and a user's key of its own. It lets in whoever runs the tests.
 *
 * @module
 */
import { userInfo } from "node:os";
import { TempDirectory } from "./temp.ts";

const SSHD = "/usr/sbin/sshd";

/** What to say where it is not installed. */
export const NEEDS_SSHD = "needs sshd: apt-get install openssh-server";

/** Whether it is installed. */
export function hasSshd(): boolean {
  try {
    return Deno.statSync(SSHD).isFile && Deno.build.os === "linux";
  } catch {
    return false;
  }
}

/** A running server. */
export interface Sshd extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  /** The path of the key that it accepts. */
  readonly key: string;
  /** The text of `known_hosts` that knows it. */
  readonly knownHosts: string;
  /** The directory that all of it lies in. */
  readonly directory: string;
  /** Ends it, and all its connections. */
  stop(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
}

/** Whether {@linkcode startPasswordSshd} can: it takes a root, who may give a process file systems of its own. */
export function canHavePasswords(): boolean {
  if (!hasSshd() || Deno.uid() !== 0) return false;
  return new Deno.Command("unshare", { args: ["--mount", "true"], stderr: "null" }).outputSync().success;
}

/**
 * Starts a server.
 *
 * @param lines More lines of `sshd_config`.
 */
export function startSshd(...lines: string[]): Promise<Sshd> {
  return start(lines);
}

/**
 * Starts a server where `password` lets in, too. Only this server sees the list of passwords that holds it.
 *
 * @param way How it is asked for: as such, or as one of any questions (PAM's).
 */
export async function startPasswordSshd(
  password: string,
  way: "password" | "keyboard-interactive",
): Promise<Sshd> {
  const temp = new TempDirectory();
  const hash = (await ran("openssl", "passwd", "-6", password)).trim();
  const { username } = userInfo();
  const shadow = Deno.readTextFileSync("/etc/shadow").split("\n").map((line) =>
    line.startsWith(`${username}:`) ? `${username}:${hash}:19000:0:99999:7:::` : line
  );
  Deno.writeTextFileSync(`${temp.path}/shadow`, shadow.join("\n"), { mode: 0o600 });
  const pam = ["auth", "account", "session"].map((kind) => `${kind} required pam_unix.so\n`);
  Deno.writeTextFileSync(`${temp.path}/pam`, pam.join(""));
  const isAsked = way === "keyboard-interactive";
  const mounts = [["shadow", "/etc/shadow"], ...isAsked ? [["pam", "/etc/pam.d/sshd"]] : []]
    .map(([name, over]) => `mount --bind "${temp.path}/${name}" ${over} && `).join("");
  const answers = isAsked
    ? ["UsePAM yes", "KbdInteractiveAuthentication yes"]
    : ["PasswordAuthentication yes", "KbdInteractiveAuthentication no"];
  const shut = ["unshare", "--mount", "sh", "-c", `${mounts}exec "$0" "$@"`];
  const sshd = await start(["PermitRootLogin yes", ...answers], shut);
  return {
    ...sshd,
    async [Symbol.asyncDispose]() {
      await sshd[Symbol.asyncDispose]();
      temp[Symbol.dispose]();
    },
  };
}

/** @param within A command that runs the server. */
async function start(lines: readonly string[], within: readonly string[] = []): Promise<Sshd> {
  const temp = new TempDirectory();
  const at = (name: string) => `${temp.path}/${name}`;
  for (const name of ["host", "user"]) {
    await ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at(name));
  }
  const port = freePort();
  // Of the same setting the first counts.
  const config = [
    ...lines,
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${at("host")}`,
    `AuthorizedKeysFile ${at("user.pub")}`,
    `PidFile ${at("pid")}`,
    "StrictModes no",
    "UsePAM no",
    "UseDNS no",
    "PasswordAuthentication no",
    "MaxStartups 100",
    // Of these, sshd takes no second one.
    ...lines.some((line) => line.startsWith("Subsystem")) ? [] : ["Subsystem sftp internal-sftp"],
  ];
  Deno.writeTextFileSync(at("config"), config.join("\n") + "\n");
  // The server of a root wants it.
  if (Deno.uid() === 0) Deno.mkdirSync("/run/sshd", { recursive: true });
  let child: Deno.ChildProcess | undefined;
  const [command, ...args] = [...within, SSHD, "-D", "-e", "-f", at("config")];
  const start = async () => {
    child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await listening(port);
  };
  const stop = async () => {
    const { pid } = child!;
    // Every connection has processes of its own.
    for (const one of await descendants(pid)) kill(one);
    kill(pid);
    await child!.status;
  };
  await start();
  return {
    port,
    user: userInfo().username,
    key: at("user"),
    knownHosts: `[127.0.0.1]:${port} ${Deno.readTextFileSync(at("host.pub"))}`,
    directory: temp.path,
    start,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      temp[Symbol.dispose]();
    },
  };
}

async function ran(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function listening(port: number): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
      return;
    } catch (error) {
      if (tries > 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function descendants(pid: number): Promise<number[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "pid=", "--ppid", String(pid)] }).output();
  const children = new TextDecoder().decode(stdout).split("\n").map(Number).filter((child) => child > 0);
  return (await Promise.all(children.map(descendants))).flat().concat(children);
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
