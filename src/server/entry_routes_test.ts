import { assert, assertEquals } from "@std/assert";
import { encodeBase64 } from "@std/encoding";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { openFilesIn } from "../../tests/support/open_files.ts";
import { type ServedTree, serveTree } from "../../tests/support/subjects.ts";
import { treeText } from "../../tests/support/trees.ts";
import { digestToBytes } from "../core/digest.ts";
import { parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";

const MTIME = Date.UTC(2024, 1, 29, 12, 34, 56, 789);

function reprDigest(content: Uint8Array): string {
  return `sha-256=:${encodeBase64(digestToBytes(sha256(content)))}:`;
}

async function ok(response: Response): Promise<Response> {
  assert(response.ok, `${response.status} ${response.ok ? "" : await response.clone().text()}`);
  return response;
}

async function assertProblem(response: Response, status: number, code: string): Promise<void> {
  const document = await response.json();
  assertEquals([response.status, document.status, document.code], [status, status, code], document.detail);
}

async function put(
  served: ServedTree,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  init?: RequestInit,
) {
  return await served.request("PUT", `/v1/files/${path}`, { ...init, body });
}

Deno.test("PUT /v1/files makes a file, with its parents, time and mode", async () => {
  const clock = new FakeClock(MTIME);
  await using served = await serveTree({ clock });
  const content = randomBytes(1, 9 << 20);
  const answer = await (await ok(await put(served, "d/big%20%F0%9F%98%80", content))).json();
  assertEquals(answer, { sequence: 1, digest: sha256(content), size: content.length });
  const path = parsePath("d/big 😀");
  const entry = {
    kind: "file",
    path,
    size: content.length,
    mtime: MTIME,
    mode: 0o644,
    digest: sha256(content),
  };
  assertEquals(await served.receiver.entry(path) as unknown, entry);
  const told = await ok(await served.request("GET", "/v1/entries/d/big%20%F0%9F%98%80"));
  assertEquals(await told.json(), { entry });
  await ok(await put(served, "run.sh?mtime=5&mode=493", "x"));
  const { mtime, mode } = Deno.lstatSync(`${served.directory}/run.sh`);
  assertEquals([mtime!.getTime(), mode! & 0o777], [5, 0o755]);
  await ok(await put(served, "empty", ""));
  assertEquals(Deno.lstatSync(`${served.directory}/empty`).size, 0);
});

Deno.test("PUT /v1/files compares the content with the digest that came along", async () => {
  await using served = await serveTree();
  const [old, fresh] = [randomBytes(1, 100_000), randomBytes(2, 100_000)];
  for (const name of ["repr-digest", "content-digest"]) {
    await ok(await put(served, "a", old, { headers: { [name]: reprDigest(old) } }));
    const mismatch = await put(served, "a", fresh, { headers: { [name]: reprDigest(old) } });
    await assertProblem(mismatch, 422, "digest-mismatch");
    assertEquals(Deno.readFileSync(`${served.directory}/a`), old, "the old file is whole");
  }
  const others = `md5=:AAAA:, ${reprDigest(fresh)}`;
  await ok(await put(served, "a", fresh, { headers: { "repr-digest": others } }));
  await ok(await put(served, "a", old, { headers: { "repr-digest": "sha-512=:AAAA:" } }));
});

Deno.test("PUT /v1/files refuses a part of a content, and one in another form: neither is the file", async () => {
  await using served = await serveTree();
  await ok(await put(served, "a", "0123456789"));
  const part = await put(served, "a", "89", { headers: { "content-range": "bytes 8-9/10" } });
  await assertProblem(part, 400, "bad-request");
  const packed = await put(served, "a", "packed", { headers: { "content-encoding": "gzip" } });
  await assertProblem(packed, 415, "unsupported");
  assertEquals(await treeText(served.directory), 'a "0123456789"');
  await ok(await put(served, "a", "whole", { headers: { "content-encoding": "identity" } }));
});

Deno.test("PUT /v1/files refuses a digest that it cannot read, rather than not to compare", async () => {
  await using served = await serveTree();
  const hex = sha256(new TextEncoder().encode("x"));
  const malformed = [
    "garbage",
    "sha-256=:AAAA:",
    "sha-256=::",
    "sha-256=:!!!!:",
    `sha-256=${hex}`,
    `sha-256=:${hex}:`,
    "sha-256",
    `${reprDigest(new Uint8Array())}, oops`,
    "",
  ];
  for (const header of malformed) {
    await assertProblem(
      await put(served, "a", "x", { headers: { "repr-digest": header } }),
      400,
      "bad-request",
    );
  }
  assertEquals(served.receiver.index.sequence, 0);
});

Deno.test("PUT /v1/files refuses times and modes that are none", async () => {
  await using served = await serveTree();
  for (
    const query of ["mtime=x", "mtime=1.5", "mtime=1e400", "mode=-1", "mode=4096", "mode=0x1.8", "mode=rwx"]
  ) {
    await assertProblem(await put(served, `a?${query}`, "x"), 400, "bad-request");
  }
  assertEquals(await treeText(served.directory), "");
});

Deno.test("PUT /v1/files writes nothing when the body breaks off", async () => {
  await using served = await serveTree();
  await ok(await put(served, "a", "old"));
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(randomBytes(1, 1 << 20));
    },
    pull(controller) {
      controller.error(new TypeError("connection reset"));
    },
  });
  const response = await served.request("PUT", "/v1/files/a", { body });
  await response.body?.cancel();
  assert(!response.ok);
  assertEquals(await treeText(served.directory), 'a "old"');
});

