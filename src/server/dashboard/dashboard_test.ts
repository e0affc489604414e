import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Browser } from "../../../tests/support/browser.ts";
import { FakeClock } from "../../../tests/support/fake_clock.ts";
import { FilesyncError } from "../../core/errors.ts";
import type { ShownTree } from "./shown_tree.ts";
import { type ServedTree, serveTree, TOKEN } from "../../../tests/support/subjects.ts";

const KEEP = { retention: { count: 9 } };
const READ_TOKEN = "may only read";
const PAGES = ["/", "/clients", "/history", "/tree"];

/** Names that break out of whatever is not escaped. */
const EVIL = [
  `<script>alert(1)<`,
  `"onload="alert(1)`,
  `' onfocus='alert(1)' autofocus='`,
  `&lt;img src=x onerror=alert(1)&gt;`,
  `</title><svg onload=alert(1)>`.replaceAll("/", "∕"),
  `javascript:alert(1)`,
  `\u202egnp.exe`,
  `a\nb\x1b[31m`,
];

async function serve(
  options: Parameters<typeof serveTree>[0] = {},
): Promise<ServedTree & { browser: Browser }> {
  const served = await serveTree({ pages: true, keep: KEEP, ...options });
  const browser = new Browser(served);
  return Object.assign(served, { browser });
}

/** Served, and logged in. */
async function serveLoggedIn(options: Parameters<typeof serveTree>[0] = {}) {
  const served = await serve(options);
  assertEquals((await served.browser.logIn(TOKEN)).status, 303);
  return served;
}

async function put(served: ServedTree, path: string, body: string): Promise<void> {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  const response = await served.request("PUT", `/v1/files/${encoded}`, { body });
  assertEquals(response.status, 200, await response.text());
}

