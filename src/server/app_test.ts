import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { type ServedTree, serveTree, TOKEN } from "../../tests/support/subjects.ts";
import { makeTree, snapshotTree, treeText } from "../../tests/support/trees.ts";
import { packManifest } from "../core/chunk.ts";
import { systemClock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { encodeFrames, type Frame, FRAMES_TYPE } from "../core/frames.ts";
import { PROBLEM_TYPE, REQUEST_HEADER } from "../core/wire.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { Receiver } from "../transport/receiver.ts";
import { listen } from "./listen.ts";

const JSON_TYPE = "application/json";
const NOTHING = new Uint8Array();
const DIGEST = sha256(NOTHING);

/** A served tree with something in it, that must be left as it is. */
async function serveSomething() {
  const served = await serveTree();
  for (const path of ["a", "d/b"]) {
    await (await served.request("PUT", `/v1/files/${path}`, { body: path })).body?.cancel();
  }
  const before = await snapshotTree(served.directory);
  const { sequence } = served.receiver.index;
  return Object.assign(served, {
    async assertUntouched() {
      assertEquals(await snapshotTree(served.directory), before);
      assertEquals(served.receiver.index.sequence, sequence);
      assertEquals(served.receiver.index.sql("SELECT count(*) AS n FROM staged").get()!.n, 0);
      assertEquals(served.receiver.index.sql("SELECT count(*) AS n FROM offers").get()!.n, 0);
      assertEquals([...Deno.readDirSync(`${served.directory}/.filesync/tmp`)], []);
      assertEquals(served.failures, [], "nothing was taken for a fault of the server");
    },
  });
}

/** The answer refuses the request, in the form that clients understand. */
async function assertRefused(response: Response, status?: number): Promise<void> {
  const text = await response.text();
  const shown = `${response.status} ${text.slice(0, 300)}`;
  assert(response.status >= 400 && response.status < 500, shown);
  if (status !== undefined) assertEquals(response.status, status, shown);
  assertEquals(response.headers.get("content-type"), PROBLEM_TYPE);
  const document = JSON.parse(text);
  assertMatch(document.type, /^urn:filesync:problem:[a-z-]+$/);
  assertEquals([typeof document.title, document.status], ["string", response.status]);
  assertMatch(document.detail, /^Cannot /);
  // Nothing of this machine is told.
  assert(!text.includes("/proc/") && !text.includes("    at ") && !text.includes(TOKEN), text);
}

function framed(path: string, body: BodyInit): [string, string, RequestInit] {
  return ["POST", path, { body, headers: { "content-type": FRAMES_TYPE } }];
}

function json(method: string, path: string, body: BodyInit): [string, string, RequestInit] {
  return [method, path, { body, headers: { "content-type": JSON_TYPE } }];
}

Deno.test("createApp() knows its routes and methods, and no others", async () => {
  await using served = await serveSomething();
  const unknown = [
    ["GET", "/"],
    ["GET", "/v1"],
    ["GET", "/v1/"],
    ["GET", "/v2/tree"],
    ["GET", "/V1/tree"],
    ["GET", "/v1/tree/x"],
    ["POST", "/v1/tree"],
    ["DELETE", "/v1/tree"],
    ["GET", "/v1/batch"],
    ["PUT", "/v1/batch"],
    ["GET", "/v1/sessions"],
    ["POST", "/v1/files/a"],
    ["PATCH", "/v1/files/a"],
    ["OPTIONS", "/v1/files/a"],
    ["DELETE", "/v1/directories/d"],
    ["DELETE", "/v1/entries/a"],
    ["GET", `/v1/chunks/${DIGEST}`],
    ["PUT", `/v1/chunks/${DIGEST}/x`],
    ["PROPFIND", "/v1/files/a"],
    ["GET", "/.filesync/token"],
    ["GET", `/${"x".repeat(5_000)}`],
  ];
  for (const [method, path] of unknown) await assertRefused(await served.request(method, path), 404);
  await served.assertUntouched();
});

Deno.test("createApp() tells browsers to be careful with every answer", async () => {
  await using served = await serveTree();
  for (const path of ["/healthz", "/v1/history", "/none"]) {
    const { headers, body } = await served.request("GET", path);
    await body?.cancel();
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertEquals(headers.get("cross-origin-resource-policy"), "same-origin");
    assertEquals(headers.get("access-control-allow-origin"), null);
    // It would bind every other server of this host's name to HTTPS.
    assertEquals(headers.get("strict-transport-security"), null);
  }
});

/** A receiver whose every answer is `error`. */
function failing(error: Error): Receiver {
  return new Proxy({}, { get: () => () => Promise.reject(error) }) as Receiver;
}

Deno.test("createApp() answers 503 while the tree is read, and says when to come again", async () => {
  const indexing = new FilesyncError({ code: "indexing", operation: "x", reason: "y", retryAfter: 1_000 });
  await using busy = await serveTree({ inFront: failing(indexing) });
  const asked: Parameters<ServedTree["request"]>[] = [
    json("POST", "/v1/sessions", '{"protocol":1}'),
    ["GET", "/v1/tree"],
    ["GET", "/v1/history"],
    ["GET", "/v1/entries/a"],
    ["PUT", "/v1/files/a", { body: "x" }],
    ["DELETE", "/v1/files/a"],
    ["PUT", "/v1/directories/a"],
    framed("/v1/check", NOTHING),
    framed("/v1/chunks", NOTHING),
  ];
  for (const request of asked) {
    const response = await busy.request(...request);
    assertEquals([response.status, response.headers.get("retry-after")], [503, "1"], request[1]);
    assertEquals((await response.json()).code, "indexing");
  }
  assertEquals(busy.failures, [], "it is no failure to be told of");
});

Deno.test("createApp() tells of its own failures, and answers 500", async () => {
  await using broken = await serveTree({ inFront: failing(new TypeError("a bug")) });
  const response = await broken.request("GET", "/v1/history");
  assertEquals([response.status, (await response.json()).code], [500, "io"]);
  assertEquals(broken.failures.length, 1);
});

/** Segments that no path may have, and that no resolving of an address takes away. */
const BAD_SEGMENTS = [
  "%00",
  "a%00b",
  "%2f",
  "..%2f..%2fetc",
  "%2e%2e%2fx",
  "%2fetc%2fpasswd",
  ".filesync",
  "%2efilesync",
  ".FILESYNC",
  ".f%69lesync",
  "%ff",
  "%c0%ae%c0%ae",
  "%ed%a0%80",
  "%",
  "%zz",
  "a%",
  "x".repeat(256),
  "%F0%9F%98%80".repeat(64),
  "%ef%bf%bd",
];
const COLLECTIONS: [method: string, collection: string, body?: string][] = [
  ["GET", "entries"],
  ["GET", "files"],
  ["HEAD", "files"],
  ["PUT", "files", "x"],
  ["DELETE", "files"],
  ["PUT", "directories", ""],
  ["PUT", "links", '{"target":"x"}'],
];

Deno.test("createApp() refuses paths that lead out of the tree or into its own state, however they are written", async () => {
  await using served = await serveSomething();
  const headers = { "content-type": JSON_TYPE };
  const good = fc.constantFrom("a", "d", "%61", "%F0%9F%98%80");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...COLLECTIONS),
      fc.array(good, { maxLength: 3 }),
      fc.oneof(fc.constantFrom(...BAD_SEGMENTS), fc.constant("")),
      fc.array(good, { maxLength: 3 }),
      async ([method, collection, body], before, bad, after) => {
        const path = `/v1/${collection}/${[...before, bad, ...after].join("/")}`;
        const response = await served.request(method, path, { body, headers });
        if (method === "HEAD") assertEquals([response.status, response.body], [400, null]);
        else await assertRefused(response, 400);
      },
    ),
    { numRuns: 400 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("..", "%2e%2e", ".%2E", ".", "%2e", "\\", "..\\", "x", "etc")),
      async (names) => {
        // What stands nowhere can be asked for by any address; none may reach beyond the tree.
        for (const method of ["GET", "DELETE"]) {
          await assertRefused(await served.request(method, `/v1/files/${names.join("/")}`));
        }
      },
    ),
    { numRuns: 300 },
  );
  await served.assertUntouched();
});

