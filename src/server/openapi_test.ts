/**
 * docs/openapi.json tells what the server does: the same routes, and answers that fit their schemas. The
 * client here is another one than the program's: it knows of the protocol what docs/PROTOCOL.md tells.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Json, resolveRef, schemaFault } from "../../tests/support/json_schema.ts";
import { serveTree } from "../../tests/support/subjects.ts";
import { blake3 } from "../hashing/blake3.ts";
import { sha256 } from "../hashing/sha256.ts";

const PATH = fromFileUrl(new URL("../../docs/openapi.json", import.meta.url));
const document: Json = JSON.parse(Deno.readTextFileSync(PATH));

/** Every operation, as `GET /v1/tree`. */
const operations = new Map<string, Json>(
  Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation])
  ),
);

Deno.test("docs/openapi.json has the routes of the server, and no others", async () => {
  await using served = await serveTree();
  const routes = served.app.routes
    // What stands in front of routes holds for all methods, or for the guard only.
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}").replace(/\*$/, "{path}")}`);
  assertEquals([...operations.keys()].sort(), [...new Set(routes)].sort());
});

Deno.test("docs/openapi.json holds together", () => {
  let references = 0;
  (function visit(value: Json) {
    if (value === null || typeof value !== "object") return;
    if ("$ref" in value) {
      references++;
      resolveRef(document, value);
    }
    Object.values(value).forEach(visit);
  })(document);
  assert(references > 100);
  const ids = [...operations.values()].map(({ operationId }) => operationId);
  assertEquals(new Set(ids).size, ids.length);
  for (const [name, { parameters = [], tags }] of operations) {
    const wanted = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    const told = parameters.map((parameter: Json) => resolveRef(document, parameter))
      .filter((parameter: Json) => parameter.in === "path").map((parameter: Json) => parameter.name);
    assertEquals(told, wanted, name);
    assert(document.tags.some((tag: Json) => tag.name === tags[0]), name);
  }
});

const encoder = new TextEncoder();

/** A framed body. */
function framed(...frames: [header: Json, content?: Uint8Array][]): RequestInit {
  const parts = frames.flatMap(([header, content = new Uint8Array()]) => {
    const json = encoder.encode(JSON.stringify(header));
    const lengths = new Uint8Array(8);
    new DataView(lengths.buffer).setUint32(0, json.length, true);
    new DataView(lengths.buffer).setUint32(4, content.length, true);
    return [lengths, json, new Uint8Array(content)];
  });
  return { body: new Blob(parts), headers: { "content-type": "application/vnd.filesync.frames" } };
}

/** The frames in an answer. */
function unframed(body: Uint8Array): { header: Json; content: Uint8Array }[] {
  const view = new DataView(body.buffer, body.byteOffset);
  const frames = [];
  for (let at = 0; at < body.length;) {
    const header = at + 8 + view.getUint32(at, true);
    const end = header + view.getUint32(at + 4, true);
    const text = new TextDecoder().decode(body.subarray(at + 8, header));
    frames.push({ header: JSON.parse(text), content: body.subarray(header, end) });
    at = end;
  }
  return frames;
}

/** A packed manifest. */
function packed(chunks: Uint8Array[]): Uint8Array {
  const manifest = new Uint8Array(chunks.length * 36);
  chunks.forEach((chunk, i) => {
    manifest.set(Uint8Array.fromHex(blake3(chunk)), i * 36);
    new DataView(manifest.buffer).setUint32(i * 36 + 32, chunk.length, true);
  });
  return manifest;
}

function json(value: Json): RequestInit {
  return { body: JSON.stringify(value), headers: { "content-type": "application/json" } };
}

/** An answer that was compared with what is told of it. */
interface Told {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any -- its shape was compared with the schema
  body: any;
}

