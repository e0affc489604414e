/** Clients and servers of neighbouring versions: they talk, or one says who has to upgrade, and nothing is written. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FilesyncError } from "../src/core/errors.ts";
import { parsePath } from "../src/core/path.ts";
import { HttpReceiver } from "../src/transport/http_receiver.ts";
import { Home } from "./support/run_command.ts";
import { serveTree, TOKEN } from "./support/subjects.ts";
import { assertSameTree, makeTree } from "./support/trees.ts";

type Fields = Record<string, unknown>;

/** What stands between client and server, and makes one of them another version. */
interface Doctor {
  hello?: (fields: Fields) => Fields;
  welcome?: (fields: Fields) => Fields;
  /** Every other JSON object that the server says. */
  answer?: (fields: Fields) => Fields;
}

/** A served tree whose clients, or which itself, are of another version. */
async function doctoredServer(
  { hello = (same) => same, welcome = (same) => same, answer = (same) => same }: Doctor,
) {
  const served = await serveTree();
  const asked: string[] = [];
  const handle = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const isHello = pathname === "/v1/sessions";
    const body = isHello ? JSON.stringify(hello(await request.json())) : undefined;
    const response = await served.app.fetch(
      body === undefined ? request : new Request(request, { body, method: "POST" }),
    );
    const type = response.headers.get("content-type") ?? "";
    if (!response.ok || !type.includes("json")) return response;
    const change = isHello ? welcome : answer;
    const lines = (await response.text()).split("\n").map((line) =>
      line && JSON.stringify(change(JSON.parse(line)))
    );
    return new Response(lines.join("\n"), response);
  };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handle);
  return {
    served,
    asked,
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await served[Symbol.asyncDispose]();
    },
  };
}

const OTHERS: Record<string, Doctor & { says: string[] }> = {
  "an older client": {
    hello: (fields) => ({ ...fields, protocol: 0 }),
    says: ["the client speaks version 0 of the protocol, the server version 1", "Upgrade the client"],
  },
  "a newer client": {
    hello: (fields) => ({ ...fields, protocol: 2, of: { the: "future" } }),
    says: ["the client speaks version 2 of the protocol, the server version 1", "Upgrade the server"],
  },
  "a newer server that lets us in": {
    welcome: ({ session }) => ({ protocol: 2, ticket: session, limits: [1, 2] }),
    says: ["the client speaks version 1 of the protocol, the server version 2", "Upgrade the client"],
  },
  "an older server that lets us in": {
    welcome: (fields) => ({ ...fields, protocol: 0 }),
    says: ["the client speaks version 1 of the protocol, the server version 0", "Upgrade the server"],
  },
};

for (const [name, { says, ...doctor }] of Object.entries(OTHERS)) {
  Deno.test(`${name} is told who has to upgrade, and nothing is written`, async () => {
    using home = new Home();
    await using server = await doctoredServer(doctor);
    const source = makeTree(home.directory("source"), { file: "x".repeat(1_000) });
    home.environment.FILESYNC_TOKEN = TOKEN;
    for (const once of [["--once"], []]) {
      const { code, err } = await home.run("watch", source, "--to", server.url, ...once);
      assertEquals(code, 1, err);
      for (const words of says) assert(err.includes(words), err);
    }
    assertEquals([...new Set(server.asked)], ["/v1/sessions"]);
    assertEquals([...Deno.readDirSync(server.served.directory)].map((entry) => entry.name), [".filesync"]);
    assertEquals(await server.served.receiver.history({}), []);
  });
}

Deno.test("ends of one version talk, whatever a later release of either says besides", async () => {
  using home = new Home();
  const more = (fields: Fields) => ({ ...fields, ofTheFuture: { a: [1] } });
  await using server = await doctoredServer({
    hello: more,
    // What came with a later release, a server of the first one does not say.
    welcome: ({ rootId: _rootId, foldsNames: _foldsNames, ...fields }) => more(fields),
    answer: more,
  });
  const source = makeTree(home.directory("source"), { "a/file": "x".repeat(100_000), b: "small" });
  home.environment.FILESYNC_TOKEN = TOKEN;
  assertEquals((await home.run("watch", source, "--to", server.url, "--once")).code, 0);
  Deno.writeTextFileSync(`${source}/b`, "other");
  assertEquals((await home.run("watch", source, "--to", server.url, "--once")).code, 0);
  await assertSameTree(source, server.served.directory);
});

Deno.test("a route or an action that only a newer client knows is refused with what to do", async () => {
  await using server = await doctoredServer({});
  const receiver = new HttpReceiver(server.url, { token: TOKEN });
  const headers = { authorization: `Bearer ${TOKEN}` };
  const unknown = await (await fetch(`${server.url}/v1/of-the-future`, { method: "POST", headers })).json();
  assertEquals([unknown.code, unknown.permanent], ["not-found", true]);
  assert(unknown.hint.includes("use the same version of filesync on both sides"));
  const actions = [{ type: "reflink", path: parsePath("a") }, {
    type: "directory",
    path: parsePath("d"),
    mtime: 0,
    mode: 0,
  }];
  const batch = { key: crypto.randomUUID(), actions: actions as never, contents: new Map() };
  const error = await assertRejects(() => receiver.apply(batch), FilesyncError);
  assertEquals([error.code, error.permanent], ["bad-request", true]);
  assertEquals([...Deno.readDirSync(server.served.directory)].map((entry) => entry.name), [".filesync"]);
});
