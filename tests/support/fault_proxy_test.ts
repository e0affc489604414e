import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import { randomBytes } from "./bytes.ts";
import { FaultProxy } from "./fault_proxy.ts";

/** A server that sends back what it gets, and remembers how much that was. */
class Echo implements AsyncDisposable {
  received = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #running: Promise<unknown>[] = [this.#accept()];

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) this.#running.push(this.#echo(conn).catch(() => {}));
  }

  async #echo(conn: Deno.TcpConn): Promise<void> {
    using _ = conn;
    for (const buffer = new Uint8Array(1 << 16);;) {
      const n = await conn.read(buffer);
      if (n === null) break;
      this.received += n;
      await writeAll(conn, buffer.slice(0, n));
    }
    await conn.closeWrite();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await Promise.all(this.#running);
  }
}

function connectTo(proxy: FaultProxy): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(proxy.url).port) });
}

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let done = 0; done < data.length;) done += await conn.write(data.subarray(done));
}

/** What comes until the end, or until the connection breaks. */
async function readAll(conn: Deno.Conn): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const buffer = new Uint8Array(1 << 16);
    const n = await conn.read(buffer).catch(() => null);
    if (n === null) break;
    pieces.push(buffer.subarray(0, n));
  }
  return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
}

/** Sends `data` through the proxy and gives what came back. */
async function send(proxy: FaultProxy, data: Uint8Array): Promise<Uint8Array> {
  using conn = await connectTo(proxy);
  const reading = readAll(conn);
  await writeAll(conn, data).then(() => conn.closeWrite()).catch(() => {});
  return await reading;
}

Deno.test("FaultProxy passes every byte, in order, and counts exactly", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  const data = randomBytes(1, 3_000_001);
  assertEquals(await send(proxy, data), data);
  assertEquals(proxy.counts(), { up: data.length, down: data.length, connections: 1 });
  proxy.resetCounts();
  await send(proxy, new Uint8Array(5));
  assertEquals(proxy.counts(), { up: 5, down: 5, connections: 1 });
});

Deno.test("FaultProxy carries HTTP, also with a body in both directions", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => new Response(await request.bytes()),
  );
  await using proxy = new FaultProxy(`http://127.0.0.1:${server.addr.port}`);
  using client = Deno.createHttpClient({});
  const body = randomBytes(2, 100_000);
  const response = await fetch(proxy.url, { method: "POST", body, client });
  assertEquals(await response.bytes(), body);
  const { up, down } = proxy.counts();
  assert(up > body.length && up < body.length + 1000, `${up}`);
  assert(down > body.length && down < body.length + 1000, `${down}`);
});

Deno.test("FaultProxy.truncate() lets exactly so many bytes up, once", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  const happened = proxy.truncate("up", 70_001);
  await send(proxy, randomBytes(3, 200_000));
  await happened;
  assertEquals(proxy.counts().up, 70_001);
  assertLessOrEqual(echo.received, 70_001);
  const data = randomBytes(3, 200_000);
  assertEquals(await send(proxy, data), data);
});

Deno.test("FaultProxy.truncate() lets exactly so many bytes down, counted over connections", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  const happened = proxy.truncate("down", 150);
  assertEquals((await send(proxy, new Uint8Array(100))).length, 100);
  assertEquals((await send(proxy, new Uint8Array(100))).length, 50);
  await happened;
  assertEquals(proxy.counts().down, 150);
});

Deno.test("FaultProxy.truncate() of 0 bytes lets none through, and calls add up", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  proxy.truncate("up", 0);
  proxy.truncate("up", 3);
  assertEquals(await send(proxy, new Uint8Array(10)), new Uint8Array());
  assertEquals(proxy.counts().up, 0);
  await send(proxy, new Uint8Array(10));
  assertEquals(proxy.counts().up, 3);
  assertEquals((await send(proxy, new Uint8Array(10))).length, 10);
});

Deno.test("FaultProxy.cut() breaks connections and refuses new ones until mend()", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  using conn = await connectTo(proxy);
  await writeAll(conn, new Uint8Array(1));
  await conn.read(new Uint8Array(1));
  assertEquals(proxy.open, 1);
  proxy.cut();
  assertEquals((await readAll(conn)).length, 0);
  await assertRejects(() => connectTo(proxy), Deno.errors.ConnectionRefused);
  proxy.mend();
  assertEquals((await send(proxy, new Uint8Array(7))).length, 7);
});