Deno.test("createApp() does not mistake a route in another spelling for a path", async () => {
  await using served = await serveSomething();
  for (const path of ["/%76%31/files/xx/a", "/v1/fi%6ces/a", "/v%31/files/d"]) {
    await assertRefused(await served.request("DELETE", path));
    await assertRefused(await served.request("PUT", path, { body: "x" }));
  }
  await served.assertUntouched();
});

Deno.test("createApp() refuses a body of the wrong media type with 415", async () => {
  await using served = await serveSomething();
  const batch = encodeFrames([{ header: { key: "12345678", actions: [] }, content: NOTHING }]);
  for (
    const type of ["text/plain", "application/octet-stream", "multipart/form-data", "", `${FRAMES_TYPE}2`]
  ) {
    const headers = { "content-type": type };
    for (const path of ["/v1/batch", "/v1/check", "/v1/chunks"]) {
      for (const other of [headers, { "content-type": JSON_TYPE }]) {
        await assertRefused(await served.request("POST", path, { body: batch, headers: other }), 415);
      }
    }
    for (const path of ["/v1/sessions", "/v1/move"]) {
      await assertRefused(await served.request("POST", path, { body: "{}", headers }), 415);
    }
    await assertRefused(await served.request("PUT", "/v1/links/x", { body: '{"target":"x"}', headers }), 415);
  }
  await served.assertUntouched();
});

