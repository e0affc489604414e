import { assert, assertEquals, assertMatch } from "@std/assert";
import axe, { type AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { FAR_HOST, findChromium, launchChromium, NO_CHROMIUM } from "./support/chromium.ts";
import { systemClock } from "../src/core/clock.ts";
import { Program, pushOnce, run, startServer, startWatch } from "./support/program.ts";
import { randomBytes } from "./support/bytes.ts";
import { TempDirectory } from "./support/temp.ts";
import { makeTree } from "./support/trees.ts";

const chromium = findChromium();

/** Names that break out of whatever is not escaped. */
const EVIL = [`<img src=x onerror=alert(1)>`, `"onload="alert(1)`, `<script>alert(1)<`];

/** Milliseconds that anything may take: these tests are about what happens, not how fast. */
const PATIENCE = 60_000;

/** Fails when a page keeps somebody out, in light or in dark, which differ by their colours alone. */
async function assertAccessible(page: Page): Promise<void> {
  const runs = { light: "axe.run()", dark: "axe.run({ runOnly: ['color-contrast'] })" } as const;
  // Beside the page's own scripts, which its policy allows alone.
  await page.evaluate(axe.source);
  for (const [colorScheme, run] of Object.entries(runs)) {
    await page.emulateMedia({ colorScheme: colorScheme as keyof typeof runs });
    const { violations } = await page.evaluate<AxeResults>(run);
    const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    assertEquals(told, [], `${page.url()} in ${colorScheme}`);
  }
}

/** What has the focus, by its text. */
function focused(page: Page): Promise<string> {
  return page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name");
}

async function tabTo(page: Page, text: string): Promise<void> {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    if (await focused(page) === text) return;
  }
  throw new Error(`"${text}" is not reached by Tab`);
}

