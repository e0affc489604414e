import { assert, assertEquals } from "@std/assert";
import { serveTree } from "../../tests/support/subjects.ts";
import { sha256 } from "../hashing/sha256.ts";

const KEEP = { retention: { count: 5 } };
const digestOf = (text: string) => sha256(new TextEncoder().encode(text));

Deno.test("GET /v1/versions tells what was kept, and its content with range and digest", async () => {
  await using server = await serveTree({ keep: KEEP });
  for (const body of ["one", "two"]) await server.request("PUT", "/v1/files/d/a%20b", { body });
  const { versions } = await (await server.request("GET", "/v1/versions?under=d&limit=1")).json();
  assertEquals(versions.length, 1);
  assertEquals([versions[0].cause, versions[0].entry.path], ["replaced", "d/a b"]);
  const address = `/v1/versions/contents/${versions[0].entry.digest}`;
  const whole = await server.request("GET", address);
  assertEquals([whole.status, await whole.text()], [200, "one"]);
  assert(whole.headers.get("repr-digest")!.startsWith("sha-256=:"));
  const part = await server.request("GET", address, { headers: { range: "bytes=1-" } });
  assertEquals([part.status, part.headers.get("content-range"), await part.text()], [
    206,
    "bytes 1-2/3",
    "ne",
  ]);
  const head = await server.request("HEAD", address);
  assertEquals([head.status, head.headers.get("content-length"), await head.text()], [200, "3", ""]);
  assertEquals((await server.request("GET", address, { headers: { range: "bytes=3-" } })).status, 416);
  assertEquals((await server.request("GET", `/v1/versions/contents/${digestOf("none")}`)).status, 409);
});

Deno.test("GET /v1/versions/tree gives one entry a line, and an empty line at the end", async () => {
  await using server = await serveTree({ keep: KEEP });
  await server.request("PUT", "/v1/files/a", { body: "one" });
  const answer = await server.request("GET", "/v1/versions/tree?at=99999999999999");
  assertEquals(answer.headers.get("content-type"), "application/x-ndjson");
  const text = await answer.text();
  assert(text.endsWith("\n\n"));
  assertEquals(JSON.parse(text.split("\n")[0]).path, "a");
});

Deno.test("the routes of versions refuse what no path, time, digest or number is, and everybody without the token", async () => {
  await using server = await serveTree({ keep: KEEP });
  const bad = [
    ...["..", "/etc", "a/../b", ".filesync", "a//b", "%00"].flatMap((path) => [
      `/v1/versions?under=${path}`,
      `/v1/versions/tree?at=1&under=${path}`,
    ]),
    "/v1/versions?under=",
    "/v1/versions?limit=0",
    "/v1/versions?limit=99999999",
    "/v1/versions?before=x",
    "/v1/versions/tree",
    "/v1/versions/tree?at=yesterday",
    "/v1/versions/tree?at=99999999999999999999",
    "/v1/versions/contents/abc",
    `/v1/versions/contents/${"A".repeat(64)}`,
  ];
  for (const path of bad) {
    const { status, headers } = await server.request("GET", path);
    assertEquals([status, headers.get("content-type")], [400, "application/problem+json"], path);
  }
  for (const path of ["/v1/versions", "/v1/versions/tree?at=1", `/v1/versions/contents/${digestOf("")}`]) {
    const { status } = await server.request("GET", path, { headers: { authorization: "Bearer wrong" } });
    assertEquals(status, 401, path);
  }
  assertEquals(server.failures, []);
});

Deno.test("a server that keeps nothing says so, and how to start it", async () => {
  await using server = await serveTree();
  for (const path of ["/v1/versions", "/v1/versions/tree?at=1", `/v1/versions/contents/${digestOf("")}`]) {
    const answer = await server.request("GET", path);
    const { hint } = await answer.json();
    assertEquals([answer.status, hint], [404, "Start it with filesync serve <dir> --keep"]);
  }
});
