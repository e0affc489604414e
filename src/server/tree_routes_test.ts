import { assert, assertEquals } from "@std/assert";
import { type ServedTree, serveTree } from "../../tests/support/subjects.ts";
import { treeText } from "../../tests/support/trees.ts";
import { LINES_TYPE } from "../core/wire.ts";

async function put(served: ServedTree, path: string): Promise<void> {
  const response = await served.request("PUT", `/v1/files/${path}`, { body: path });
  assert(response.ok);
  await response.body?.cancel();
}

async function move(served: ServedTree, body: unknown) {
  const response = await served.request("POST", "/v1/move", {
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  return [response.status, await response.json()];
}

Deno.test("GET /v1/tree lists the tree, one entry a line, with an empty line at the end", async () => {
  await using served = await serveTree();
  assertEquals(await (await served.request("GET", "/v1/tree")).text(), "\n");
  for (let i = 0; i < 600; i++) await put(served, `d/${i}`);
  const response = await served.request("GET", "/v1/tree");
  assertEquals([response.status, response.headers.get("content-type")], [200, LINES_TYPE]);
  const lines = (await response.text()).split("\n");
  assertEquals(lines.splice(-2), ["", ""]);
  assertEquals(lines.length, 601);
  assertEquals(lines.map((line) => JSON.parse(line)), await Array.fromAsync(served.receiver.tree()));
});

Deno.test("GET /v1/tree may be given up in the middle", async () => {
  await using served = await serveTree();
  await put(served, "a");
  await (await served.request("GET", "/v1/tree")).body!.cancel();
  await put(served, "b");
});

Deno.test("GET /v1/history gives what was asked for", async () => {
  await using served = await serveTree();
  for (const path of ["a", "d/b", "d/c"]) await put(served, path);
  const paths = async (query: string) => {
    const response = await served.request("GET", `/v1/history${query}`);
    const { records } = await response.json();
    return records.map(({ path }: { path: string }) => path);
  };
  assertEquals(await paths(""), ["d/c", "d/b", "a"]);
  assertEquals(await paths("?under=d&limit=1"), ["d/c"]);
  assertEquals(await paths("?before=2"), ["a"]);
  assertEquals(await paths(`?before=${"9".repeat(400)}`), ["d/c", "d/b", "a"]);
});

Deno.test("GET /v1/history refuses questions that make no sense", async () => {
  await using served = await serveTree();
  const wrong: [string, string][] = [
    ["under=..", "bad-path"],
    ["under=/etc", "bad-path"],
    ["under=", "bad-path"],
    ["under=.filesync", "bad-path"],
    ["under=a%00", "bad-path"],
    ["before=x", "bad-request"],
    ["before=-1", "bad-request"],
    ["before=1.5", "bad-request"],
    ["limit=0", "bad-request"],
    ["limit=10001", "bad-request"],
    ["limit=", "bad-request"],
    ["limit=1&limit=2", "bad-request"],
  ];
  for (const [query, code] of wrong) {
    const response = await served.request("GET", `/v1/history?${query}`);
    assertEquals([response.status, (await response.json()).code], [400, code], query);
  }
});

Deno.test("POST /v1/move moves what is there", async () => {
  await using served = await serveTree();
  await put(served, "d/a");
  assertEquals(await move(served, { from: "d", to: "e/f" }), [200, { sequence: 2 }]);
  assertEquals(await treeText(served.directory), 'e/\ne/f/\ne/f/a "d/a"');
});

Deno.test("POST /v1/move refuses what cannot be, and leaves everything as it is", async () => {
  await using served = await serveTree();
  await put(served, "d/a");
  const wrong: [unknown, number, string][] = [
    [{ from: "none", to: "x/y" }, 404, "not-found"],
    [{ from: "d", to: "d/e" }, 409, "conflict"],
    [{ from: "d/a", to: "d" }, 409, "conflict"],
    [{ from: "d", to: "../d" }, 400, "bad-path"],
    [{ from: "/etc/passwd", to: "x" }, 400, "bad-path"],
    [{ from: ".filesync/index.db", to: "x" }, 400, "bad-path"],
    [{ from: "d", to: ".filesync/index.db" }, 400, "bad-path"],
    [{ from: "d" }, 400, "bad-request"],
    [{ from: "d", to: 5 }, 400, "bad-request"],
    ["{", 400, "bad-request"],
    ["null", 400, "bad-request"],
  ];
  for (const [body, status, code] of wrong) {
    const [got, { code: gotCode }] = await move(served, body);
    assertEquals([got, gotCode], [status, code], JSON.stringify(body));
  }
  assertEquals(await treeText(served.directory), 'd/\nd/a "d/a"');
  assertEquals(served.receiver.index.sequence, 1);
});