Deno.test({
  name: `the dashboard in a browser${chromium === undefined ? ` (${NO_CHROMIUM})` : ""}`,
  ignore: chromium === undefined,
  async fn(t) {
    using temp = new TempDirectory();
    const [source, served, home, state] = ["source", "served", "home", "state"].map((name) =>
      temp.directory(name)
    );
    makeTree(source, {
      "notes/a.txt": "one\n",
      ...Object.fromEntries(EVIL.map((name) => [`odd/${name}`, "odd"])),
    });
    await using server = await startServer(served, { home, args: ["--keep", "5"] });
    // It wants a token from who calls it by another name. Over plain HTTP browsers say least of where they come from.
    const url = `http://${FAR_HOST}:${server.port}`;
    const push = { home, state, env: { FILESYNC_TOKEN: server.token } };
    assertEquals((await pushOnce(source, server.url, server.token, push)).code, 0);
    Deno.writeTextFileSync(`${source}/notes/a.txt`, "two\n");
    assertEquals((await pushOnce(source, server.url, server.token, push)).code, 0);

    await using browser = await launchChromium(chromium!);
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const complaints: string[] = [];
    page.on("console", (message) => {
      // What a status says, and what plain HTTP cannot have.
      const isExpected = /a status of 40\d|^The Cross-Origin-Opener-Policy header/.test(message.text());
      if (message.type() === "error" && !isExpected) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("dialog", (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });

    let goesOn = true;
    const step = async (name: string, body: () => Promise<void>) => {
      if (goesOn) goesOn = await t.step(name, body);
    };
    await step("lets in who has the token, by keyboard alone", async () => {
      await page.goto(`${url}/history`);
      await assertAccessible(page);
      await page.keyboard.type("wrong");
      await page.keyboard.press("Enter");
      await page.waitForSelector("[role=alert]");
      await assertAccessible(page);
      await page.keyboard.type(server.token);
      await page.keyboard.press("Enter");
      await page.waitForURL(`${url}/history`);
      const [cookie] = await context.cookies();
      assertEquals([cookie.httpOnly, cookie.sameSite, cookie.value.includes(server.token)], [
        true,
        "Strict",
        false,
      ]);
    });

    await step("leads by keyboard past the menu, through it, and to what is searched", async () => {
      await page.keyboard.press("Tab");
      assertEquals(await focused(page), "Skip to the content");
      await page.keyboard.press("Enter");
      assertEquals(await page.evaluate("document.activeElement.id"), "main");
      await tabTo(page, "text");
      await page.keyboard.type("a.txt");
      await page.keyboard.press("Enter");
      await page.waitForURL(/text=a\.txt/);
      assertEquals(await page.locator("tbody tr").count(), 2);
      await tabTo(page, "Files");
      await page.keyboard.press("Enter");
      await page.waitForURL(`${url}/tree`);
      await tabTo(page, "notes/");
      await page.keyboard.press("Enter");
      await page.waitForURL(/path=notes/);
    });

    await step("shows what arrives while it arrives, and can be paused", async () => {
      await page.goto(url);
      await page.getByText("live", { exact: true }).waitFor();
      {
        await using watch = startWatch(source, server.url, server.token, {
          ...push,
          args: ["--limit", "1M"],
        });
        await watch.event("connection", { state: "online" });
        for (let i = 0; i < 3; i++) Deno.writeFileSync(`${source}/big-${i}`, randomBytes(i, 1 << 20));
        const moving = page.locator('#part-throughput .bar-fill:not([width="0.00"])');
        // It tells of three seconds: on a busy machine one push could be over before it is seen.
        for (let i = 0; await moving.count() === 0; i++) {
          assert(i < PATIENCE / 100, "the bar never moves");
          Deno.writeFileSync(`${source}/more`, randomBytes(i, 50_000));
          await systemClock.sleep(100);
        }
        await page.locator("#part-arrivals").getByText(/^(big-\d|more)$/).first().waitFor();
        await page.locator("#part-clients li").waitFor();
        await page.getByRole("button", { name: "Pause" }).click();
        const before = await page.locator("#part-arrivals").innerHTML();
        const mark = watch.mark();
        Deno.writeTextFileSync(`${source}/late`, "late");
        await watch.line(/"path":"late"/, PATIENCE, mark);
        assertEquals(await page.locator("#part-arrivals").innerHTML(), before);
        await page.getByRole("button", { name: "Go on" }).click();
        await page.locator("#part-arrivals").getByText("late", { exact: true }).waitFor();
        await watch.stop();
      }
    });

    await step("brings a version back at the click of a button", async () => {
      await page.goto(`${url}/file?path=notes/a.txt`);
      assertEquals(await page.locator("pre").textContent(), "two\n");
      await page.getByRole("button", { name: /^Restore version/ }).click();
      await page.getByText("It is restored").waitFor();
      assertEquals(Deno.readTextFileSync(`${served}/notes/a.txt`), "one\n");
      assertEquals(await page.locator("pre").textContent(), "one\n");
    });

    await step(
      "runs nothing of a name, and keeps nobody out, on any page, in light and in dark",
      async () => {
        const odd = EVIL.map((name) => `/file?path=${encodeURIComponent(`odd/${name}`)}`);
        const pages = ["/", "/clients", "/history", "/tree", "/tree?path=odd", "/tree?path=notes&at=1s"];
        for (const path of [...pages, "/file?path=notes/a.txt", odd[0]]) {
          await page.goto(url + path);
          await assertAccessible(page);
        }
        for (const path of odd) await page.goto(url + path);
        assertEquals(complaints, []);
        await page.goto(`${url}/tree?path=nothing`);
        await assertAccessible(page);
      },
    );

    await step("keeps nobody out of a catalog's pages either", async () => {
      Deno.writeFileSync(`${source}/notes/pile`, randomBytes(9, 1 << 20));
      assertEquals((await run(["scan", source], { home })).code, 0);
      await using pages = Program.start(["catalog", "serve", "--listen", "127.0.0.1:0", "--json"], { home });
      const { dashboard } = await pages.event("listening");
      await page.goto(dashboard);
      await assertAccessible(page);
      await tabTo(page, "odd");
      await page.getByRole("link", { name: /^notes \d/ }).click();
      await page.getByRole("heading", { name: "notes" }).waitFor();
      await page.goto(`${dashboard}changes`);
      await assertAccessible(page);
      assertEquals(complaints, []);
      await pages.stop();
    });

    await step("can be read without a script, and left", async () => {
      const plain = await browser.newContext({
        javaScriptEnabled: false,
        storageState: await context.storageState(),
      });
      const still = await plain.newPage();
      await still.goto(url);
      assertMatch(await still.locator("#part-arrivals").innerText(), /late/);
      assertEquals(await still.getByRole("button", { name: "Pause" }).count(), 0);
      await still.getByRole("button", { name: "Log out" }).click();
      await still.locator("input[type=password]").waitFor();
      await page.goto(url);
      assert(await page.locator("input[type=password]").isVisible());
    });
  },
});
