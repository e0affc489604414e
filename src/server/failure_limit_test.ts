import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { FailureLimit, networkOf } from "./failure_limit.ts";

Deno.test("FailureLimit lets a burst through, then one try each time of recovery", async () => {
  const clock = new FakeClock();
  const limit = new FailureLimit(clock, { burst: 3, recovery: 1_000 });
  for (let i = 0; i < 3; i++) {
    assertEquals(limit.wait("10.0.0.1"), 0);
    limit.note("10.0.0.1");
  }
  assertEquals(limit.wait("10.0.0.1"), 1_000);
  assertEquals(limit.wait("10.0.0.2"), 0, "others are not held back");
  await clock.advance(1_000);
  assertEquals(limit.wait("10.0.0.1"), 0);
  limit.note("10.0.0.1");
  assertEquals(limit.wait("10.0.0.1"), 1_000);
  await clock.advance(3_000);
  for (let i = 0; i < 2; i++) limit.note("10.0.0.1");
  assertEquals(limit.wait("10.0.0.1"), 0, "all is forgiven after a while");
});

Deno.test("FailureLimit never makes anybody wait longer than one recovery, whatever the clock does", async () => {
  const clock = new FakeClock();
  const limit = new FailureLimit(clock, { burst: 2, recovery: 500 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: -86_400_000, max: 86_400_000 }), { maxLength: 30 }),
      async (jumps) => {
        for (const jump of jumps) {
          limit.note("a");
          assert(limit.wait("a") <= 500);
          await clock.advance(Math.abs(jump));
        }
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("FailureLimit remembers a constant number of networks", () => {
  const limit = new FailureLimit(new FakeClock(), { most: 100, burst: 1 });
  for (let i = 0; i < 10_000; i++) limit.note(`10.1.${i >> 8}.${i & 255}`);
  assertEquals(limit.size, 100);
  assert(limit.wait(`10.1.${9_999 >> 8}.${9_999 & 255}`) > 0);
  assertEquals(limit.wait("10.1.0.0"), 0);
});

Deno.test("networkOf() takes the addresses that one client can choose from for one", () => {
  assertEquals(networkOf("192.0.2.1"), "192.0.2.1");
  assertEquals(networkOf("::ffff:192.0.2.1"), "192.0.2.1");
  assertEquals(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2");
  assertEquals(networkOf("2001:db8:1:2::6"), networkOf("2001:0DB8:1:2:ffff::1"));
  assertEquals(networkOf("::1"), "0:0:0:0");
  assertEquals(networkOf("fe80::1%eth0"), "fe80:0:0:0");
});