Deno.test("createApp() refuses a body that is too large with 413, said or not said", async () => {
  await using served = await serveSomething();
  const huge = { framed: 33 << 20, json: (1 << 20) + 1 };
  const routes: [method: string, path: string, type: string, bytes: number][] = [
    ["POST", "/v1/batch", FRAMES_TYPE, huge.framed],
    ["POST", "/v1/check", FRAMES_TYPE, huge.framed],
    ["POST", "/v1/chunks", FRAMES_TYPE, huge.framed],
    ["PUT", `/v1/chunks/${DIGEST}`, "", huge.framed],
    ["POST", "/v1/sessions", JSON_TYPE, huge.json],
    ["POST", "/v1/move", JSON_TYPE, huge.json],
    ["PUT", "/v1/links/x", JSON_TYPE, huge.json],
    ["PUT", "/v1/directories/x", JSON_TYPE, huge.json],
  ];
  for (const [method, path, type, bytes] of routes) {
    const headers = { "content-type": type };
    const said = { ...headers, "content-length": "99999999999999" };
    await assertRefused(await served.request(method, path, { headers: said, body: "x" }), 413);
    const body = ReadableStream.from(function* () {
      for (let sent = 0; sent < bytes; sent += 1 << 20) yield new Uint8Array(1 << 20).fill(32);
      yield new Uint8Array(1);
    }());
    await assertRefused(await served.request(method, path, { headers, body }), 413);
  }
  await served.assertUntouched();
});

Deno.test("createApp() refuses a body that breaks off", async () => {
  await using served = await serveSomething();
  const broken = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(10)),
      pull: (controller) => controller.error(new TypeError("connection reset")),
    });
  const routes: [string, string, string][] = [
    ["POST", "/v1/batch", FRAMES_TYPE],
    ["POST", "/v1/chunks", FRAMES_TYPE],
    ["PUT", `/v1/chunks/${DIGEST}`, ""],
    ["POST", "/v1/move", JSON_TYPE],
    ["PUT", "/v1/files/a", ""],
    ["PUT", "/v1/directories/x", JSON_TYPE],
  ];
  for (const [method, path, type] of routes) {
    for (const length of ["", "100"]) {
      const headers = new Headers({ "content-type": type });
      if (length !== "") headers.set("content-length", length);
      await assertRefused(await served.request(method, path, { body: broken(), headers }), 400);
    }
  }
  await served.assertUntouched();
});