Deno.test("GET /v1/files gives a file, its digest and time, and the parts that are asked for", async () => {
  await using served = await serveTree();
  const content = randomBytes(3, 700_000);
  await ok(await put(served, `a?mtime=${MTIME}`, content));
  const whole = await ok(await served.request("GET", "/v1/files/a"));
  assertEquals(
    Object.fromEntries(
      [...whole.headers].filter(([name]) =>
        !/^(x-|cross|origin|referrer|strict|cache-control|content-security)/.test(name)
      ),
    ),
    {
      "accept-ranges": "bytes",
      "content-length": "700000",
      "content-type": "application/octet-stream",
      "last-modified": "Thu, 29 Feb 2024 12:34:56 GMT",
      "repr-digest": reprDigest(content),
    },
  );
  assertEquals(await whole.bytes(), content);
  const parts: [range: string, start: number, end: number][] = [
    ["bytes=0-0", 0, 1],
    ["bytes=100-199", 100, 200],
    ["bytes=699999-", 699_999, 700_000],
    ["bytes=-5", 699_995, 700_000],
    ["bytes=-9999999", 0, 700_000],
    ["bytes=5-99999999999999999999", 5, 700_000],
  ];
  for (const [range, start, end] of parts) {
    const part = await ok(await served.request("GET", "/v1/files/a", { headers: { range } }));
    assertEquals(part.status, 206, range);
    assertEquals(part.headers.get("content-range"), `bytes ${start}-${end - 1}/700000`);
    assertEquals(part.headers.get("content-length"), String(end - start));
    assertEquals(await part.bytes(), content.slice(start, end));
  }
});

Deno.test("GET /v1/files refuses a range that is not in the file, and passes over one that it does not know", async () => {
  await using served = await serveTree();
  await ok(await put(served, "a", "0123456789"));
  await ok(await put(served, "empty", ""));
  for (const range of ["bytes=10-", "bytes=10-20", "bytes=5-4", "bytes=-0", "bytes=99999999999999999999-"]) {
    await assertProblem(await served.request("GET", "/v1/files/a", { headers: { range } }), 416, "bad-range");
  }
  await assertProblem(
    await served.request("GET", "/v1/files/empty", { headers: { range: "bytes=0-" } }),
    416,
    "bad-range",
  );
  for (const range of ["bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes 0-1", ""]) {
    const response = await served.request("GET", "/v1/files/a", { headers: { range } });
    assertEquals([response.status, await response.text()], [200, "0123456789"], range);
  }
  assertEquals(await (await ok(await served.request("GET", "/v1/files/empty"))).text(), "");
});

Deno.test("HEAD /v1/files tells the same as GET, and leaves no file open", async () => {
  await using served = await serveTree();
  await ok(await put(served, "a", randomBytes(4, 2 << 20)));
  const before = openFilesIn(served.directory);
  for (let i = 0; i < 30; i++) {
    const response = await ok(await served.request("HEAD", "/v1/files/a"));
    assertEquals([response.headers.get("content-length"), response.body], [String(2 << 20), null]);
  }
  assertEquals(openFilesIn(served.directory), before);
  assertEquals((await served.request("HEAD", "/v1/files/none")).status, 404);
});

