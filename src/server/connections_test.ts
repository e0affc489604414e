import { assert, assertEquals } from "@std/assert";
import { Hono } from "hono";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { systemClock } from "../core/clock.ts";
import type { Connection } from "../files/libc.ts";
import { ConnectionGuard, type OpenConnections, systemConnections } from "./connections.ts";
import { listen } from "./listen.ts";

const PORT = 7433;

/** A table of connections that the test fills. */
class FakeConnections implements OpenConnections {
  limit = 20_000;
  open: Connection[] = [];
  ended: number[] = [];

  add(descriptor: number, address = "192.0.2.1", localPort = PORT): void {
    this.open.push({ descriptor, peer: { address, port: 40_000 + descriptor }, localPort });
  }

  list(): Connection[] {
    return this.open;
  }

  end({ descriptor }: Connection): void {
    this.ended.push(descriptor);
    this.open = this.open.filter((connection) => connection.descriptor !== descriptor);
  }

  [Symbol.dispose](): void {}
}

function setUp(options = {}) {
  const [clock, connections] = [new FakeClock(), new FakeConnections()];
  return { clock, connections, guard: new ConnectionGuard(clock, connections, options) };
}

Deno.test("ConnectionGuard ends a connection that brings no whole head in time", async () => {
  const { clock, connections, guard } = setUp({ newcomer: 20_000 });
  connections.add(1);
  guard.sweep(PORT);
  await clock.advance(19_999);
  guard.sweep(PORT);
  assertEquals(connections.ended, []);
  await clock.advance(1);
  assertEquals(guard.sweep(PORT), { open: 1, ended: 1 });
  assertEquals(connections.ended, [1]);
});

Deno.test("ConnectionGuard leaves a connection with a request under way alone, however long that takes", async () => {
  const { clock, connections, guard } = setUp({ idle: 60_000 });
  connections.add(1, "2001:db8::1");
  const end = guard.begin("2001:0DB8:0::1", 40_001);
  guard.sweep(PORT);
  await clock.advance(3_600_000);
  guard.sweep(PORT);
  assertEquals(connections.ended, []);
  end();
  await clock.advance(59_999);
  guard.sweep(PORT);
  assertEquals(connections.ended, []);
  await clock.advance(1);
  guard.sweep(PORT);
  assertEquals(connections.ended, [1]);
});

Deno.test("ConnectionGuard ends the longest idle ones when there are too many, and nobody else's", () => {
  const { connections, guard } = setUp({ most: 2 });
  for (let i = 1; i <= 5; i++) connections.add(i);
  connections.add(6, "192.0.2.1", 9_999);
  guard.begin("192.0.2.1", 40_001);
  assertEquals(guard.sweep(PORT), { open: 5, ended: 3 });
  assertEquals(connections.open.map(({ descriptor }) => descriptor), [1, 5, 6]);
  assertEquals(guard.sweep(PORT, 0), { open: 2, ended: 1 }, "but for what is under way");
});

Deno.test("ConnectionGuard takes at most half of the files that the process may open", () => {
  const connections = new FakeConnections();
  connections.limit = 10;
  const guard = new ConnectionGuard(new FakeClock(), connections);
  for (let i = 1; i <= 9; i++) connections.add(i);
  assertEquals(guard.sweep(PORT), { open: 9, ended: 4 });
});

Deno.test({
  name: "systemConnections() finds connections of both families, and ends them",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using system = systemConnections()!;
    assert(system.limit > 16);
    for (const hostname of ["127.0.0.1", "::1"]) {
      using listener = Deno.listen({ hostname, port: 0 });
      using client = await Deno.connect({ hostname, port: listener.addr.port });
      using server = await listener.accept();
      const mine = system.list().filter(({ localPort }) => localPort === listener.addr.port);
      const { port } = client.localAddr as Deno.NetAddr;
      assertEquals(mine.map(({ peer }) => peer), [{ address: hostname, port }]);
      system.end(mine[0]);
      assertEquals(await server.read(new Uint8Array(1)), null);
      assertEquals(await client.read(new Uint8Array(1)), null);
    }
  },
});

Deno.test({
  name: "listen() lets go of who sends the head of a request slowly, and of nobody else",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const clock = new FakeClock();
    const app = new Hono().get("/", (c) => c.text((c.env as { remoteAddress: string }).remoteAddress));
    const listener = listen(app, { hostname: "127.0.0.1", port: 0, clock });
    const port = Number(new URL(listener.url).port);
    const slow = await Promise.all(Array.from({ length: 50 }, () => Deno.connect({ port })));
    const encoder = new TextEncoder();
    for (const connection of slow) await connection.write(encoder.encode("GET / HTTP/1.1\r\nX-Slow: "));
    using polite = await Deno.connect({ port });
    await polite.write(encoder.encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    const answer = new Uint8Array(4_096);
    const text = new TextDecoder().decode(answer.subarray(0, (await polite.read(answer))!));
    assert(text.endsWith("127.0.0.1"), text);
    for (let i = 0; i < 12; i++) {
      await clock.advance(2_000);
      await systemClock.sleep(1);
    }
    const ends = await Promise.all(
      slow.map((connection) => connection.read(new Uint8Array(100)).catch(() => null)),
    );
    assertEquals(ends, ends.map(() => null));
    await polite.write(encoder.encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert((await polite.read(answer))! > 0);
    for (const connection of slow) connection.close();
    await listener.close();
  },
});

Deno.test("ConnectionGuard ends what is idle although the clock is set back meanwhile", async () => {
  const { clock, connections, guard } = setUp({ newcomer: 20_000 });
  connections.add(1);
  guard.sweep(PORT);
  clock.set(clock.now() - 86_400_000);
  guard.sweep(PORT);
  await clock.advance(20_000);
  assertEquals(guard.sweep(PORT).ended, 1);
});
