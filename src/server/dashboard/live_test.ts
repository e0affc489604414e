import { assert, assertEquals, assertMatch } from "@std/assert";
import { Browser } from "../../../tests/support/browser.ts";
import { FakeClock } from "../../../tests/support/fake_clock.ts";
import { serveTree, TOKEN } from "../../../tests/support/subjects.ts";

/** The parts that a stream of events sends, as they come. */
async function* partsOf(response: Response): AsyncGenerator<{ id: string; html: string }> {
  let rest = "";
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const messages = (rest + text).split("\n\n");
    rest = messages.pop()!;
    for (const message of messages) {
      if (message.startsWith("event: part\n")) yield JSON.parse(/^data: (.*)$/m.exec(message)![1]);
    }
  }
}

async function next(parts: AsyncGenerator<{ id: string; html: string }>, id: string): Promise<string> {
  for (;;) {
    const { done, value } = await parts.next();
    assert(!done, `${id} never came`);
    if (value.id === id) return value.html;
  }
}

Deno.test("GET /live sends every part of a page, then only what has changed, until the login ends", async () => {
  const clock = new FakeClock();
  await using served = await serveTree({ pages: true, clock });
  const browser = new Browser(served);
  await browser.logIn(TOKEN);
  const response = await browser.get("/live?of=overview");
  assertEquals([response.status, response.headers.get("content-type")], [200, "text/event-stream"]);
  const parts = partsOf(response);
  const first: string[] = [];
  for (let i = 0; i < 6; i++) first.push((await parts.next()).value!.id);
  assertEquals(
    first.sort(),
    ["arrivals", "clients", "now", "savings", "throughput", "troubles"].map((id) => `part-${id}`),
  );
  await served.request("PUT", "/v1/files/a%22%3Cb", { body: "x".repeat(5_000) });
  await clock.advance(500);
  const html = await next(parts, "part-arrivals");
  assertMatch(html, /a&quot;&lt;b/);
  // The bar is of whole seconds.
  for (let i = 0; i < 6; i++) await clock.advance(500);
  assertMatch(await next(parts, "part-throughput"), /[1-9][\d.]* KiB\/s/);
  await browser.post("/logout", {});
  for (let i = 0; i < 2; i++) await clock.advance(500);
  for await (const _ of parts);
});

Deno.test("GET /live is for so many readers, and makes room when one goes", async () => {
  const clock = new FakeClock();
  await using served = await serveTree({ pages: true, clock });
  const browser = new Browser(served);
  await browser.logIn(TOKEN);
  const open = await Promise.all(Array.from({ length: 32 }, () => browser.get("/live?of=clients")));
  const late = await browser.get("/live?of=clients");
  assertEquals(late.status, 429);
  await late.text();
  await open[0].body!.cancel();
  await clock.advance(500);
  const again = await browser.get("/live?of=clients");
  assertEquals(again.status, 200);
  for (const { body } of [...open.slice(1), again]) await body!.cancel();
  await clock.advance(500);
  assertEquals((await browser.get("/live?of=nothing")).status, 404);
});