/** A server, and a client that believes nothing but the document. */
async function openClient() {
  const served = await serveTree({ keep: { retention: { count: 5 } } });
  const asked = new Set<string>();
  return {
    served,
    asked,
    /** Asks, and compares the answer with what the document tells of it. */
    async ask(name: string, path: string, init: RequestInit = {}): Promise<Told> {
      const [method] = name.split(" ");
      const response = await served.request(method, path, init);
      const body = await response.bytes();
      const { status, headers } = response;
      const shown = `${name} ${status} ${new TextDecoder().decode(body).slice(0, 300)}`;
      asked.add(name);
      const { responses } = operations.get(name)!;
      const { content } = resolveRef(document, responses[status] ?? responses.default);
      const type = headers.get("content-type")?.split(";")[0] ?? "";
      assert(type in content, `${shown}: ${type} is not told`);
      const { schema, "x-filesync-frames": frames, "x-filesync-line": line } = content[type];
      const text = () => new TextDecoder().decode(body);
      const check = (schema: Json, value: Json) => {
        assertEquals(schemaFault(document, schema, value), undefined, shown);
        return value;
      };
      const read = () => {
        if (frames !== undefined) {
          const found = unframed(body);
          for (const { header } of found) check(frames[0].header, header);
          return found;
        }
        if (line !== undefined) {
          assert(text().endsWith("\n\n") || text() === "\n", shown);
          return text().trim().split("\n").filter(Boolean).map((value) => check(line, JSON.parse(value)));
        }
        return /json$/.test(type) ? check(schema, JSON.parse(text())) : text();
      };
      return { status, headers, body: read() };
    },
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}

Deno.test("docs/openapi.json tells what is answered: a push, by a client that knows docs/PROTOCOL.md only", async () => {
  await using client = await openClient();
  const { ask, asked } = client;
  assertEquals((await ask("GET /healthz", "/healthz")).body.status, "ok");
  const { body: session } = await ask("POST /v1/sessions", "/v1/sessions", json({ protocol: 1 }));
  const waiting = { actions: 1, bytes: 4_500 };
  const problems = [{ code: "io", path: "x", message: "Cannot read it", permanent: false, retryIn: 1_000 }];
  const told = json({ waiting, problems, problemCount: 1 });
  assertEquals((await ask("POST /v1/status", "/v1/status", told)).body.known, false);

  // Cut as nobody else does: into pieces of 1,000 bytes.
  const content = crypto.getRandomValues(new Uint8Array(4_500));
  const digest = sha256(content);
  const chunks = [0, 1, 2, 3, 4].map((i) => content.subarray(1_000 * i, 1_000 * (i + 1)));
  const offer = { digest, size: content.length, chunked: true };
  const check = () => ask("POST /v1/check", "/v1/check", framed([offer, packed(chunks)]));
  assertEquals((await check()).body.needs, [[[0, 5]]]);
  const whole = framed([{ ...offer, digest: sha256(chunks[0]), chunked: false }]);
  assertEquals((await ask("POST /v1/check", "/v1/check", whole)).body.needs, ["whole"]);
  await ask(
    "POST /v1/chunks",
    "/v1/chunks",
    framed(...chunks.slice(0, 2).map((chunk): [Json, Uint8Array] => [{ digest: blake3(chunk) }, chunk])),
  );
  const third = `/v1/chunks/${blake3(chunks[2])}`;
  await ask("PUT /v1/chunks/{digest}", third, { body: new Uint8Array(chunks[2]) });
  assertEquals((await check()).body.needs, [[[3, 5]]]);
  await ask("POST /v1/runs", "/v1/runs", framed([{ content: digest, first: 3 }, content.subarray(3_000)]));
  assertEquals((await check()).body.needs, [[]]);

  const put = { type: "put", path: "d/a", size: content.length, mtime: 1e12, mode: 0o640, digest };
  const small = encoder.encode("small");
  const batch = framed(
    [{
      key: "batch number 1",
      actions: [
        put,
        { ...put, path: "small", size: 5, digest: sha256(small), expected: { kind: "nothing" } },
        { type: "symlink", path: "l", mtime: 1e12, target: "d/a" },
        { type: "remove", path: "d/a", expected: { kind: "directory" } },
      ],
    }],
    [{ digest: sha256(small) }, small],
  );
  const { body: first } = await ask("POST /v1/batch", "/v1/batch", batch);
  assertEquals(first.results.map(({ done }: Json) => done), [true, true, true, false]);
  assertEquals(first.results[3].problem.code, "conflict");
  assert(first.after > first.before && first.before === session.sequence);

  const { body: entries } = await ask("GET /v1/tree", "/v1/tree");
  assertEquals(entries.map(({ path }: Json) => path), ["d", "d/a", "l", "small"]);
  assertEquals((await check()).body.needs, ["nothing"]);

  const { body: [groups] } = await ask("POST /v1/manifests", "/v1/manifests", json({ path: "d/a" }));
  assertEquals([groups.header.digest, groups.header.size], [digest, content.length]);
  await ask("POST /v1/manifests", "/v1/manifests", json({ digest, groups: [0] }));
  const { body: [manifest] } = await ask("GET /v1/manifests/{digest}", `/v1/manifests/${digest}`);
  assertEquals(manifest.content.length % 36, 0);

  // All of it, in blocks of 512 bytes: zigzag 0, and 4,500 as a varint.
  const all = new Uint8Array([0, 0x94, 0x23]);
  const { body: [signed] } = await ask(
    "POST /v1/signatures",
    "/v1/signatures",
    framed([{ content: digest, blockSize: 512 }, all]),
  );
  const bits = 20 + Math.log2(4_500) + Math.log2(9) - 32;
  assertEquals(signed.content.length, 9 * (4 + Math.max(1, Math.ceil(bits / 8))));
  const weak = content.subarray(0, 512).reduce((h, byte) => (Math.imul(h, 0x08104225) + byte) >>> 0, 0);
  assertEquals(new DataView(signed.content.buffer, signed.content.byteOffset).getUint32(0, true), weak);
  const { body: [piece] } = await ask("POST /v1/pieces", "/v1/pieces", framed([{ content: digest }, all]));
  assertEquals(piece.content, content);

  // "!" and all of the old content: version, base, size, one operation of one literal, from 0, 4,500 bytes.
  const changed = new Uint8Array([33, ...content]);
  const delta = new Uint8Array([
    ...[1, ...Uint8Array.fromHex(digest), 0x95, 0x23, 1],
    ...[1, 0, 0x94, 0x23, 33],
  ]);
  const edited = {
    ...put,
    size: changed.length,
    digest: sha256(changed),
    expected: { kind: "file", digest },
  };
  const again = framed([{ key: "batch number 2", actions: [edited] }], [
    { digest: edited.digest, delta: true },
    delta,
  ]);
  assertEquals((await ask("POST /v1/batch", "/v1/batch", again)).body.results, [{ done: true }]);
  assertEquals(Deno.readFileSync(`${client.served.directory}/d/a`), changed);

  assertEquals((await ask("POST /v1/refresh", "/v1/refresh")).body.at(-1).info.problems, []);
  const { body: history } = await ask("GET /v1/history", "/v1/history?under=d&limit=5");
  assertEquals(history.records[0].what, "put");
  const { body: versions } = await ask("GET /v1/versions", "/v1/versions?under=d");
  assertEquals(versions.versions[0].entry.digest, digest);
  const old = `/v1/versions/contents/${digest}`;
  assertEquals((await ask("GET /v1/versions/contents/{digest}", old)).status, 200);
  const { body: then } = await ask("GET /v1/versions/tree", "/v1/versions/tree?at=99999999999999");
  assertEquals(then.length, 4);

  await ask("PUT /v1/directories/{path}", "/v1/directories/e/f", json({ mode: 0o700 }));
  await ask("PUT /v1/links/{path}", "/v1/links/e/l", json({ target: "f" }));
  await ask("PUT /v1/files/{path}", "/v1/files/e/a%20b?mode=384", { body: "hello" });
  const hello = "/v1/files/e/a%20b";
  const { status, body } = await ask("GET /v1/files/{path}", hello, { headers: { range: "bytes=1-2" } });
  assertEquals([status, body], [206, "el"]);
  await ask("POST /v1/move", "/v1/move", json({ from: "e/a b", to: "e/c" }));
  assertEquals((await ask("GET /v1/entries/{path}", "/v1/entries/e/c")).body.entry.mode, 0o600);
  assertEquals((await ask("GET /v1/entries/{path}", hello.replace("files", "entries"))).body.entry, null);
  await ask("DELETE /v1/files/{path}", "/v1/files/e");
  await ask("GET /metrics", "/metrics");
  assertEquals([...operations.keys()].filter((name) => !asked.has(name)), []);
});

Deno.test("docs/openapi.json tells what is answered: refusals", async () => {
  await using client = await openClient();
  const { ask } = client;
  const cases: [name: string, path: string, init: RequestInit, status: number, code: string][] = [
    ["POST /v1/sessions", "/v1/sessions", json({ protocol: 2 }), 426, "upgrade"],
    ["POST /v1/sessions", "/v1/sessions", { body: "{}" }, 415, "unsupported"],
    ["POST /v1/sessions", "/v1/sessions", json({}), 400, "bad-request"],
    ["GET /v1/tree", "/v1/tree", { headers: { authorization: "Bearer no" } }, 401, "unauthorized"],
    ["POST /v1/batch", "/v1/batch", framed(), 400, "bad-request"],
    [
      "POST /v1/chunks",
      "/v1/chunks",
      framed([{ digest: sha256(new Uint8Array()) }, encoder.encode("x")]),
      422,
      "digest-mismatch",
    ],
    [
      "POST /v1/runs",
      "/v1/runs",
      framed([{ content: sha256(new Uint8Array()), first: 0 }]),
      409,
      "content-missing",
    ],
    ["GET /v1/files/{path}", "/v1/files/none", {}, 404, "not-found"],
    ["GET /v1/files/{path}", "/v1/files/..%2Fx", {}, 400, "bad-path"],
    [
      "PUT /v1/files/{path}",
      "/v1/files/a",
      { body: "a", headers: { "repr-digest": `sha-256=:${btoa("\0".repeat(32))}:` } },
      422,
      "digest-mismatch",
    ],
    [
      "GET /v1/versions/contents/{digest}",
      `/v1/versions/contents/${"0".repeat(64)}`,
      {},
      409,
      "content-missing",
    ],
    ["POST /v1/move", "/v1/move", json({ from: "none", to: "x" }), 404, "not-found"],
  ];
  for (const [name, path, init, status, code] of cases) {
    const answer = await ask(name, path, init);
    assertEquals([answer.status, answer.body.code, answer.body.status], [status, code, status], name);
    assert(
      String(status) in operations.get(name)!.responses || [401, 403].includes(status),
      `${name} ${status}`,
    );
  }
  await using plain = await serveTree();
  assertEquals((await plain.request("GET", "/v1/versions")).status, 404);
});
