import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { openKeeping, openSubject, serveTree, TOKEN } from "../../tests/support/subjects.ts";
import { systemClock } from "../core/clock.ts";
import { type ErrorCode, FilesyncError } from "../core/errors.ts";
import { encodeFrames, FRAMES_TYPE } from "../core/frames.ts";
import { parsePath } from "../core/path.ts";
import { LINES_TYPE, PROBLEM_TYPE, REQUEST_HEADER } from "../core/wire.ts";
import { sha256 } from "../hashing/sha256.ts";
import { createApp } from "../server/app.ts";
import { HttpReceiver, type HttpReceiverOptions } from "./http_receiver.ts";
import type { Receiver } from "./receiver.ts";
import type { LocalReceiver } from "./local_receiver.ts";
import { receiverContract } from "./receiver_contract.ts";
import { treeVersionsContract } from "./tree_versions_contract.ts";

receiverContract("HttpReceiver", () => openSubject(overHttp));
treeVersionsContract("HttpVersions", () => openKeeping(overHttp));

/** What a client sees of `local` by way of a server. */
function overHttp(local: LocalReceiver): HttpReceiver {
  const app = createApp(local, { clock: systemClock, version: "test", guard: { token: TOKEN } });
  return new HttpReceiver("http://server.test", { token: TOKEN, fetch: (request) => app.fetch(request) });
}

/** A client of a server that answers every request with `answer`. */
function clientOf(answer: (request: Request) => Response | Promise<Response>, options?: HttpReceiverOptions) {
  const fetch = async (request: Request) => named(request, await answer(request));
  return new HttpReceiver("http://server.test", { ...options, fetch });
}

/** `response` as the answer to `request`. */
function named(request: Request, response: Response): Response {
  const copy = new Response(response.body, response);
  copy.headers.set(REQUEST_HEADER, request.headers.get(REQUEST_HEADER)!);
  return copy;
}

function json(value: unknown, init?: ResponseInit): Response {
  return Response.json(value, init);
}

function framed(body: Uint8Array<ArrayBuffer>): Response {
  return new Response(body, { headers: { "content-type": FRAMES_TYPE } });
}

const welcome = {
  session: "s",
  indexId: "i",
  sequence: 7,
  hasContents: true,
  chunking: "c",
  maxBatchBytes: 1,
  maxBatchItems: 1,
};

/** Every question a client asks. */
const QUESTIONS: Record<string, (receiver: Receiver) => Promise<unknown>> = {
  open: (receiver) => receiver.open(),
  tree: (receiver) => Array.fromAsync(receiver.tree()),
  entry: (receiver) => receiver.entry(parsePath("a")),
  check: (receiver) => receiver.check([{ digest: sha256(new Uint8Array()), size: 0 }]),
  stage: (receiver) => receiver.stage([{ digest: sha256(new Uint8Array()), data: new Uint8Array() }]),
  apply: (receiver) =>
    receiver.apply({
      key: "12345678",
      actions: [{ type: "remove", path: parsePath("a") }],
      contents: new Map(),
    }),
  signatures: (receiver) =>
    receiver.signatures([{ content: sha256(new Uint8Array()), ranges: [], blockSize: 512 }]),
  manifestGroups: (receiver) => receiver.manifestGroups({ path: parsePath("a") }),
  groupChunks: (receiver) => receiver.groupChunks(sha256(new Uint8Array()), [0]),
  refresh: (receiver) => receiver.refresh(),
  manifest: (receiver) => receiver.manifest(sha256(new Uint8Array())),
  pieces: (receiver) => receiver.pieces([{ content: sha256(new Uint8Array()), ranges: [] }]),
  read: async (receiver) => await new Response(await receiver.read(parsePath("a"))).bytes(),
  history: (receiver) => receiver.history({}),
};

async function failureOf(ask: () => Promise<unknown>): Promise<FilesyncError> {
  return await assertRejects(ask, FilesyncError) as FilesyncError;
}

