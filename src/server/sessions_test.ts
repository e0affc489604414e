import { assertEquals } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { serveTree } from "../../tests/support/subjects.ts";
import { encodeFrames, FRAMES_TYPE } from "../core/frames.ts";
import { parsePath } from "../core/path.ts";
import { PROTOCOL, SESSION_HEADER } from "../core/wire.ts";
import { Sessions } from "./sessions.ts";

const HOUR = 3_600_000;

Deno.test("heard() keeps a session alive, and passes over ids that it does not know", async () => {
  const clock = new FakeClock(1_000);
  const sessions = new Sessions(clock);
  const session = sessions.begin("me@here:/x", "1");
  assertEquals([session.since, session.lastSeen], [1_000, 1_000]);
  await clock.advance(5);
  assertEquals(sessions.heard(session.id)?.client, "me@here:/x");
  assertEquals([session.since, session.lastSeen], [1_000, 1_005]);
  assertEquals([sessions.heard(undefined), sessions.heard("who?")], [undefined, undefined]);
});

Deno.test("begin() drops sessions that nothing was heard of for an hour", async () => {
  const clock = new FakeClock();
  const sessions = new Sessions(clock);
  const [quiet, lively] = [sessions.begin("quiet", ""), sessions.begin("lively", "")];
  await clock.advance(HOUR);
  sessions.heard(lively.id);
  await clock.advance(1);
  const fresh = sessions.begin("fresh", "");
  assertEquals(sessions.list().map(({ client }) => client), ["lively", "fresh"]);
  assertEquals(sessions.heard(quiet.id), undefined);
  assertEquals(new Set([quiet.id, lively.id, fresh.id]).size, 3);
});

Deno.test("begin() forgets who was not heard of for longest, rather than to turn anybody away", async () => {
  const clock = new FakeClock();
  const sessions = new Sessions(clock);
  const [quiet, lively] = [sessions.begin("quiet", ""), sessions.begin("lively", "")];
  await clock.advance(1);
  sessions.heard(lively.id);
  for (let i = 2; i < 10_000; i++) sessions.begin("", "");
  assertEquals(sessions.heard(lively.id), lively);
  const fresh = sessions.begin("fresh", "");
  assertEquals([sessions.list().length, sessions.heard(quiet.id)], [10_000, undefined]);
  assertEquals([lively, fresh].map(({ id }) => sessions.heard(id)?.client), ["lively", "fresh"]);
});

async function hello(served: Awaited<ReturnType<typeof serveTree>>, body: unknown) {
  const headers = { "content-type": "application/json" };
  const response = await served.request("POST", "/v1/sessions", { body: JSON.stringify(body), headers });
  return { status: response.status, answer: await response.json() };
}

Deno.test("POST /v1/sessions tells who it is, and remembers who came", async () => {
  const told: [string | undefined, number][] = [];
  await using served = await serveTree({
    onBatch: ({ actions }, _, session) => told.push([session?.client, actions.length]),
  });
  const { status, answer } = await hello(served, { protocol: PROTOCOL, client: "me@here:/x", version: "9" });
  assertEquals(status, 201);
  const info = await served.receiver.open();
  assertEquals(answer, { ...info, session: answer.session, protocol: PROTOCOL, version: "1.2.3" });
  const frame = {
    header: { key: "12345678", actions: [{ type: "remove", path: parsePath("a") }] },
    content: new Uint8Array(),
  };
  for (const session of [answer.session, "of an earlier run"]) {
    const response = await served.request("POST", "/v1/batch", {
      body: encodeFrames([frame]),
      headers: { "content-type": FRAMES_TYPE, [SESSION_HEADER]: session },
    });
    assertEquals(response.status, 200);
    await response.body?.cancel();
  }
  assertEquals(told, [["me@here:/x", 1], [undefined, 1]]);
});

Deno.test("POST /v1/sessions refuses another version of the protocol, and says who has to upgrade", async () => {
  await using served = await serveTree();
  for (const [protocol, who] of [[PROTOCOL + 1, "server"], [PROTOCOL - 1, "client"]] as const) {
    const { status, answer } = await hello(served, { protocol });
    assertEquals([status, answer.code, answer.permanent], [426, "upgrade", true]);
    assertEquals(answer.hint, `Upgrade the ${who}`);
  }
});

Deno.test("POST /v1/sessions refuses what is no hello", async () => {
  await using served = await serveTree();
  for (
    const body of [null, [], 1, {}, { protocol: "1" }, { protocol: 1, client: "x".repeat(301) }, {
      protocol: 1,
      version: 1,
    }]
  ) {
    const { status, answer } = await hello(served, body);
    assertEquals([status, answer.code], [400, "bad-request"], JSON.stringify(body));
  }
});