Deno.test("FaultProxy.drop() closes what is open but takes new connections", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  using conn = await connectTo(proxy);
  await writeAll(conn, new Uint8Array(1));
  await conn.read(new Uint8Array(1));
  proxy.drop();
  assertEquals((await readAll(conn)).length, 0);
  assertEquals((await send(proxy, new Uint8Array(7))).length, 7);
});

Deno.test("FaultProxy.freeze() holds bytes back and thaw() lets them go on", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  proxy.freeze();
  const answer = send(proxy, new Uint8Array(9));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(proxy.counts().up, 0);
  proxy.thaw();
  assertEquals((await answer).length, 9);
});

Deno.test("FaultProxy can be disposed of with connections open, frozen and delayed", async () => {
  await using echo = new Echo();
  const proxy = new FaultProxy(echo.url);
  proxy.delay = 60_000;
  using one = await connectTo(proxy);
  await writeAll(one, new Uint8Array(100));
  proxy.freeze();
  using two = await connectTo(proxy);
  await writeAll(two, new Uint8Array(100));
  await proxy[Symbol.asyncDispose]();
  assertEquals((await readAll(two)).length, 0);
});

Deno.test("FaultProxy can be disposed of at once", async () => {
  await using echo = new Echo();
  using proxy = new FaultProxy(echo.url);
  using conn = await connectTo(proxy);
  await writeAll(conn, new Uint8Array(100));
  assertGreaterOrEqual(await conn.read(new Uint8Array(100)) ?? 0, 1);
});

Deno.test("FaultProxy.halfClose() ends one way and leaves the other", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  using conn = await connectTo(proxy);
  await writeAll(conn, new Uint8Array(10));
  await conn.read(new Uint8Array(10));
  proxy.halfClose("up");
  await writeAll(conn, new Uint8Array(10));
  assertEquals(await conn.read(new Uint8Array(10)), null);
  assertEquals(echo.received, 10);
});

Deno.test("FaultProxy.delay holds each way back, without lowering throughput", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  proxy.delay = 50;
  const start = performance.now();
  assertEquals((await send(proxy, randomBytes(4, 2_000_000))).length, 2_000_000);
  const ms = performance.now() - start;
  assertGreaterOrEqual(ms, 100);
  // One piece after the other would take 60 delays.
  assertLess(ms, 1500);
});

Deno.test("FaultProxy.rate limits each way, all connections together", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy(echo.url);
  proxy.rate = 1_000_000;
  const start = performance.now();
  await Promise.all([send(proxy, new Uint8Array(100_000)), send(proxy, new Uint8Array(100_000))]);
  assertGreaterOrEqual(performance.now() - start, 200);
  assertEquals(proxy.counts().down, 200_000);
});

Deno.test("FaultProxy.flaky() drops the same connections for the same seed", async () => {
  await using echo = new Echo();
  const outcome = async (seed: number) => {
    await using proxy = new FaultProxy(echo.url, { seed });
    proxy.flaky(0.5, 1000);
    const whole: boolean[] = [];
    for (let i = 0; i < 12; i++) whole.push((await send(proxy, new Uint8Array(1000))).length === 1000);
    return whole.join();
  };
  const first = await outcome(5);
  assert(first.includes("true") && first.includes("false"), first);
  assertEquals(await outcome(5), first);
});

Deno.test("FaultProxy closes a connection when the target refuses, and follows a new target", async () => {
  await using echo = new Echo();
  await using proxy = new FaultProxy("http://127.0.0.1:1");
  assertEquals((await send(proxy, new Uint8Array(3))).length, 0);
  proxy.target = echo.url;
  assertEquals((await send(proxy, new Uint8Array(3))).length, 3);
});

Deno.test("FaultProxy does not take in more than it can pass on", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using proxy = new FaultProxy(`http://127.0.0.1:${listener.addr.port}`);
  using conn = await connectTo(proxy);
  using _silent = await listener.accept();
  let sent = 0;
  const writing = (async () => {
    for (const piece = new Uint8Array(1 << 16); sent < 1 << 27;) sent += await conn.write(piece);
  })().catch(() => {});
  for (let before = -1; before !== sent;) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assertLess(sent, 1 << 26);
  listener.close();
  proxy.drop();
  await writing;
});
