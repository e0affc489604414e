import { assertEquals, assertRejects } from "@std/assert";
import { FaultGateway, type Misdeed } from "./fault_gateway.ts";

/** A server that counts, behind a gateway. */
async function served(test: (gateway: FaultGateway, seen: string[]) => Promise<void>): Promise<void> {
  const seen: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, onError: () => new Response() },
    async (request) => {
      const text = `${new URL(request.url).pathname} ${await request.text()}`;
      seen.push(text);
      return new Response(text);
    },
  );
  {
    await using gateway = new FaultGateway(`http://127.0.0.1:${server.addr.port}`, { random: () => 0.5 });
    await test(gateway, seen);
  }
  await server.shutdown();
}

async function ask({ url }: FaultGateway, path: string, body = "body"): Promise<string> {
  return await (await fetch(url + path, { method: "POST", body })).text();
}

Deno.test("FaultGateway passes on what it is not told to spoil", () =>
  served(async (gateway, seen) => {
    const body = "x".repeat(300_000);
    assertEquals(await ask(gateway, "/a", body), `/a ${body}`);
    assertEquals([seen.length, gateway.requests, gateway.misdeeds], [1, 1, 0]);
  }));

Deno.test("FaultGateway loses and cuts requests and answers", () =>
  served(async (gateway, seen) => {
    const arrivals: Partial<Record<Misdeed, number>> = {
      lost: 0,
      cut: 0,
      "answer lost": 1,
      "answer cut": 1,
    };
    for (const [misdeed, count] of Object.entries(arrivals)) {
      gateway.plan = () => misdeed as Misdeed;
      seen.length = 0;
      await assertRejects(() => ask(gateway, "/a", "x".repeat(1_000)));
      assertEquals([misdeed, seen.length], [misdeed, count]);
    }
  }));

Deno.test("FaultGateway makes a request twice, at once or later", () =>
  served(async (gateway, seen) => {
    gateway.plan = () => "twice";
    assertEquals(await ask(gateway, "/a"), "/a body");
    assertEquals(seen, ["/a body", "/a body"]);
  }));

Deno.test("FaultGateway answers by itself, and says when to come again", () =>
  served(async (gateway, seen) => {
    gateway.plan = () => "answered 503";
    gateway.retryAfter = () => "3";
    const answer = await fetch(gateway.url);
    await answer.text();
    assertEquals([answer.status, answer.headers.get("retry-after"), seen], [503, "3", []]);
  }));

Deno.test("FaultGateway swaps the answers to two requests", () =>
  served(async (gateway) => {
    gateway.plan = () => "swapped";
    assertEquals(await Promise.all([ask(gateway, "/a"), ask(gateway, "/b")]), ["/b body", "/a body"]);
  }));