/** What may answer in place of a filesync server, with 200. */
const STRANGERS: Record<string, () => Response> = {
  "the login page of a network": () =>
    new Response("<!doctype html>\n\n<p>Accept the terms", { headers: { "content-type": "text/html" } }),
  "a page that says it is JSON": () =>
    new Response("<p>hello", { headers: { "content-type": "application/json" } }),
  "a page that says it is a list": () =>
    new Response("<p>hello\n\n", { headers: { "content-type": LINES_TYPE } }),
  "bytes that say they are frames": () => framed(new Uint8Array(9)),
  "no frames": () => framed(new Uint8Array()),
  "another server's frame": () => framed(encodeFrames([{ header: { ok: true }, content: new Uint8Array() }])),
  "another server's object": () => json({ ok: true }),
  "null": () => json(null),
  "an empty list": () => json([]),
  "nothing at all": () => new Response(null, { status: 204 }),
  "an empty text": () => new Response(""),
  "bytes that are no text": () =>
    new Response(new Uint8Array([255, 0, 254]), { headers: { "content-type": LINES_TYPE } }),
};

for (const [what, answer] of Object.entries(STRANGERS)) {
  Deno.test(`HttpReceiver takes ${what} for no server of ours, and may try again`, async () => {
    for (const [name, ask] of Object.entries(QUESTIONS)) {
      const { code, permanent, hint } = await failureOf(() => ask(clientOf(answer)));
      assertEquals([name, code, permanent], [name, "unreachable", false]);
      assert(hint !== undefined, name);
    }
  });
}

Deno.test("HttpReceiver refuses answers that are not as many as were asked for", async () => {
  const { check, apply, stage } = QUESTIONS;
  for (const needs of [[], ["nothing", "nothing"], ["everything"], [[[1]]], [7]]) {
    await failureOf(() => check(clientOf(() => json({ needs }))));
  }
  for (const results of [[], [{ done: true }, { done: true }], [true]]) {
    await failureOf(() => apply(clientOf(() => json({ before: 1, after: 1, results }))));
  }
  await failureOf(() => stage(clientOf(() => json({ staged: 0 }))));
  assertEquals(await check(clientOf(() => json({ needs: [[[1, 3], [5, 6]]] }))), [[1, 2, 5]]);
});

Deno.test("refresh() waits as long as it goes on, and gives what it ended with", async () => {
  const lines = (...values: object[]) =>
    new Response(`${values.map((value) => `${JSON.stringify(value)}\n`).join("")}\n`, {
      headers: { "content-type": LINES_TYPE },
    });
  const { session: _, ...info } = { ...welcome, rootId: "r", foldsNames: true, problems: [] };
  assertEquals(await clientOf(() => lines({ going: true }, { going: true }, { info })).refresh(), info);
  const problem = {
    code: "brake",
    message: "Cannot look: it is gone",
    hint: "Put it back",
    permanent: false,
  };
  const error = await failureOf(() => clientOf(() => lines({ going: true }, { problem })).refresh());
  assertEquals([error.code, error.message, error.hint], [problem.code, problem.message, problem.hint]);
  assertEquals((await failureOf(() => clientOf(() => lines({ going: true })).refresh())).code, "unreachable");
});

Deno.test("tree() fails when the list was cut, wherever that was", async () => {
  const line = (path: string) => `${JSON.stringify({ kind: "directory", path, mtime: 0, mode: 0o755 })}\n`;
  const whole = `${line("a")}${line("é")}\n`;
  const bytes = new TextEncoder().encode(whole);
  const treeOf = (body: BodyInit) =>
    Array.fromAsync(clientOf(() => new Response(body, { headers: { "content-type": LINES_TYPE } })).tree());
  assertEquals((await treeOf(whole)).length, 2);
  for (let length = 0; length < bytes.length; length++) {
    const error = await failureOf(() => treeOf(bytes.slice(0, length)));
    assertEquals(error.code, "unreachable");
  }
  // In pieces of one byte it is the same list.
  assertEquals(
    await treeOf(ReadableStream.from([...bytes].map((byte) => Uint8Array.of(byte)))),
    await treeOf(whole),
  );
  const broken = new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.slice(0, 40));
      controller.error(new TypeError("connection reset"));
    },
  });
  assertEquals((await failureOf(() => treeOf(broken))).code, "unreachable");
});

Deno.test("tree() refuses paths that lead out of the tree", async () => {
  for (const path of ["../a", "/etc/passwd", "a/../../b", "", ".filesync/token", "a\0"]) {
    const body = `${JSON.stringify({ kind: "directory", path, mtime: 0, mode: 0 })}\n\n`;
    await failureOf(() =>
      Array.fromAsync(clientOf(() => new Response(body, { headers: { "content-type": LINES_TYPE } })).tree())
    );
  }
});

