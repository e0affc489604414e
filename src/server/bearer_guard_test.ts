import { assert, assertEquals, assertMatch } from "@std/assert";
import { serveTree, TOKEN } from "../../tests/support/subjects.ts";

const ROUTES: [method: string, path: string][] = [
  ["POST", "/v1/sessions"],
  ["POST", "/v1/check"],
  ["POST", "/v1/chunks"],
  ["PUT", `/v1/chunks/${"a".repeat(64)}`],
  ["POST", "/v1/batch"],
  ["GET", "/v1/entries/a"],
  ["GET", "/v1/files/a"],
  ["HEAD", "/v1/files/a"],
  ["PUT", "/v1/files/a"],
  ["DELETE", "/v1/files/a"],
  ["PUT", "/v1/directories/a"],
  ["PUT", "/v1/links/a"],
  ["GET", "/v1/tree"],
  ["GET", "/v1/history"],
  ["POST", "/v1/move"],
  ["GET", "/v1/no/such/route"],
];

Deno.test("bearerGuard() lets nobody in without the token, on any route", async () => {
  await using served = await serveTree();
  const wrong = [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    "Bearer wrong",
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Basic ${btoa(`user:${TOKEN}`)}`,
  ];
  for (const [method, path] of ROUTES) {
    for (const authorization of wrong) {
      const headers: HeadersInit = authorization === undefined ? {} : { authorization };
      const body = method === "PUT" || method === "POST" ? "{}" : undefined;
      const request = new Request(`http://localhost${path}`, { method, headers, body });
      const response = await served.app.fetch(request);
      assertEquals(response.status, 401, `${method} ${path} with ${authorization}`);
      assertMatch(response.headers.get("www-authenticate")!, /^Bearer/);
      const text = await response.text();
      assert(!text.includes(TOKEN));
      if (method !== "HEAD") assertEquals(JSON.parse(text).code, "unauthorized");
    }
  }
  assertEquals(served.receiver.index.sequence, 0);
});

Deno.test("bearerGuard() lets in who has the token, however the scheme is written", async () => {
  await using served = await serveTree();
  for (const scheme of ["Bearer", "bearer", "BEARER"]) {
    const response = await served.request("GET", "/v1/history", {
      headers: { authorization: `${scheme} ${TOKEN}` },
    });
    assertEquals(response.status, 200);
    await response.body?.cancel();
  }
});

Deno.test("bearerGuard() that is open lets in only what names this machine, and no web page", async () => {
  await using served = await serveTree({ guard: { token: TOKEN, open: true } });
  const status = async (headers: Record<string, string>) => {
    const response = await served.app.fetch(new Request("http://x.test/v1/history", { headers }));
    await response.body?.cancel();
    return response.status;
  };
  for (const host of ["localhost", "LOCALHOST:7433", "127.0.0.1", "127.9.9.9:1", "[::1]:7433"]) {
    assertEquals(await status({ host }), 200, host);
    // A page in a browser on this machine: of another site, or of a name that was bound anew to 127.0.0.1.
    for (const origin of ["http://evil.test", "null", `http://${host}`]) {
      assertEquals(await status({ host, origin }), 401, `${host} from ${origin}`);
    }
    assertEquals(
      await status({ host, authorization: "Bearer wrong" }),
      401,
      "a wrong token is worse than none",
    );
    assertEquals(await status({ host, origin: "http://a.test", authorization: `Bearer ${TOKEN}` }), 200);
  }
  for (
    const host of [
      "evil.test",
      "localhost.evil.test",
      "127.0.0.1.evil.test",
      "127.0.0.1@evil.test",
      "192.168.1.5",
      "",
    ]
  ) {
    assertEquals(await status({ host }), 401, host);
  }
});

Deno.test("bearerGuard() lets everybody see that the server is alive", async () => {
  await using served = await serveTree();
  const response = await served.app.fetch(new Request("http://x.test/healthz"));
  assertEquals([response.status, await response.json()], [200, { status: "ok", version: "1.2.3" }]);
});

Deno.test("bearerGuard() compares in constant time, and only so", async () => {
  // What takes as long cannot be seen in an answer, nor measured without noise: the text itself must tell.
  const source = await Deno.readTextFile(new URL("./bearer_guard.ts", import.meta.url));
  assertMatch(source, /if \(!timingSafeEqual\(actual, expected\)\) throw/);
  assertMatch(source, /from "@std\/crypto\/timing-safe-equal"/);
  assert(!/\b(token|expected|actual)\s*[!=]==?/.test(source));
});
