import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../tests/support/fake_clock.ts";
import { Sessions } from "../sessions.ts";
import { clientsOf } from "./clients.ts";

const IDLE = { waiting: { actions: 0, bytes: 0 }, problems: [], problemCount: 0 };

Deno.test("clientsOf() tells the sessions of one client as one, and how it is doing", async () => {
  const clock = new FakeClock();
  const sessions = new Sessions(clock);
  const first = sessions.begin("a@host:/x", "1.0.0");
  first.receivedBytes = 5;
  sessions.tell(first.id, { ...IDLE, waiting: { actions: 3, bytes: 9 } });
  await clock.advance(1_000);
  const second = sessions.begin("a@host:/x", "1.1.0");
  second.receivedBytes = 7;
  sessions.begin("", "1.0.0");
  const look = () => clientsOf(sessions.list(), clock.now());
  const [client, ...others] = look();
  assertEquals(others, []);
  assertEquals([client.version, client.receivedBytes, client.since], ["1.1.0", 12, first.since]);
  assertEquals([client.state, client.told?.waiting.actions], ["busy", 3]);
  sessions.tell(second.id, { ...IDLE, problemCount: 1 });
  assertEquals(look()[0].state, "has problems");
  await clock.advance(1_000);
  sessions.tell(second.id, IDLE);
  assertEquals(look()[0].state, "in step");
  await clock.advance(151_000);
  assertEquals(look()[0].state, "silent");
});

Deno.test("Sessions.tell() keeps what can be shown, of few clients, and not too often", async () => {
  const clock = new FakeClock();
  const sessions = new Sessions(clock);
  const all = Array.from({ length: 300 }, (_, i) => sessions.begin(`client ${i}`, ""));
  for (const { id } of all) assertEquals(sessions.tell(id, { ...IDLE, brake: "a\nb\u202e" }), true);
  assertEquals(sessions.list().filter(({ told }) => told !== undefined).length, 256);
  assertEquals([all[0].told, all[299].told?.brake], [undefined, "a\\nb\\u202e"]);
  let refused = "";
  try {
    sessions.tell(all[299].id, IDLE);
  } catch (error) {
    refused = (error as { code: string }).code;
  }
  assertEquals(refused, "too-many");
  await clock.advance(250);
  assertEquals([sessions.tell(all[299].id, IDLE), sessions.tell("unknown", IDLE)], [true, false]);
});
