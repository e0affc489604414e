import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Hono } from "hono";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { serveTree, TOKEN } from "../../tests/support/subjects.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { treeText } from "../../tests/support/trees.ts";
import { systemClock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { listen, type ListenOptions } from "./listen.ts";

const LOCAL: ListenOptions = { hostname: "127.0.0.1", port: 0, clock: systemClock };

function refusal(options: Partial<ListenOptions>): FilesyncError {
  return assertThrows(() => listen(new Hono(), { ...LOCAL, ...options }), FilesyncError) as FilesyncError;
}

/** A connection on which a request is written by hand. */
async function connect(url: string) {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  return {
    send: (text: string) => connection.write(new TextEncoder().encode(text)),
    answer: async () => await new Response(connection.readable).text(),
    [Symbol.dispose]() {
      try {
        connection.close();
      } catch {
        // The answer was read to its end.
      }
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    assert(i < 3_000, "it never happened");
    await systemClock.sleep(10);
  }
}

Deno.test("listen() answers at the address that it gives, on any free port", async () => {
  const app = new Hono().get("/", (c) => c.text("here"));
  for (const hostname of ["127.0.0.1", "::1", "localhost"]) {
    const listener = listen(app, { ...LOCAL, hostname });
    assertMatch(listener.url, /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost):\d+$/);
    assertEquals(await (await fetch(listener.url)).text(), "here");
    await listener.close();
  }
});

Deno.test("listen() says that a port is in use, and what to do", async () => {
  const listener = listen(new Hono(), LOCAL);
  const port = Number(new URL(listener.url).port);
  const { code, permanent, message, hint } = refusal({ port });
  assertEquals([code, permanent], ["locked", true]);
  assertEquals(message, `Cannot listen on 127.0.0.1:${port}: the port is in use`);
  assertMatch(hint!, /--listen 127\.0\.0\.1:\d+/);
  await listener.close();
  await listen(new Hono(), { ...LOCAL, port }).close();
});

Deno.test("listen() says that an address is not of this machine", () => {
  // TEST-NET-3 of RFC 5737.
  const { code, permanent, message } = refusal({ hostname: "203.0.113.7" });
  assertEquals([code, permanent], ["usage", true]);
  assertMatch(message, /this machine does not have that address/);
  const unknown = refusal({ hostname: "no-such-host.invalid" });
  assertEquals([unknown.code, unknown.message], [
    "usage",
    "Cannot listen on no-such-host.invalid:0: the host name is not known",
  ]);
});

Deno.test("listen() says that a certificate cannot be used", () => {
  for (const tls of [{ cert: "", key: "" }, { cert: "no PEM", key: "no PEM" }]) {
    const { code, message, hint } = refusal({ tls });
    assertEquals(code, "usage");
    assertMatch(message, /^Cannot listen on 127\.0\.0\.1:0: the certificate or its key cannot be used \(/);
    assertMatch(hint!, /both as PEM$/);
  }
});

Deno.test("listen() names an address of IPv6 as --listen takes it", () => {
  using taken = Deno.listen({ hostname: "::1", port: 0 });
  assertMatch(refusal({ hostname: "::1", port: taken.addr.port }).hint!, /--listen \[::1\]:\d+$/);
});

Deno.test("listen() refuses requests whose Host is none, which are no fault of the server", async () => {
  await using served = await serveTree({ pages: true });
  const listener = listen(served.app, LOCAL);
  for (const host of ["[", "a b", "x:99999"]) {
    for (const path of ["/none", "/tree"]) {
      using stranger = await connect(listener.url);
      await stranger.send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      assertMatch(await stranger.answer(), /^HTTP\/1\.1 400 [^]*application\/problem\+json/, host);
    }
  }
  assertEquals(served.failures, []);
  await listener.close();
});

Deno.test("close() lets an upload under way finish, and turns new requests away", async () => {
  await using served = await serveTree();
  const listener = listen(served.app, LOCAL);
  const head =
    `PUT /v1/files/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n`;
  using upload = await connect(listener.url);
  using late = await connect(listener.url);
  await upload.send(`${head}Content-Length: 10\r\n\r\n01234`);
  // The server has begun to take the body when it answers others that came after it.
  await (await fetch(`${listener.url}/healthz`)).text();
  const closed = listener.close();
  await late.send(`${head}Filesync-Request: mine\r\nContent-Length: 1\r\n\r\nx`);
  const refused = await late.answer();
  assertMatch(refused, /^HTTP\/1\.1 503 /);
  assertMatch(refused, /retry-after: 1/i);
  assertMatch(refused, /filesync-request: mine/i);
  await upload.send("56789");
  assertMatch(await upload.answer(), /^HTTP\/1\.1 200 /);
  await closed;
  assertEquals(await treeText(served.directory), 'a "0123456789"');
});

Deno.test("close() does not wait for ever for a request that does not end", async () => {
  const clock = new FakeClock();
  let begun = false;
  const app = new Hono().put("/", async (c) => {
    begun = true;
    return c.text(await c.req.text().catch(() => "cut"));
  });
  const listener = listen(app, { ...LOCAL, clock });
  using stuck = await connect(listener.url);
  await stuck.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0");
  await until(() => begun);
  let isClosed = false;
  const closed = listener.close().then(() => isClosed = true);
  await clock.advance(9_000);
  assertEquals(isClosed, false);
  await clock.advance(2_000);
  await closed;
});

Deno.test("close() cuts an answer that nobody reads to its end", async () => {
  const app = new Hono().get("/", (c) => {
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)) });
    return c.body(endless);
  });
  const listener = listen(app, LOCAL);
  const response = await fetch(listener.url);
  const reader = response.body!.getReader();
  await reader.read();
  await listener.close();
  await reader.cancel().catch(() => {});
});

