import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { boundedStatus, type ClientStatus } from "./client_status.ts";
import type { ErrorCode } from "./errors.ts";
import { clientStatusSchema, parseWire } from "./wire.ts";

Deno.test("boundedStatus() makes of any status one that a server takes", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 2_000 });
  const count = fc.nat();
  const status = fc.record({
    waiting: fc.record({ actions: count, bytes: count }),
    problems: fc.array(
      fc.record({
        code: text as fc.Arbitrary<string> as fc.Arbitrary<ErrorCode>,
        path: text,
        message: text,
        hint: text,
        permanent: fc.boolean(),
        retryIn: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        attempts: count,
      }, { requiredKeys: ["code", "message", "permanent"] }),
      { maxLength: 40 },
    ),
    problemCount: count,
    brake: text,
    progress: fc.record({
      doneItems: count,
      totalItems: count,
      doneBytes: count,
      totalBytes: count,
      current: text,
    }),
  }, { requiredKeys: ["waiting", "problems", "problemCount"] });
  fc.assert(fc.property(status, (status) => {
    const bounded = boundedStatus(status as ClientStatus);
    assertEquals(parseWire(clientStatusSchema, JSON.parse(JSON.stringify(bounded)), "it"), bounded);
  }));
});

Deno.test("boundedStatus() leaves a short one as it is, and marks what is cut", () => {
  const problem = { code: "io", path: "a", message: "Cannot read it", permanent: false } as const;
  const status = { waiting: { actions: 1, bytes: 2 }, problems: [problem], problemCount: 1 };
  assertEquals(boundedStatus(status), status);
  const [{ message }] =
    boundedStatus({ ...status, problems: [{ ...problem, message: "x".repeat(500) }] }).problems;
  assertEquals([message.length, message.at(-1)], [300, "…"]);
  const cut = boundedStatus({ ...status, brake: "\u{1f600}".repeat(400) }).brake!;
  assertEquals([cut.isWellFormed(), cut.at(-1)], [true, "…"]);
});
