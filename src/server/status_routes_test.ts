import { assertEquals } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { type ServedTree, serveTree, TOKEN } from "../../tests/support/subjects.ts";
import type { ClientStatus } from "../core/client_status.ts";
import { HttpReceiver } from "../transport/http_receiver.ts";

const IDLE: ClientStatus = { waiting: { actions: 0, bytes: 0 }, problems: [], problemCount: 0 };

function clientOf({ app }: ServedTree, token = TOKEN): HttpReceiver {
  return new HttpReceiver("http://server.test", {
    token,
    client: "me@here:/x",
    fetch: (request) => app.fetch(request),
  });
}

Deno.test("POST /v1/status takes what a client tells, as much of it as can be shown", async () => {
  const clock = new FakeClock();
  await using served = await serveTree({ pages: true, clock });
  const client = clientOf(served);
  assertEquals(await client.report(IDLE), { known: false }, "before a session");
  await client.open();
  const problem = {
    code: "io" as const,
    path: "p".repeat(2_000),
    message: "m\n".repeat(500),
    permanent: false,
  };
  const told = { ...IDLE, problemCount: 90, problems: Array(90).fill({ ...problem, retryIn: 1_500.7 }) };
  assertEquals(await client.report(told), { known: true });
  const html = await (await served.request("GET", "/clients")).text();
  assertEquals(html.match(/next try in 1\.5s/g)?.length, 20);
  assertEquals([html.includes("And 70 more"), html.includes("m\\nm\\n"), html.includes("m\nm")], [
    true,
    true,
    false,
  ]);
});

Deno.test("POST /v1/status is for who has a token, for reading too, and not too often", async () => {
  const clock = new FakeClock();
  await using served = await serveTree({ clock, guard: { token: TOKEN, readToken: "may only read" } });
  const reader = clientOf(served, "may only read");
  await reader.open();
  assertEquals(await reader.report(IDLE), { known: true });
  const code = (error: { code: string }) => error.code;
  assertEquals(await reader.report(IDLE).catch(code), "too-many");
  await clock.advance(250);
  assertEquals(await reader.report(IDLE), { known: true });
  assertEquals(await clientOf(served, "wrong").report(IDLE).catch(code), "unauthorized");
});

Deno.test("POST /v1/status refuses what is no status, or too much of one", async () => {
  await using served = await serveTree();
  const bad: unknown[] = [
    {},
    [],
    { ...IDLE, waiting: { actions: -1, bytes: 0 } },
    { ...IDLE, waiting: { actions: 1.5, bytes: 0 } },
    { ...IDLE, problemCount: 1e300 },
    { ...IDLE, problems: [{ code: "io", message: "x".repeat(301), permanent: true }] },
    { ...IDLE, problems: Array(21).fill({ code: "io", message: "x", permanent: true }) },
    { ...IDLE, brake: 5 },
    { ...IDLE, progress: { doneItems: 1 } },
  ];
  const post = (body: string) =>
    served.request("POST", "/v1/status", { body, headers: { "content-type": "application/json" } });
  for (const status of bad) {
    assertEquals((await post(JSON.stringify(status))).status, 400, JSON.stringify(status));
  }
  assertEquals((await post("x".repeat(200 << 10))).status, 413);
  assertEquals((await served.request("POST", "/v1/status", { body: "{}" })).status, 415);
  assertEquals(served.failures, []);
});