Deno.test("HttpReceiver gives the server's problem as an error, with what to do and when", async () => {
  const problem = {
    type: "urn:filesync:problem:indexing",
    title: "t",
    status: 503,
    detail: 'Cannot use "/srv": its files are being read',
    code: "indexing",
    hint: "It will be ready by itself",
    permanent: false,
  };
  const receiver = clientOf(() =>
    json(problem, { status: 503, headers: { "content-type": PROBLEM_TYPE, "retry-after": "7" } })
  );
  for (const ask of Object.values(QUESTIONS)) {
    const { message, code, hint, permanent, retryAfter } = await failureOf(() => ask(receiver));
    assertEquals({ message, code, hint, permanent, retryAfter }, {
      message: problem.detail,
      code: "indexing",
      hint: problem.hint,
      permanent: false,
      retryAfter: 7_000,
    });
  }
});

Deno.test("HttpReceiver makes sense of failures that are no problem of ours", async () => {
  const cases: [Response, ErrorCode, permanent: boolean, retryAfter?: number][] = [
    [new Response("no", { status: 404 }), "unsupported", true],
    [new Response("no", { status: 401 }), "unauthorized", true],
    [new Response("no", { status: 405 }), "unsupported", true],
    [new Response("no", { status: 408 }), "unreachable", false],
    [
      new Response("slow down", { status: 429, headers: { "retry-after": "3" } }),
      "unreachable",
      false,
      3_000,
    ],
    [new Response("bad gateway", { status: 502 }), "unreachable", false],
    [new Response("", { status: 503, headers: { "retry-after": "soon" } }), "unreachable", false],
    [new Response("", { status: 503, headers: { "retry-after": "-1" } }), "unreachable", false],
    [new Response("login", { status: 511 }), "unreachable", false],
    [Response.redirect("http://login.test/"), "unreachable", false],
    // Another program's problem document.
    [json({ title: "x" }, { status: 500, headers: { "content-type": PROBLEM_TYPE } }), "unreachable", false],
    [json(null, { status: 404, headers: { "content-type": PROBLEM_TYPE } }), "unsupported", true],
    [new Response("{", { status: 500, headers: { "content-type": PROBLEM_TYPE } }), "unreachable", false],
  ];
  for (const [response, code, permanent, retryAfter] of cases) {
    const error = await failureOf(() => clientOf(() => response.clone()).open());
    assertEquals(
      [error.code, error.permanent, error.retryAfter],
      [code, permanent, retryAfter],
      error.message,
    );
    assert(error.message.includes(String(response.status)), error.message);
  }
});

Deno.test("HttpReceiver names itself, and its session once it has one", async () => {
  const seen: Request[] = [];
  const receiver = clientOf((request) => {
    seen.push(request);
    return request.url.endsWith("/sessions") ? json(welcome) : json({ records: [] });
  }, { token: "t", client: "me@here:/x", version: "9" });
  const { session: _, ...info } = welcome;
  assertEquals(await receiver.open(), { ...info, rootId: "", foldsNames: false });
  await receiver.history({ under: parsePath("a&b c"), before: 3, limit: 2 });
  assertEquals(await seen[0].json(), { protocol: 1, client: "me@here:/x", version: "9" });
  assertEquals(seen.map(({ headers }) => headers.get("authorization")), ["Bearer t", "Bearer t"]);
  assertEquals(seen.map(({ headers }) => headers.get("filesync-session")), [null, "s"]);
  assertEquals([...new URL(seen[1].url).searchParams], [["under", "a&b c"], ["before", "3"], ["limit", "2"]]);
});

Deno.test("HttpReceiver talks to a server that stands below a path", async () => {
  const seen: string[] = [];
  const receiver = new HttpReceiver("http://proxy.test/some/where", {
    fetch(request) {
      seen.push(request.url);
      return named(request, json({ entry: null }));
    },
  });
  await receiver.entry(parsePath("a b/ü"));
  assertEquals(seen, ["http://proxy.test/some/where/v1/entries/a%20b/%C3%BC"]);
});

