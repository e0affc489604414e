import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Hono } from "hono";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { type ServedTree, serveTree, TOKEN } from "../../tests/support/subjects.ts";

/** Every route of the application, as it knows them itself, with values for its parameters. */
function routesOf(app: Hono): [method: string, path: string][] {
  const routes = app.routes
    .filter(({ method, path }) => method !== "ALL" && path !== "/healthz")
    .map(({ method, path }): [string, string] => [
      method,
      path.replace(/\*$/, "a").replace(":digest", "a".repeat(64)),
    ]);
  assert(routes.length >= 18, "the routes were found");
  const unique = new Map(routes.map((route) => [route.join(" "), route]));
  return [...unique.values(), ["HEAD", "/v1/files/a"], ["GET", "/v1/no/such/route"]];
}

function ask(
  served: ServedTree,
  method: string,
  path: string,
  authorization?: string,
  remoteAddress?: string,
) {
  const headers: HeadersInit = authorization === undefined ? {} : { authorization };
  const body = method === "PUT" || method === "POST" ? "{}" : undefined;
  return served.app.fetch(new Request(`http://localhost${path}`, { method, headers, body }), {
    remoteAddress,
  });
}

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
  for (const [method, path] of routesOf(served.app)) {
    for (const authorization of wrong) {
      const response = await ask(served, method, path, authorization);
      assertEquals(response.status, 401, `${method} ${path} with ${authorization}`);
      assertMatch(response.headers.get("www-authenticate")!, /^Bearer/);
      const text = await response.text();
      assert(!text.includes(TOKEN));
      if (method !== "HEAD") assertEquals(JSON.parse(text).code, "unauthorized");
    }
  }
  assertEquals(served.receiver.index.sequence, 0);
});

Deno.test("bearerGuard() lets nobody in by another spelling of a route", async () => {
  await using served = await serveTree();
  await (await served.request("PUT", "/v1/files/a", { body: "secret" })).body?.cancel();
  const spellings = [
    "/v1/files/a",
    "/%761/files/a",
    "//v1/files/a",
    "/v1//files/a",
    "/V1/files/a",
    "/v1%2Ffiles/a",
  ]
    .concat("/x/../v1/files/a", "/healthz/../v1/files/a", "/healthz%2F..%2Fv1/files/a", "/v1/files/a?x#y");
  for (const path of spellings) {
    const response = await ask(served, "GET", path);
    assert([401, 404].includes(response.status), path);
    assert(!(await response.text()).includes("secret"));
  }
});

Deno.test("bearerGuard() lets who has the token for reading change nothing, on any route", async () => {
  await using served = await serveTree({ guard: { token: TOKEN, readToken: "may only read" } });
  const reading: string[] = [];
  for (const [method, path] of routesOf(served.app)) {
    const response = await ask(served, method, path, "Bearer may only read");
    if (response.status === 403) assertEquals((await response.json()).code, "read-only");
    else {
      await response.body?.cancel();
      reading.push(`${method} ${path}`);
    }
  }
  // A new route belongs here only when it changes nothing in the tree.
  assertEquals(reading.filter((route) => !/^(GET|HEAD) /.test(route)), [
    "POST /v1/sessions",
    "POST /v1/signatures",
    "POST /v1/manifests",
    "POST /v1/refresh",
    "POST /v1/pieces",
    "POST /v1/status",
  ]);
  assertEquals(served.receiver.index.sequence, 0);
  assertEquals((await ask(served, "PUT", "/v1/files/a", `Bearer ${TOKEN}`)).status, 200);
  assertEquals((await ask(served, "PUT", "/v1/files/b", "Bearer wrong")).status, 401);
});

Deno.test("bearerGuard() of a server that is read-only lets nobody change anything", async () => {
  await using served = await serveTree({ guard: { token: TOKEN, open: true, readOnly: true } });
  for (const authorization of [`Bearer ${TOKEN}`, undefined]) {
    for (const [method, path] of [["PUT", "/v1/files/a"], ["DELETE", "/v1/files/a"], ["POST", "/v1/batch"]]) {
      const response = await ask(served, method, path, authorization);
      assertEquals(response.status, 403);
      assertMatch((await response.json()).hint, /--read-only/);
    }
    assertEquals((await ask(served, "GET", "/v1/history", authorization)).status, 200);
  }
});

Deno.test("bearerGuard() takes a new token at once, and the old one no more", async () => {
  let token: string | undefined = "old";
  await using served = await serveTree({ guard: { token: () => token } });
  const status = async (given: string) => (await ask(served, "GET", "/v1/history", `Bearer ${given}`)).status;
  assertEquals([await status("old"), await status("new")], [200, 401]);
  token = "new";
  assertEquals([await status("old"), await status("new")], [401, 200]);
  token = undefined;
  assertEquals([await status("new"), await status(""), await status("undefined")], [401, 401, 401]);
});

Deno.test("bearerGuard() makes a network wait that guesses, even when it guesses right, and no other", async () => {
  const clock = new FakeClock();
  await using served = await serveTree({ clock });
  const guess = (token: string, address: string) =>
    ask(served, "GET", "/v1/history", `Bearer ${token}`, address);
  for (let i = 0; i < 10; i++) assertEquals((await guess(`guess ${i}`, "192.0.2.1")).status, 401);
  for (const token of ["guess 10", TOKEN]) {
    const response = await guess(token, "192.0.2.1");
    assertEquals([response.status, response.headers.get("retry-after")], [429, "6"]);
    assertEquals((await response.json()).code, "too-many");
  }
  assertEquals((await guess(TOKEN, "192.0.2.2")).status, 200);
  await clock.advance(6_000);
  assertEquals((await guess(TOKEN, "192.0.2.1")).status, 200);
  for (let i = 0; i < 50; i++) {
    assertEquals((await ask(served, "GET", "/v1/history", undefined, "a")).status, 401);
  }
  assertEquals((await guess(TOKEN, "a")).status, 200, "who sends no token guesses nothing");
});

Deno.test("every answer tells browsers to do nothing with it, errors too", async () => {
  await using served = await serveTree();
  for (const [method, path] of [["GET", "/healthz"], ["GET", "/"], ...routesOf(served.app)]) {
    for (const authorization of [undefined, `Bearer ${TOKEN}`]) {
      const { headers, body } = await ask(served, method, path, authorization);
      await body?.cancel();
      assertEquals(headers.get("x-content-type-options"), "nosniff", path);
      assertEquals(headers.get("cache-control"), "no-store", path);
      assertEquals(headers.get("referrer-policy"), "no-referrer", path);
      assertEquals(headers.get("cross-origin-resource-policy"), "same-origin", path);
      assertEquals(headers.get("access-control-allow-origin"), null, path);
      assertMatch(
        headers.get("content-security-policy")!,
        /default-src 'none'.*frame-ancestors 'none'/,
        path,
      );
    }
  }
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
    assertEquals(await status({ host, "sec-fetch-site": "none" }), 200, "typed into the address bar");
    for (const site of ["cross-site", "same-site", "same-origin"]) {
      assertEquals(await status({ host, "sec-fetch-site": site }), 401, `a picture of a page, ${site}`);
    }
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
  const source = await Deno.readTextFile(new URL("./gate.ts", import.meta.url));
  assertEquals(source.match(/timingSafeEqual\(actual, (expected|digestOf\(token\))\)/g)?.length, 2);
  assertMatch(source, /from "@std\/crypto\/timing-safe-equal"/);
  assert(!/\b(expected|actual|given)\s*[!=]==?(?!=? undefined)/.test(source));
});