Deno.test("close() does not wait for a body that was refused, and still comes", async () => {
  await using served = await serveTree();
  const listener = listen(served.app, LOCAL);
  using stranger = await connect(listener.url);
  await stranger.send("POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx");
  const answer = stranger.answer();
  // Both are answered when this one is: it came later.
  await (await fetch(`${listener.url}/healthz`)).text();
  await listener.close();
  if (Deno.build.os === "linux") assertMatch(await answer, /^HTTP\/1\.1 401 /);
});

Deno.test("close() does not wait for clients that only keep their connection", async () => {
  const listener = listen(new Hono().get("/", (c) => c.text("x")), LOCAL);
  await (await fetch(listener.url)).text();
  using _idle = await connect(listener.url);
  await listener.close();
  assertEquals(await fetch(listener.url).then(() => "answered", () => "closed"), "closed");
});

Deno.test("close() that is called once more closes nothing else", async () => {
  const listener = listen(new Hono(), LOCAL);
  await listener.close();
  // These take the numbers that have become free.
  const files = Array.from({ length: 20 }, () => Deno.openSync(Deno.execPath()));
  await listener.close();
  for (const file of files) {
    assert(file.statSync().isFile);
    file.close();
  }
});

Deno.test("listen() serves HTTPS when it has a certificate", async (t) => {
  using temp = new TempDirectory();
  const [keyFile, certFile] = [`${temp.path}/key.pem`, `${temp.path}/cert.pem`];
  const made = await new Deno.Command("openssl", {
    args: "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
      .split(" ")
      .concat(
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        keyFile,
        "-out",
        certFile,
      ),
    stderr: "null",
  }).output().catch(() => ({ success: false }));
  if (!made.success) {
    await t.step("no certificate can be made here: only a wrong one is tested", () => {
      assertMatch(refusal({ tls: { cert: "x", key: "y" } }).message, /^Cannot listen on /);
    });
    return;
  }
  const [key, cert] = [Deno.readTextFileSync(keyFile), Deno.readTextFileSync(certFile)];
  const app = new Hono().get("/", (c) => c.text("secret"));
  const listener = listen(app, { ...LOCAL, hostname: "localhost", tls: { cert, key } });
  assertMatch(listener.url, /^https:/);
  {
    using client = Deno.createHttpClient({ caCerts: [cert] });
    assertEquals(await (await fetch(listener.url, { client })).text(), "secret");
  }
  await listener.close();
  assertMatch(refusal({ tls: { cert: "x", key: "y" } }).message, /^Cannot listen on /);
});