Deno.test("HttpReceiver tells the bytes that it sends", async () => {
  await using served = await serveTree();
  let sent = 0;
  const receiver = new HttpReceiver("http://server.test", {
    token: TOKEN,
    fetch: (request) => served.app.fetch(request),
    onSent: (bytes) => sent += bytes,
  });
  const data = randomBytes(1, 100_000);
  await receiver.stage([{ digest: sha256(data), data }]);
  assert(sent > 100_000 && sent < 101_000, `${sent} bytes`);
});

/** A real server on a free port. */
function serve(handler: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("HttpReceiver never follows a redirect with its token", async () => {
  const reached: string[] = [];
  await using elsewhere = serve((request) => {
    reached.push(request.url);
    return json(welcome);
  });
  for (const status of [301, 302, 303, 307, 308]) {
    await using server = serve(() =>
      new Response(null, { status, headers: { location: `${elsewhere.url}/v1/sessions` } })
    );
    const receiver = new HttpReceiver(server.url, { token: "secret" });
    for (const ask of Object.values(QUESTIONS)) {
      const { code, permanent, message } = await failureOf(() => ask(receiver));
      assertEquals([code, permanent], ["unreachable", false]);
      assertMatch(message, new RegExp(`${status}`));
    }
  }
  assertEquals(reached, []);
});

Deno.test("HttpReceiver says in words why it cannot reach a server", async () => {
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const refused = await failureOf(() => new HttpReceiver(`http://127.0.0.1:${port}`).open());
  assertEquals([refused.code, refused.permanent], ["unreachable", false]);
  assertMatch(refused.message, /nothing listens there/);
  const unknown = await failureOf(() => new HttpReceiver("http://no-such-host.invalid").open());
  assertMatch(unknown.message, /host name is not known/);
});

Deno.test("HttpReceiver gives up on a server that does not answer, or stops in the middle", async () => {
  const pending = Promise.withResolvers<Response>();
  await using silent = serve(() => pending.promise);
  const timeout = 100;
  const open = await failureOf(() => new HttpReceiver(silent.url, { timeout }).open());
  assertMatch(open.message, /did not answer in time/);
  pending.resolve(new Response());

  for (const type of [LINES_TYPE, "application/octet-stream", "application/json"]) {
    const body = () =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"kind":'));
        },
      });
    await using stalling = serve(() => new Response(body(), { headers: { "content-type": type } }));
    const receiver = new HttpReceiver(stalling.url, { timeout });
    const ask = { [LINES_TYPE]: QUESTIONS.tree, "application/json": QUESTIONS.open }[type] ?? QUESTIONS.read;
    assertEquals((await failureOf(() => ask(receiver))).code, "unreachable");
  }
});

Deno.test("apply() gives a server time to bring what is put to its disk", async () => {
  const answer = { before: 0, after: 1, results: [{ done: true }] };
  await using slow = serve(async (request) => {
    await systemClock.sleep(500);
    return named(request, Response.json(answer));
  });
  const receiver = new HttpReceiver(slow.url, { timeout: 50 });
  const put = (size: number) =>
    receiver.apply({
      key: "the key of a batch",
      actions: [{
        type: "put",
        path: parsePath("a"),
        size,
        mtime: 0,
        mode: 0o644,
        digest: sha256(new Uint8Array()),
      }],
      contents: new Map(),
    });
  assertEquals(await put(20 * 2 ** 30), { ...answer, results: [{ done: true }] });
  assertMatch((await failureOf(() => put(1_000))).message, /did not answer in time/);
});

Deno.test("tree() and read() may take longer than a request, as long as something comes", async () => {
  const line = `${JSON.stringify({ kind: "directory", path: "a", mtime: 0, mode: 0 })}\n`;
  await using slow = serve((request) => {
    const type = request.url.includes("/tree") ? LINES_TYPE : "application/octet-stream";
    const pieces = async function* () {
      for (let i = 0; i < 12; i++) {
        yield new TextEncoder().encode(line);
        await systemClock.sleep(100);
      }
      yield new TextEncoder().encode("\n");
    };
    return named(request, new Response(ReadableStream.from(pieces()), { headers: { "content-type": type } }));
  });
  const receiver = new HttpReceiver(slow.url, { timeout: 1_000 });
  assertEquals((await Array.fromAsync(receiver.tree())).length, 12);
  assertEquals((await new Response(await receiver.read(parsePath("a"))).text()).length, 12 * line.length + 1);
});