/** A batch, an offer and chunks that would all change something. */
function goodFrames() {
  const data = randomBytes(1, 500);
  const digest = sha256(data);
  const put = { type: "put", path: "new", size: data.length, mtime: 1, mode: 0o644, digest };
  return {
    "/v1/batch": [
      {
        header: { key: "a key that is long", actions: [put, { type: "remove", path: "a" }] },
        content: NOTHING,
      },
      { header: { digest }, content: data },
    ],
    "/v1/chunks": [{ header: { digest }, content: data }, { header: { digest }, content: data }],
    "/v1/check": [
      { header: { digest, size: 500, chunked: true }, content: packManifest([{ digest, length: 500 }]) },
    ],
  } satisfies Record<string, Frame[]>;
}

Deno.test("createApp() refuses a framed body that was cut anywhere", async () => {
  await using served = await serveSomething();
  for (const [path, frames] of Object.entries(goodFrames())) {
    const body = encodeFrames(frames);
    const ends = frames.map((_, i) => encodeFrames(frames.slice(0, i + 1)).length);
    for (let length = 1; length < body.length; length++) {
      if (!ends.includes(length)) {
        await assertRefused(await served.request(...framed(path, body.slice(0, length))), 400);
      }
    }
  }
  await served.assertUntouched();
});

Deno.test("createApp() refuses frames whose headers or contents are not what they must be", async () => {
  await using served = await serveSomething();
  const { "/v1/batch": [batch, content], "/v1/check": [offer] } = goodFrames();
  const { header } = batch as { header: { key: string; actions: Record<string, unknown>[] } };
  const withAction = (change: Record<string, unknown>) => [
    { header: { ...header, actions: [{ ...header.actions[0], ...change }] }, content: NOTHING },
    content,
  ];
  const wrong: [string, Frame[]][] = [
    ["/v1/batch", []],
    ["/v1/batch", [content, batch]],
    ["/v1/batch", [{ header: null, content: NOTHING }]],
    ["/v1/batch", [{ header: { key: "short", actions: [] }, content: NOTHING }]],
    ["/v1/batch", [{ header: { key: "12345678", actions: {} }, content: NOTHING }]],
    ["/v1/batch", [batch, { header: {}, content: NOTHING }]],
    ["/v1/batch", [batch, { header: { digest: "../../etc/passwd" }, content: NOTHING }]],
    ["/v1/batch", withAction({ path: "../new" })],
    ["/v1/batch", withAction({ path: "/new" })],
    ["/v1/batch", withAction({ path: "d/.filesync/x" })],
    ["/v1/batch", withAction({ path: "a\0" })],
    ["/v1/batch", withAction({ type: "move", from: "../a" })],
    ["/v1/batch", withAction({ type: "symlink", target: "" })],
    ["/v1/batch", withAction({ type: "exec" })],
    ["/v1/batch", withAction({ size: -1 })],
    ["/v1/batch", withAction({ mtime: 1e300 })],
    ["/v1/batch", withAction({ digest: "x" })],
    ["/v1/chunks", [{ header: { digest: DIGEST.toUpperCase() }, content: NOTHING }]],
    ["/v1/chunks", [{ header: [], content: NOTHING }]],
    ["/v1/check", [{ ...offer, header: { ...(offer.header as object), size: 499 } }]],
    ["/v1/check", [{ ...offer, header: { ...(offer.header as object), size: Number.MAX_SAFE_INTEGER } }]],
    ["/v1/check", [{ ...offer, header: { ...(offer.header as object), chunked: "yes" } }]],
    ["/v1/check", [{ ...offer, content: offer.content.slice(1) }]],
  ];
  for (const [path, frames] of wrong) {
    await assertRefused(await served.request(...framed(path, encodeFrames(frames))), 400);
  }
  const lie = { header: { digest: sha256(randomBytes(9, 9)) }, content: randomBytes(8, 9) };
  await assertRefused(await served.request(...framed("/v1/chunks", encodeFrames([lie]))), 422);
  await assertRefused(await served.request("PUT", `/v1/chunks/${DIGEST}`, { body: "x" }), 422);
  await assertRefused(await served.request("PUT", "/v1/chunks/x", { body: "x" }), 400);
  const many = Array.from({ length: 2_001 }, () => ({ type: "remove", path: "a" }));
  const tooMany = encodeFrames([{ header: { key: "12345678", actions: many }, content: NOTHING }]);
  await assertRefused(await served.request(...framed("/v1/batch", tooMany)), 413);
  await served.assertUntouched();
});