/** All tags and what they have, as a browser would find them; what runs or leads out of the page is at fault. */
function assertHarmless(html: string, what: string): void {
  for (const [tag] of html.matchAll(/<[a-z][^<>]*(?:"[^"]*"[^<>]*)*>/gi)) {
    const bare = tag.replace(/="[^"]*"/g, '=""');
    assert(!/\son[a-z]+=/i.test(bare), `${what}: ${tag}`);
    assert(
      !/^<(iframe|object|embed|base|style|img)/i.test(tag) || /^<img src="\/picture/.test(tag),
      `${what}: ${tag}`,
    );
    assert(!/style=/.test(bare), `${what}: ${tag}`);
    for (const [, to] of tag.matchAll(/(?:href|src|action)="([^"]*)"/g)) {
      assertMatch(to, /^[/#]/, `${what}: ${tag}`);
    }
  }
  assertEquals(html.match(/<script/g)?.length, 1, what);
  assertMatch(html, /<script src="\/assets\/dashboard-[0-9a-f]+\.js" defer(="")?><\/script>/, what);
}

Deno.test("createDashboard() shows names that came from elsewhere as text, on every page", async () => {
  await using served = await serveLoggedIn();
  const { browser } = served;
  for (const name of EVIL) {
    for (const body of ["one", "<script>alert(2)</script>"]) await put(served, `d/${name}/${name}`, body);
  }
  const hello = { protocol: 1, client: EVIL.join(" "), version: EVIL[0] };
  const json = { "content-type": "application/json" };
  const { session } =
    await (await served.request("POST", "/v1/sessions", { body: JSON.stringify(hello), headers: json }))
      .json();
  const problem = {
    code: EVIL[1],
    path: EVIL[0],
    message: EVIL[4],
    hint: EVIL[3],
    permanent: false,
    retryIn: 5,
  };
  const told = {
    waiting: { actions: 1, bytes: 1 },
    problems: [problem],
    problemCount: 1,
    brake: EVIL[1],
    progress: { doneItems: 1, totalItems: 2, doneBytes: 0, totalBytes: 0, current: EVIL[0] },
  };
  const answer = await served.request("POST", "/v1/status", {
    body: JSON.stringify(told),
    headers: { ...json, "filesync-session": session },
  });
  assertEquals(await answer.json(), { known: true });
  const encoded = EVIL.map(encodeURIComponent);
  const addresses = [
    ...PAGES,
    "/tree?path=d",
    ...encoded.flatMap((name) => [
      `/tree?path=d/${name}`,
      `/file?path=d/${name}/${name}`,
      `/file?path=${name}`,
      `/tree?path=${name}`,
      `/history?text=${name}&under=${name}&since=${name}&what=${name}&before=${name}`,
      `/history?text=${name}&under=d/${name}`,
      `/tree?at=${name}`,
      `/live?of=${name}`,
      `/file?path=d/${name}/${name}&version=${name}`,
    ]),
  ];
  for (const address of addresses) {
    const response = await browser.get(address);
    const html = await response.text();
    assert([200, 400, 404].includes(response.status), `${address}: ${response.status}`);
    assertHarmless(html, address);
    // What a form sends back has to be what it was.
    // deno-lint-ignore no-control-regex
    assert(!/[\u202e\x1b]/.test(html.replace(/ value="[^"]*"/g, "")), address);
    assertMatch(response.headers.get("content-security-policy")!, /^default-src 'none';.*script-src 'self'/);
  }
  assert((await browser.text("/tree?path=d")).includes("&lt;script&gt;alert(1)&lt;"));
  assertEquals(served.failures, []);
});

Deno.test("createDashboard() wants a login, says nothing before it, and goes to where was asked then", async () => {
  await using served = await serve();
  const { browser } = served;
  await put(served, "secret-name", "x");
  for (
    const page of [...PAGES, "/file?path=secret-name", "/download?path=secret-name", "/live?of=overview"]
  ) {
    const response = await browser.get(page);
    const html = await response.text();
    assertEquals(response.status, 401, page);
    assertMatch(html, /<input[^>]* type="password"/);
    assert(!html.includes("secret-name") || page.includes("secret-name"), page);
    assert(!html.includes(TOKEN));
  }
  const login = await browser.post("/login", { token: ` ${TOKEN}\n`, to: "/file?path=secret-name" });
  assertEquals([login.status, login.headers.get("location")], [303, "/file?path=secret-name"]);
  assertMatch(
    login.headers.get("set-cookie")!,
    /^filesync-7433=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  assertEquals((await browser.get("/file?path=secret-name")).status, 200);
  assertEquals((await browser.post("/logout", {})).status, 303);
  assertEquals([browser.cookies.size, (await browser.get("/")).status], [0, 401]);
});

Deno.test("createDashboard() makes a cookie for TLS alone, and one that was stolen before a logout is worth nothing", async () => {
  await using served = await serve();
  const browser = new Browser(served, { origin: "https://server.test:7433" });
  const login = await browser.logIn(TOKEN);
  assertMatch(
    login.headers.get("set-cookie")!,
    /^__Host-filesync-7433=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
  );
  const [[name, value]] = browser.cookies;
  await browser.post("/logout", {});
  browser.cookies.set(name, value);
  assertEquals((await browser.get("/")).status, 401);
});

Deno.test("createDashboard() goes nowhere else after a login", async () => {
  await using served = await serve();
  for (
    const to of [
      "//evil.test/",
      "/\\evil.test",
      "https://evil.test/",
      "javascript:alert(1)",
      "",
      "\t//evil.test",
      "/.//evil.test/",
      "/a/..//evil.test",
    ]
  ) {
    const response = await served.browser.post("/login", { token: TOKEN, to });
    assertEquals([response.status, response.headers.get("location")], [303, "/"], to);
  }
});

Deno.test("createDashboard() makes who guesses tokens wait, whether by the page or by the protocol", async () => {
  const clock = new FakeClock();
  await using served = await serve({ clock });
  const { browser } = served;
  for (let i = 0; i < 10; i++) {
    const response = await browser.logIn(`guess ${i}`);
    assertEquals([response.status, response.headers.get("set-cookie")], [401, null]);
    assertMatch(await response.text(), /role="alert"/);
  }
  const late = await browser.logIn(TOKEN);
  assertEquals([late.status, late.headers.get("retry-after")], [429, "6"]);
  const request = new Request("http://server.test/v1/history", {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  assertEquals((await served.app.fetch(request, { remoteAddress: "192.0.2.1" })).status, 429);
  assertEquals((await new Browser(served, { remoteAddress: "192.0.2.2" }).logIn(TOKEN)).status, 303);
  await clock.advance(6_000);
  assertEquals((await browser.logIn(TOKEN)).status, 303);
});

Deno.test("createDashboard() takes what a browser sends to a proxy in front of it for no wrong token", async () => {
  await using served = await serveLoggedIn();
  const authorization = `Basic ${btoa("name:password of the proxy")}`;
  for (let i = 0; i < 12; i++) {
    assertEquals((await served.browser.get("/tree", { authorization })).status, 200);
  }
  const stranger = new Browser(served);
  assertEquals((await stranger.get("/tree", { authorization })).status, 401);
  // No form is taken that other pages may have had sent.
  const foreign = { authorization, "sec-fetch-site": "cross-site" };
  assertEquals((await served.browser.post("/logout", {}, foreign)).status, 403);
});

Deno.test("createDashboard() ends a login when its token holds no more, when it idles, and after a week", async () => {
  const clock = new FakeClock();
  let token = TOKEN;
  await using served = await serve({ clock, guard: { token: () => token } });
  const { browser } = served;
  await browser.logIn(TOKEN);
  token = "another";
  assertEquals((await browser.get("/")).status, 401);
  await browser.logIn("another");
  assertEquals((await browser.get("/")).status, 200);
  await clock.advance(13 * 3_600_000);
  assertEquals((await browser.get("/")).status, 401);
  await browser.logIn("another");
  for (let hour = 0; hour < 7 * 24; hour += 8) {
    assertEquals((await browser.get("/")).status, 200);
    await clock.advance(8 * 3_600_000);
  }
  await clock.advance(1);
  assertEquals((await browser.get("/")).status, 401);
});

Deno.test("createDashboard() refuses what other pages have a browser send, whatever cookie comes along", async () => {
  await using served = await serveLoggedIn();
  const { browser } = served;
  for (const body of ["one", "two"]) await put(served, "a", body);
  const [version] = await served.receiver.versionsOf("a" as never);
  const standing = await served.receiver.entryAt("a" as never);
  assert(standing?.kind === "file");
  const form = { path: "a", version: String(version.id), expected: `file ${standing.digest}` };
  const foreign: Record<string, string>[] = [
    { "sec-fetch-site": "cross-site", origin: "https://evil.test" },
    { "sec-fetch-site": "same-site", origin: "http://server.test:8080" },
    { "sec-fetch-site": "", origin: "http://server.test:8080" },
    { "sec-fetch-site": "", origin: "null" },
    { "sec-fetch-site": "", origin: "" },
    { "sec-fetch-site": "none", origin: "" },
  ];
  const { sequence } = served.receiver.index;
  for (const headers of foreign) {
    for (const path of ["/restore", "/logout"]) {
      const response = await browser.post(path, form, headers);
      assert([401, 403].includes(response.status), `${path} ${JSON.stringify(headers)}: ${response.status}`);
    }
    assertNotEquals((await browser.post("/login", { token: TOKEN, to: "/" }, headers)).status, 303);
  }
  assertEquals(served.receiver.index.sequence, sequence);
  // Nor may they read in the user's name; but there is a way in.
  const page = await browser.get("/tree?path=x", { "sec-fetch-site": "cross-site" });
  assertEquals(page.status, 403);
  assertMatch(await page.text(), /<a class="button" href="\/tree\?path=x">/);
  assertEquals((await browser.post("/restore", form)).status, 303);
  assertEquals(await Deno.readTextFile(`${served.directory}/a`), "one");
});

Deno.test("createDashboard() lets who has the token for reading see everything, and restore nothing", async () => {
  await using served = await serve({ guard: { token: TOKEN, readToken: READ_TOKEN } });
  const { browser } = served;
  for (const body of ["one", "two"]) await put(served, "a", body);
  await browser.logIn(READ_TOKEN);
  for (const page of PAGES) assertEquals((await browser.get(page)).status, 200);
  const html = await browser.text("/file?path=a");
  assert(html.includes("Download") && !html.includes('action="/restore"'));
  const [{ id }] = await served.receiver.versionsOf("a" as never);
  const response = await browser.post("/restore", { path: "a", version: String(id), expected: "nothing" });
  assertEquals(response.status, 403);
  assertEquals(await Deno.readTextFile(`${served.directory}/a`), "two");
});

Deno.test("createDashboard() of a read-only server lets nobody restore", async () => {
  await using served = await serve({ guard: { token: TOKEN, readOnly: true } });
  await served.browser.logIn(TOKEN);
  assertEquals(
    (await served.browser.post("/restore", { path: "a", version: "1", expected: "nothing" })).status,
    403,
  );
});

Deno.test("createDashboard() that is open lets this machine in without a login, and no page of elsewhere", async () => {
  await using served = await serve({ guard: { token: TOKEN, open: true } });
  const local = new Browser(served, { origin: "http://127.0.0.1:7433" });
  assertEquals((await local.get("/")).status, 200);
  assertEquals((await local.get("/", { "sec-fetch-site": "none" })).status, 200);
  assertEquals((await local.get("/", { "sec-fetch-site": "cross-site" })).status, 403);
  assertEquals(
    (await local.post("/restore", {}, { origin: "http://127.0.0.1:8080", "sec-fetch-site": "same-site" }))
      .status,
    403,
  );
  // A name that somebody else made point here.
  assertEquals((await new Browser(served, { origin: "http://evil.test:7433" }).get("/")).status, 401);
});

Deno.test("createDashboard() takes a token from programs, too, and never from an address", async () => {
  await using served = await serve();
  assertEquals((await served.request("GET", "/")).status, 200);
  assertEquals(
    (await served.request("GET", "/", { headers: { authorization: "Bearer wrong" } })).status,
    401,
  );
  assertEquals((await served.browser.get(`/?token=${encodeURIComponent(TOKEN)}`)).status, 401);
});

Deno.test("createDashboard() restores a version only over what its page showed", async () => {
  await using served = await serveLoggedIn();
  const { browser } = served;
  for (const body of ["one", "two"]) await put(served, "a", body);
  const html = await browser.text("/file?path=a");
  const [, version] = /name="version" value="(\d+)"/.exec(html)!;
  const [, expected] = /name="expected" value="([^"]+)"/.exec(html)!;
  await put(served, "a", "three");
  const form = { path: "a", version, expected };
  assertEquals((await browser.post("/restore", form)).status, 409);
  assertEquals(await Deno.readTextFile(`${served.directory}/a`), "three");
  for (const bad of [{ ...form, version: "999" }, { ...form, path: "b" }, { ...form, version: "x" }]) {
    assertEquals((await browser.post("/restore", bad)).status, 404);
  }
  for (const bad of [{ ...form, path: "../a" }, { ...form, expected: "file abc" }, { version, expected }]) {
    assertEquals((await browser.post("/restore", bad as typeof form)).status, 400);
  }
  const [, now] = /name="expected" value="([^"]+)"/.exec(await browser.text("/file?path=a"))!;
  const done = await browser.post("/restore", { ...form, expected: now });
  assertEquals([done.status, done.headers.get("location")], [303, `/file?path=a&restored=${version}`]);
  assertEquals(await Deno.readTextFile(`${served.directory}/a`), "one");
});

Deno.test("createDashboard() brings back what was removed, from what it shows of before", async () => {
  await using served = await serveLoggedIn();
  const { browser } = served;
  await put(served, "d/gone", "content");
  await served.request("DELETE", "/v1/files/d");
  assertEquals((await browser.get("/tree?path=d")).status, 404);
  const html = await browser.text("/file?path=d/gone");
  assertMatch(html, /Nothing stands there any more/);
  const [, version] = /name="version" value="(\d+)"/.exec(html)!;
  assertMatch(html, /name="expected" value="nothing"/);
  assertEquals(
    (await browser.post("/restore", { path: "d/gone", version, expected: "nothing" })).status,
    303,
  );
  assertEquals(await Deno.readTextFile(`${served.directory}/d/gone`), "content");
});

Deno.test("createDashboard() restores a file whatever its name, as a browser sends it", async () => {
  await using served = await serveLoggedIn();
  const { browser } = served;
  const name = 'a\nb % "c" é';
  for (const body of ["one", "two"]) await put(served, name, body);
  const html = await browser.text(`/file?path=${encodeURIComponent(name)}`);
  const field = (name: string) =>
    new RegExp(`name="${name}" value="([^"]+)"`).exec(html)![1].replaceAll("\n", "\r\n");
  const form = { path: field("path"), version: field("version"), expected: field("expected") };
  assertEquals((await browser.post("/restore", form)).status, 303);
  assertEquals(await Deno.readTextFile(`${served.directory}/${name}`), "one");
  assertEquals((await browser.post("/restore", { ...form, path: "%" })).status, 400);
});

Deno.test("createDashboard() gives contents to be saved, and lets none of them run", async () => {
  await using served = await serveLoggedIn();
  const { browser } = served;
  const name = `é "x";.html`;
  for (const body of ["<script>1</script>", "<script>2</script>"]) await put(served, name, body);
  const path = encodeURIComponent(name);
  const [{ id }] = await served.receiver.versionsOf(name as never);
  for (const [query, text] of [["", "<script>2</script>"], [`&version=${id}`, "<script>1</script>"]]) {
    const { status, headers, ...response } = await browser.get(`/download?path=${path}${query}`);
    assertEquals(status, 200);
    assertEquals(headers.get("content-type"), "application/octet-stream");
    assertEquals(
      headers.get("content-disposition"),
      `attachment; filename="_ _x_;.html"; filename*=UTF-8''%C3%A9%20%22x%22%3B.html`,
    );
    assertEquals(headers.get("content-security-policy"), "default-src 'none'; sandbox");
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    void response;
    assertEquals(await browser.text(`/download?path=${path}${query}`), text);
  }
  assertEquals((await browser.get(`/picture?path=${path}`)).status, 415);
  await put(served, "picture", "GIF89a and so on");
  const picture = await browser.get("/picture?path=picture");
  assertEquals([picture.status, picture.headers.get("content-type"), await picture.text()], [
    200,
    "image/gif",
    "GIF89a and so on",
  ]);
  await put(served, "empty", "");
  assertEquals([
    (await browser.get("/download?path=empty")).status,
    (await browser.get("/file?path=empty")).status,
  ], [200, 200]);
});

Deno.test("createDashboard() says what it cannot show without --keep, and how to", async () => {
  await using served = await serveLoggedIn({ keep: undefined });
  const { browser } = served;
  await put(served, "a", "one");
  assertMatch(await browser.text("/tree"), /start filesync serve with --keep/);
  assertMatch(await browser.text("/file?path=a"), /start filesync serve with --keep/);
  assertEquals((await browser.get("/tree?at=2h")).status, 404);
  assertEquals(await browser.text("/download?path=a"), "one");
});

Deno.test("createDashboard() shows a directory as it was", async () => {
  await using served = await serveLoggedIn();
  const { browser } = served;
  await put(served, "before", "1");
  const then = new Date(Date.now() + 1).toISOString();
  while (Date.now() <= Date.parse(then)) await new Promise((resolve) => setTimeout(resolve, 1));
  await put(served, "after", "2");
  await served.request("DELETE", "/v1/files/before");
  const names = (html: string) => ["before", "after"].filter((name) => html.includes(`>${name}</bdi>`));
  assertEquals(names(await browser.text("/tree")), ["after"]);
  assertEquals(names(await browser.text(`/tree?at=${encodeURIComponent(then)}`)), ["before"]);
  assertEquals((await browser.get(`/file?path=before&at=${encodeURIComponent(then)}`)).status, 200);
});

Deno.test("createDashboard() gives assets to everybody, to be kept for good", async () => {
  await using served = await serve();
  const html = await served.browser.text("/");
  const assets = [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, href]) => href);
  assertEquals(assets.length, 3);
  for (const href of assets) {
    const response = await served.browser.get(href);
    assertEquals([response.status, response.headers.get("cache-control")], [
      200,
      "public, max-age=31536000, immutable",
    ]);
    assert((await response.text()).length > 100);
  }
});

Deno.test("createDashboard() says that a tree is still being read, and shows what does not need it", async () => {
  await using read = await serveTree();
  const busy = () =>
    Promise.reject(
      new FilesyncError({
        code: "indexing",
        operation: "use it",
        reason: "it is being read",
        retryAfter: 1_000,
      }),
    );
  const tree = Object.fromEntries(
    ["count", "directory", "entryAt", "historyOf", "search", "versionsOf", "read"].map((
      name,
    ) => [name, busy]),
  ) as unknown as ShownTree;
  await using served = await serve({
    dashboard: { name: "x", tree },
    directory: undefined,
    inFront: read.receiver,
  });
  const { browser } = served;
  await browser.logIn(TOKEN);
  assertMatch(await browser.text("/"), /being read/);
  for (const page of ["/history", "/file?path=a", "/tree"]) {
    const response = await browser.get(page);
    assertEquals([response.status, response.headers.get("retry-after")], [503, "1"]);
    assertMatch(await response.text(), /Not ready yet/);
  }
  assertEquals(served.failures, []);
});

Deno.test("createApp() has no pages unless it is told to, and pages change nothing about its routes", async () => {
  await using bare = await serveTree();
  for (const page of [...PAGES, "/login"]) assertEquals((await bare.request("GET", page)).status, 404);
  await using served = await serve();
  const unknown = await served.request("GET", "/v1/nothing");
  assertEquals([unknown.status, unknown.headers.get("content-type")], [404, "application/problem+json"]);
  assertEquals((await served.browser.get("/v1/history")).status, 401);
  await served.browser.logIn(TOKEN);
  // A login is for pages alone.
  assertEquals((await served.browser.get("/v1/history")).status, 401);
  assertEquals((await served.browser.get("/metrics")).status, 401);
});

Deno.test("createDashboard() answers a form that it cannot read with 400, and takes that for no fault of its own", async () => {
  await using served = await serveLoggedIn();
  for (const path of ["/login", "/restore"]) {
    for (const type of ["multipart/form-data", "multipart/form-data; boundary=x"]) {
      const response = await served.browser.send(path, "garbage", { "content-type": type });
      assertEquals(response.status, 400, `${path} ${type}`);
      assertMatch(await response.text(), /it is not a form/);
    }
  }
  assertEquals(served.failures, []);
});

Deno.test("createDashboard() shows as a page, not as the file, that a file cannot be had", async () => {
  await using served = await serveLoggedIn({ keep: undefined });
  await put(served, "a.txt", "content");
  Deno.removeSync(`${served.directory}/a.txt`);
  for (const range of ["", "bytes=1-2", "bytes=99-"]) {
    const response = await served.browser.get("/download?path=a.txt", { range });
    const text = await response.text();
    assertEquals(response.status, range === "bytes=99-" ? 416 : 404);
    assertMatch(text, /That did not work/);
    for (const name of ["content-length", "content-disposition", "content-range", "repr-digest"]) {
      assertEquals(response.headers.get(name), null, `${name} of ${range}`);
    }
  }
});