Deno.test("HttpReceiver ends requests under way when it is told to", async () => {
  const arrived = Promise.withResolvers<void>();
  const pending = Promise.withResolvers<Response>();
  await using silent = serve(() => {
    arrived.resolve();
    return pending.promise;
  });
  const end = new AbortController();
  const opening = new HttpReceiver(silent.url, { signal: end.signal }).open();
  await arrived.promise;
  end.abort(new Error("the end"));
  await assertRejects(() => opening, Error, "the end");
  pending.resolve(new Response());
});

Deno.test("HttpReceiver puts what a client sends through a socket too", async () => {
  await using served = await serveTree();
  await using server = serve((request) => served.app.fetch(request) as Promise<Response>);
  const receiver = new HttpReceiver(server.url, { token: TOKEN });
  const data = new Uint8Array(3 << 20).fill(5);
  await receiver.stage([{ digest: sha256(data), data }]);
  const { chunking } = await receiver.open();
  assertMatch(chunking, /^vgear/);
  assertEquals((await failureOf(() => new HttpReceiver(server.url).open())).code, "unauthorized");
  assertEquals(
    (await failureOf(() => new HttpReceiver(server.url, { token: "x" }).open())).code,
    "unauthorized",
  );
});

/** Two clients' requests to one server, whose answers are swapped on the way. */
async function swapped(
  answer: (request: Request) => Promise<Response> | Response,
  ask: (receiver: Receiver, at: number) => Promise<unknown>,
): Promise<PromiseSettledResult<unknown>[]> {
  const answers = [Promise.withResolvers<Response>(), Promise.withResolvers<Response>()];
  let requests = 0;
  const receiver = new HttpReceiver("http://server.test", {
    token: TOKEN,
    async fetch(request) {
      const at = requests++;
      answers[at].resolve(await answer(request));
      return await answers[1 - at].promise;
    },
  });
  return await Promise.allSettled([ask(receiver, 0), ask(receiver, 1)]);
}

Deno.test("HttpReceiver never takes the answer to another request for its own", async () => {
  await using served = await serveTree();
  const outcomes = await swapped(
    (request) => served.app.fetch(request),
    (receiver, at) =>
      receiver.apply({
        key: `batch number ${at}`,
        actions: [{ type: "directory", path: parsePath(`d${at}`), mtime: 0, mode: 0o755 }],
        contents: new Map(),
      }),
  );
  for (const outcome of outcomes) {
    assert(outcome.status === "rejected");
    const { code, permanent, message } = outcome.reason as FilesyncError;
    assertEquals([code, permanent], ["unreachable", false]);
    assertMatch(message, /^Cannot talk to http:\/\/server\.test: it gave the answer to another request$/);
  }
});

Deno.test("HttpReceiver does not believe what another request was refused for", async () => {
  const refused = (request: Request) =>
    named(
      request,
      json({ code: "bad-path", detail: "Cannot use this: no", permanent: true }, {
        status: 400,
        headers: { "content-type": PROBLEM_TYPE },
      }),
    );
  for (const outcome of await swapped(refused, (receiver) => receiver.open())) {
    assert(outcome.status === "rejected");
    assertEquals([outcome.reason.code, outcome.reason.permanent], ["unreachable", false]);
  }
});

Deno.test("HttpReceiver takes an answer that names no request for a stranger's", async () => {
  const receiver = new HttpReceiver("http://server.test", { fetch: () => json({ entry: null }) });
  const { code, permanent, message } = await failureOf(() => receiver.entry(parsePath("a")));
  assertEquals([code, permanent], ["unreachable", false]);
  assertMatch(message, /what answers there is not a filesync server/);
});

Deno.test("HttpReceiver waits until the date that it is given, by the clock that gives it", async () => {
  const until = "Sun, 01 Mar 2026 12:00:30 GMT";
  const waitFor = async (headers: Record<string, string>) => {
    const clock = new FakeClock(Date.UTC(2026, 2, 1, 12));
    const busy = () => new Response("busy", { status: 503, headers: { "retry-after": until, ...headers } });
    return (await failureOf(() => clientOf(busy, { clock }).open())).retryAfter;
  };
  assertEquals(await waitFor({}), 30_000);
  // The server's clock is a day behind.
  assertEquals(await waitFor({ date: "Sun, 01 Mar 2026 12:00:20 GMT" }), 10_000);
});
