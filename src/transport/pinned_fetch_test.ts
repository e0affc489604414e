import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Hono } from "hono";
import { randomBytes } from "../../tests/support/bytes.ts";
import { serveTree, TOKEN } from "../../tests/support/subjects.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { systemClock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import { type Certificate, readOrMakeCertificate } from "../server/certificate.ts";
import { listen } from "../server/listen.ts";
import { HttpReceiver } from "./http_receiver.ts";
import { isPin, type Pin, pinnedFetch, pinOf } from "./pinned_fetch.ts";

/** A new certificate, for a name that nobody uses: with a pin the name does not matter. */
async function newCertificate(): Promise<Certificate> {
  using temp = new TempDirectory();
  return await readOrMakeCertificate(temp.path, ["some.invalid"], systemClock);
}

const MINE = await newCertificate();
const OTHER = await newCertificate();

function serve(app: Hono, tls: Certificate) {
  const listener = listen(app, { hostname: "127.0.0.1", port: 0, clock: systemClock, tls });
  return { url: listener.url, [Symbol.asyncDispose]: () => listener.close() };
}

Deno.test("pinnedFetch() carries all that a receiver is asked", async () => {
  await using served = await serveTree();
  await using server = serve(served.app, MINE);
  using fetch = pinnedFetch(pinOf(MINE.cert));
  const receiver = new HttpReceiver(server.url, { token: TOKEN, fetch });
  assertEquals((await receiver.open()).indexId, served.receiver.index.id);
  const contents = Array.from({ length: 20 }, (_, i) => randomBytes(i, 100_000));
  await Promise.all(contents.map(async (data, i) => {
    const digest = sha256(data);
    const action = {
      type: "put",
      path: parsePath(`f${i}`),
      size: data.length,
      mtime: 0,
      mode: 0o644,
      digest,
    } as const;
    const { results } = await receiver.apply({
      key: `batch number ${i}`,
      actions: [action],
      contents: new Map([[digest, data]]),
    });
    assertEquals(results, [{ done: true }]);
    assertEquals(await new Response(await receiver.read(action.path)).bytes(), data);
  }));
  assertEquals((await Array.fromAsync(receiver.tree())).length, 20);
  assertEquals((await receiver.history({})).length, 20);
});

Deno.test("isPin() takes what pinOf() gives, and nothing else", () => {
  assertMatch(pinOf(MINE.cert), /^sha256:[0-9a-f]{64}$/);
  assert(isPin(pinOf(MINE.cert)));
  for (
    const text of ["", "sha256:", "sha1:00", pinOf(MINE.cert).slice(0, -1), pinOf(MINE.cert).toUpperCase()]
  ) {
    assertEquals(isPin(text), false, text);
  }
});

Deno.test("pinnedFetch() sends nothing to whoever has another certificate, on no connection", async () => {
  const seen: string[] = [];
  const app = (name: string) =>
    new Hono().all("*", async (c) => {
      seen.push(`${name} ${c.req.header("authorization")} ${await c.req.text()}`);
      return c.text("answer", 200, { connection: "close" });
    });
  using fetch = pinnedFetch(pinOf(MINE.cert));
  const ask = (url: string) =>
    fetch(new Request(url, { method: "POST", body: "body", headers: { authorization: "Bearer secret" } }));
  let port: string;
  {
    await using honest = serve(app("honest"), MINE);
    port = new URL(honest.url).port;
    const response = await ask(`https://localhost:${port}/`);
    assertEquals([response.status, await response.text()], [200, "answer"]);
  }
  {
    // Somebody in between, at the same address, later.
    const listener = listen(app("in between"), {
      hostname: "127.0.0.1",
      port: Number(port),
      clock: systemClock,
      tls: OTHER,
    });
    const error = await assertRejects(() => ask(`https://localhost:${port}/`), FilesyncError);
    assertEquals([error.code, error.permanent], ["unauthorized", true]);
    assertMatch(error.message, /^Cannot trust localhost: its certificate has the pin sha256:/);
    assert(error.message.includes(pinOf(OTHER.cert)));
    await listener.close();
  }
  assertEquals(seen, ["honest Bearer secret body"]);
});

Deno.test("pinnedFetch() carries bodies, statuses and headers both ways, and stops when it is told to", async () => {
  const app = new Hono();
  app.post(
    "/echo",
    async (c) => c.body(await c.req.arrayBuffer(), 418, { "x-echo": c.req.header("x-in") ?? "" }),
  );
  app.get("/never", () => new Promise(() => {}));
  await using server = serve(app, MINE);
  using fetch = pinnedFetch(pinOf(MINE.cert) as Pin);
  const body = randomBytes(1, 3_000_000);
  const echo = await fetch(
    new Request(`${server.url}/echo`, { method: "POST", body, headers: { "x-in": "1" } }),
  );
  assertEquals([echo.status, echo.headers.get("x-echo")], [418, "1"]);
  assertEquals(await echo.bytes(), body);
  const head = await fetch(new Request(`${server.url}/none`, { method: "HEAD" }));
  assertEquals([head.status, await head.text()], [404, ""]);
  const stop = new AbortController();
  const never = fetch(new Request(`${server.url}/never`, { signal: stop.signal }));
  setTimeout(() => stop.abort(new DOMException("enough", "TimeoutError")), 20);
  await assertRejects(() => never, DOMException, "enough");
});

Deno.test("pinnedFetch() stops when it is told to, also where nobody begins with TLS", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using connections = new DisposableStack();
  const accepted = silent.accept().then((connection) => void connections.use(connection));
  using fetch = pinnedFetch(pinOf(MINE.cert));
  const stop = new AbortController();
  const never = fetch(new Request(`https://127.0.0.1:${silent.addr.port}/`, { signal: stop.signal }));
  await accepted;
  stop.abort(new DOMException("enough", "TimeoutError"));
  await assertRejects(() => never, DOMException, "enough");
});
