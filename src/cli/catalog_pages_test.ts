import { assert, assertEquals, assertMatch } from "@std/assert";
import { Browser } from "../../tests/support/browser.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { Served } from "../../tests/support/served.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { walkInThread } from "../crawler/crawler.ts";
import { scanTree } from "../crawler/scan.ts";
import { openSqliteStore } from "../crawler/sqlite_store.ts";
import { createPagesApp } from "../server/pages_app.ts";
import { catalogSection } from "./catalog_pages.tsx";

const TOKEN = "correct horse";
const EVIL = `<script>alert(1)<"onload=`;

/** Pages over a catalog, and what makes scans for it. */
function openPages() {
  const temp = new TempDirectory();
  const clock = new FakeClock(Date.UTC(2026, 0, 20));
  const root = temp.directory("tree");
  const store = openSqliteStore(`${temp.path}/catalog.db`);
  const failures: unknown[] = [];
  const app = createPagesApp({
    name: "catalog",
    version: "1.2.3",
    clock,
    guard: { token: TOKEN, open: true, readOnly: true },
    sections: [catalogSection(store, clock)],
    onFailure: (error) => failures.push(error),
  });
  return {
    root,
    clock,
    failures,
    browser: new Browser({ app }, { origin: "http://127.0.0.1:7434" }),
    far: new Browser({ app }),
    scan: (host = "here", from = root) => scanTree(store, walkInThread, { host, root: from, clock }),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      temp[Symbol.dispose]();
    },
  };
}

Deno.test("catalogSection() shows growth, changes and what takes the space, and leads down to each directory", async () => {
  await using pages = openPages();
  const { root, browser, clock } = pages;
  makeTree(root, {
    d: { "a.txt": "x".repeat(3_000), e: { "b.txt": "y".repeat(1_000) } },
    [EVIL]: { c: "z".repeat(500) },
  });
  await pages.scan();
  await clock.advance(86_400_000);
  makeTree(root, { d: { "a.txt": "x".repeat(9_000) } });
  Deno.removeSync(`${root}/d/e/b.txt`);
  await pages.scan();
  const first = await browser.text("/");
  // The only tree is shown at once.
  assertMatch(first, /<title>.*tree · catalog/);
  assertMatch(first, /2026-01-21: \+4\.9 KiB/);
  assertMatch(first, /<title>d 8\.8 KiB, 94\.7 %<\/title>/);
  assert(!first.includes("<script>") && first.includes("&lt;script&gt;alert(1)&lt;"));
  const hrefs = [...first.matchAll(/href="(\/\?[^"]*)"/g)].map(([, href]) => href.replaceAll("&amp;", "&"));
  const [evil] = hrefs.filter((href) => href.includes("script"));
  assertMatch(await browser.text(evil), /500 B/);
  for (const href of new Set(hrefs)) assertEquals((await browser.get(href)).status, 200, href);
  const below = await browser.text(`/?host=here&under=${root}/d`);
  assertMatch(below, /a\.txt/);
  assertMatch(below, /-?\+?4\.9 KiB/);
  const day = await browser.text("/changes?day=2026-01-21");
  assertEquals([
    /badge changed">modified/.test(day),
    /badge bad">removed/.test(day),
    /badge good">added/.test(day),
  ], [
    true,
    true,
    false,
  ]);
  assertMatch(await browser.text("/changes?day=2026-01-20&kind=removed"), /No scan found anything/);
  assertMatch(await browser.text("/?period=week"), /2026-01-19/);
  assertEquals(pages.failures, []);
});

Deno.test("catalogSection() tells several trees apart, and what nobody has scanned", async () => {
  await using pages = openPages();
  const { root, browser } = pages;
  assertMatch(await browser.text("/"), /Nothing has been scanned yet/);
  makeTree(root, { a: { x: "1" }, b: { y: "22" } });
  await pages.scan("one", `${root}/a`);
  await pages.scan("two", `${root}/b`);
  const all = await browser.text("/");
  for (const [host, path] of [["one", "a"], ["two", "b"]]) {
    const href = `/?host=${host}&under=${encodeURIComponent(`${root}/${path}`)}`.replaceAll("&", "&amp;");
    assert(all.includes(`href="${href}"`), href);
  }
  assertEquals((await browser.get(`/?under=${root}/nothing`)).status, 200);
  assertEquals((await browser.get("/?under=/")).status, 200);
  assertEquals((await browser.get("/changes?under=/&day=2026-02-30&kind=x")).status, 200);
  assertEquals(pages.failures, []);
});

Deno.test("createPagesApp() wants a token from elsewhere, and a page of a catalog changes nothing", async () => {
  await using pages = openPages();
  assertEquals((await pages.far.get("/")).status, 401);
  await pages.far.logIn(TOKEN);
  assertEquals((await pages.far.get("/")).status, 200);
  assertEquals((await pages.far.post("/restore", {})).status, 404);
  assertEquals((await pages.far.get("/healthz")).status, 200);
});

Deno.test("filesync catalog serve shows the catalog until it is interrupted", async () => {
  using home = new Home();
  const root = makeTree(home.directory("tree"), { a: "1" });
  assertEquals((await home.run("scan", root)).code, 0);
  await using served = new Served(home, "catalog", "serve", "--listen", "127.0.0.1:0", "--json");
  const [listening] = jsonLines(await served.listening());
  assertEquals("token" in listening, false);
  const html = await (await fetch(String(listening.dashboard))).text();
  assertMatch(html, /Scanned|tree/);
  assertEquals((await served.stop()).code, 130);
});