Deno.test("GET, HEAD and DELETE /v1/files know only what is there, and only files can be read", async () => {
  await using served = await serveTree();
  await ok(await served.request("PUT", "/v1/directories/d"));
  for (const path of ["none", "d/none"]) {
    await assertProblem(await served.request("GET", `/v1/files/${path}`), 404, "not-found");
    await assertProblem(await served.request("DELETE", `/v1/files/${path}`), 404, "not-found");
    assertEquals(await (await served.request("GET", `/v1/entries/${path}`)).json(), { entry: null });
  }
  await assertProblem(await served.request("GET", "/v1/files/d"), 404, "not-found");
});

Deno.test("GET /v1/files says so when the file is gone from the disk", async () => {
  await using served = await serveTree();
  await ok(await put(served, "a", "x"));
  Deno.removeSync(`${served.directory}/a`);
  await assertProblem(await served.request("GET", "/v1/files/a"), 404, "not-found");
});

Deno.test("DELETE /v1/files removes a file, or a directory with all that it knows", async () => {
  await using served = await serveTree();
  await ok(await put(served, "d/e/f", "x"));
  await ok(await put(served, "g", "x"));
  assertEquals(await (await ok(await served.request("DELETE", "/v1/files/d"))).json(), { sequence: 3 });
  assertEquals(await treeText(served.directory), 'g "x"');
  await ok(await put(served, "d/known", "x"));
  Deno.writeTextFileSync(`${served.directory}/d/mine`, "precious");
  await assertProblem(await served.request("DELETE", "/v1/files/d"), 409, "exists-unknown");
  assertEquals(Deno.readTextFileSync(`${served.directory}/d/mine`), "precious");
});

Deno.test("PUT /v1/directories and /v1/links make what they say", async () => {
  const clock = new FakeClock(MTIME);
  await using served = await serveTree({ clock });
  await ok(await served.request("PUT", "/v1/directories/a/b", { body: '{"mtime":7,"mode":448}' }));
  const { mtime, mode } = Deno.lstatSync(`${served.directory}/a/b`);
  assertEquals([mtime!.getTime(), mode! & 0o777], [7, 0o700]);
  await ok(await served.request("PUT", "/v1/directories/plain"));
  assertEquals(Deno.lstatSync(`${served.directory}/plain`).mtime!.getTime(), MTIME);
  const headers = { "content-type": "application/json; charset=utf-8" };
  await ok(await served.request("PUT", "/v1/links/l", { body: '{"target":"../x y"}', headers }));
  assertEquals(Deno.readLinkSync(`${served.directory}/l`), "../x y");
  await assertProblem(await put(served, "a", "x"), 409, "conflict");
  await assertProblem(await put(served, "l/x", "x"), 409, "conflict");
});

Deno.test("PUT /v1/directories and /v1/links refuse bodies that make no sense", async () => {
  await using served = await serveTree();
  for (const body of ["{", "[]", "null", '"x"', '{"mtime":"now"}', '{"mode":99999}', '{"mtime":1e999}']) {
    await assertProblem(await served.request("PUT", "/v1/directories/d", { body }), 400, "bad-request");
  }
  const headers = { "content-type": "application/json" };
  for (const body of ["", "{", "[]", "{}", '{"target":""}', '{"target":"a\\u0000"}', '{"target":5}']) {
    await assertProblem(await served.request("PUT", "/v1/links/l", { body, headers }), 400, "bad-request");
  }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"]) {
    const response = await served.request("PUT", "/v1/links/l", {
      body: '{"target":"x"}',
      headers: { "content-type": type },
    });
    await assertProblem(response, 415, "unsupported");
  }
  assertEquals(await treeText(served.directory), "");
});

Deno.test("GET /v1/files gives the whole to who asks for a part of what it was", async () => {
  await using served = await serveTree();
  await ok(await put(served, "a", "0123456789"));
  for (const before of ['"1"', new Date(MTIME).toUTCString()]) {
    const headers = { range: "bytes=5-", "if-range": before };
    const response = await served.request("GET", "/v1/files/a", { headers });
    assertEquals([response.status, response.headers.get("content-range")], [200, null]);
    assertEquals(await response.text(), "0123456789");
  }
});