Deno.test("createApp() never fails because of a request, whatever it is", async () => {
  await using served = await serveTree();
  const value = fc.anything({ maxDepth: 2 }).map((value) => {
    try {
      return JSON.stringify(value) ?? "";
    } catch {
      return "";
    }
  });
  const bytes = fc.uint8Array({ maxLength: 200 }).map((given) => new Uint8Array(given));
  const scrambled = fc.record({
    frames: fc.constantFrom(...Object.values(goodFrames())),
    at: fc.nat(),
    to: fc.integer({ min: 0, max: 255 }),
  }).map(({ frames, at, to }) => {
    const body = encodeFrames(frames);
    body[at % body.length] = to;
    return body;
  });
  const type = fc.constantFrom(JSON_TYPE, FRAMES_TYPE, "text/plain");
  const method = fc.constantFrom("GET", "PUT", "POST", "DELETE", "HEAD", "PATCH");
  const path = fc.oneof(
    fc.constantFrom(
      "sessions",
      "batch",
      "check",
      "chunks",
      "move",
      "tree",
      "history",
      "files/a/b",
      "links/l",
    ),
    fc.webPath().map((path) => `files${path}`),
    fc.webQueryParameters().map((query) => `history?${query}`),
    fc.webQueryParameters().map((query) => `files/a?mtime=${query}&mode=${query}`),
    fc.string().map((text) => `entries/${encodeURIComponent(text.toWellFormed())}`),
  );
  const header = fc.string({ maxLength: 30 }).map((text) => text.replace(/[^\x20-\x7e]/g, "").trim());
  await fc.assert(
    fc.asyncProperty(
      method,
      path,
      type,
      fc.oneof(value, bytes, scrambled),
      header,
      async (method, path, type, body, header) => {
        const response = await served.request(method, `/v1/${path}`, {
          body: method === "GET" || method === "HEAD" ? undefined : body,
          headers: {
            "content-type": type,
            range: `bytes=${header}`,
            "repr-digest": header,
            "filesync-session": header,
          },
        });
        const text = await response.text();
        assert(response.status < 500, `${response.status} ${text}`);
      },
    ),
    { numRuns: 1_500 },
  );
  assertEquals(served.failures, []);
});

/** Sends bytes as they are, and gives what comes back until the connection is closed. */
async function exchange(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  try {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    await connection.closeWrite();
  } catch {
    // It may be refused before it is sent.
  }
  let answer = "";
  const buffer = new Uint8Array(4_096);
  try {
    for (let n: number | null; (n = await connection.read(buffer)) !== null;) {
      answer += new TextDecoder().decode(buffer.subarray(0, n));
    }
  } catch {
    // Reset, with all that came before.
  }
  return answer;
}

