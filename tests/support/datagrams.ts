/**
 * A socket that datagrams are sent to, as service managers have one. Held by Python, since Deno only
 * receives them with an unstable flag.
 *
 * @module
 */

const LISTEN = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name[0] == "@" else name)
print(json.dumps("bound"), flush=True)
while True:
    print(json.dumps(s.recv(65536).decode()), flush=True)
`;

/** Gives datagrams in the order they came. */
export interface SocketListener extends AsyncDisposable {
  /** The next one, as text. */
  next(): Promise<string>;
}

/** Listens at a path, or at an abstract name after `@`. */
export async function createSocketListener(address: string): Promise<SocketListener> {
  const child = new Deno.Command("python3", {
    args: ["-c", LISTEN, address],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  async function next(): Promise<string> {
    for (;;) {
      const end = rest.indexOf("\n");
      if (end >= 0) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        return JSON.parse(line);
      }
      const { value, done } = await lines.read();
      if (done) throw new Error(`Nobody listens at ${address}`);
      rest += value;
    }
  }
  await next();
  return {
    next,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await lines.cancel();
    },
  };
}