Deno.test("createApp() stands what no client of ours would send, over a socket", async () => {
  await using served = await serveSomething();
  const outside = makeTree(`${served.directory}-outside`, { secret: "precious" });
  const listener = listen(served.app, { hostname: "127.0.0.1", port: 0, clock: systemClock });
  try {
    const fields = `Host: x\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n`;
    const targets = [
      "/v1/files/../../etc/passwd",
      "/v1/files/%2e%2e/%2e%2e/etc/passwd",
      "/v1/files/..%2f..%2fetc/passwd",
      `/v1/files/../${outside.split("/").at(-1)}/secret`,
      `/v1/files/..%2f${outside.split("/").at(-1)}%2fsecret`,
      `/v1/files//${outside}/secret`,
      "http://elsewhere/v1/files/..%2fx",
      "/v1/files/a\\..\\..\\b",
      "/v1/files/.filesync/index.db",
      `/v1/files/${"x".repeat(100_000)}`,
      "/v1/files/\0",
      "/v1/files/%",
      "//v1/files/a",
      "/x/../v1/files/a",
      "*",
      "no-slash",
      "",
    ];
    const requests = [
      ...targets.flatMap((target) => [
        `GET ${target} HTTP/1.1\r\n${fields}\r\n`,
        `DELETE ${target} HTTP/1.1\r\n${fields}\r\n`,
      ]),
      // Bodies that end too early, are too long, or of which it is not clear how long they are.
      `PUT /v1/files/a HTTP/1.1\r\n${fields}Content-Length: 100\r\n\r\nonly this`,
      `PUT /v1/files/a HTTP/1.1\r\n${fields}Content-Length: -1\r\n\r\nx`,
      `PUT /v1/files/a HTTP/1.1\r\n${fields}Content-Length: 99999999999999999999999\r\n\r\nx`,
      `PUT /v1/files/a HTTP/1.1\r\n${fields}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`,
      `PUT /v1/files/a HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `PUT /v1/files/a HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\n5\r\nab`,
      `POST /v1/batch HTTP/1.1\r\n${fields}Content-Type: ${FRAMES_TYPE}\r\nContent-Length: 100\r\n\r\nonly this`,
      `POST /v1/batch HTTP/1.1\r\n${fields}Content-Type: ${FRAMES_TYPE}\r\nContent-Length: 9999999999\r\n\r\nx`,
      `POST /v1/move HTTP/1.1\r\n${fields}Content-Type: ${JSON_TYPE}\r\nContent-Length: 100\r\n\r\n{"from":`,
      // What is not quite HTTP.
      "GARBAGE\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00",
      "\r\n\r\n\r\n",
      `GET /v1/history HTTP/9.9\r\n${fields}\r\n`,
      `GET /v1/history HTTP/1.1\r\n${fields}X: ${"y".repeat(1_000_000)}\r\n\r\n`,
      `GET /v1/history HTTP/1.1\r\n${fields}no colon\r\n\r\n`,
      `GET /v1/history HTTP/1.1\r\n${fields}Authorization: Bearer other\r\n\r\n`,
      "GET /v1/history HTTP/1.0\r\n\r\n",
      `CONNECT elsewhere:80 HTTP/1.1\r\n${fields}\r\n`,
    ];
    for (const request of requests) {
      const answer = await exchange(listener.url, request);
      assertMatch(answer, /^(HTTP\/1\.[01] 4\d\d |$)/, JSON.stringify(request.slice(0, 100)));
      assert(!answer.includes("precious") && !answer.includes("root:"), answer);
    }
    assertMatch(
      await exchange(listener.url, `GET /v1/history HTTP/1.1\r\n${fields}\r\n`),
      /^HTTP\/1\.1 200 /,
    );
  } finally {
    await listener.close();
    Deno.removeSync(outside, { recursive: true });
  }
  await served.assertUntouched();
  assertEquals(await treeText(served.directory), 'a "a"\nd/\nd/b "d/b"');
});

Deno.test("createApp() says with every answer to which request it belongs", async () => {
  await using served = await serveTree();
  await using broken = await serveTree({ inFront: failing(new Error("out of order")) });
  const nameOf = async (
    server: ServedTree,
    name: string,
    ...[method, path, init]: [string, string, RequestInit?]
  ) => {
    const headers = { ...init?.headers as Record<string, string>, [REQUEST_HEADER]: name };
    const response = await server.request(method, path, { ...init, headers });
    await response.body?.cancel();
    return [response.status, response.headers.get(REQUEST_HEADER)];
  };
  assertEquals(await nameOf(served, "a-1", "GET", "/v1/tree"), [200, "a-1"]);
  assertEquals(await nameOf(served, "a-2", "GET", "/v1/files/none"), [404, "a-2"]);
  assertEquals(await nameOf(served, "a-3", "GET", "/nowhere"), [404, "a-3"]);
  assertEquals(await nameOf(served, "a-4", ...json("POST", "/v1/move", "{")), [400, "a-4"]);
  assertEquals(
    await nameOf(served, "a-5", "GET", "/v1/tree", { headers: { authorization: "Bearer wrong" } }),
    [401, "a-5"],
  );
  assertEquals(await nameOf(broken, "a-6", "GET", "/v1/entries/a"), [500, "a-6"]);
  for (const odd of ["a b", "x".repeat(101), "<b>", ""]) {
    assertEquals(await nameOf(served, odd, "GET", "/healthz"), [200, null], odd);
  }
});
