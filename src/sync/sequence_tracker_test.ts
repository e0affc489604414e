import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { SequenceTracker } from "./sequence_tracker.ts";

Deno.test("add() joins batches that follow each other", () => {
  const tracker = new SequenceTracker(5);
  tracker.add(5, 8);
  tracker.add(8, 9);
  assertEquals([tracker.known, tracker.hasGap], [9, false]);
});

Deno.test("add() takes no notice of batches that changed nothing, or were answered before", () => {
  const tracker = new SequenceTracker(5);
  tracker.add(7, 7);
  tracker.add(2, 5);
  assertEquals([tracker.known, tracker.hasGap], [5, false]);
});

Deno.test("hasGap tells of a change by others, whichever answer comes first", () => {
  const tracker = new SequenceTracker(5);
  tracker.add(6, 8);
  assertEquals([tracker.known, tracker.hasGap], [5, true]);
  tracker.add(8, 9);
  assertEquals([tracker.known, tracker.hasGap], [5, true]);
});

Deno.test("add() joins our own batches in any order of their answers", () => {
  fc.assert(fc.property(
    fc.array(fc.nat(4), { maxLength: 12 }).chain((sizes) => {
      let at = 3;
      const spans = sizes.map((size) => [at, at += size]);
      return fc.tuple(fc.shuffledSubarray(spans, { minLength: spans.length }), fc.constant(at));
    }),
    ([spans, end]) => {
      const tracker = new SequenceTracker(3);
      for (const [before, after] of spans) tracker.add(before, after);
      assertEquals([tracker.known, tracker.hasGap], [end, false]);
    },
  ));
});

Deno.test("hasGap is true in the end exactly when a batch is missing that something follows", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(7), (count, missing) => {
    const tracker = new SequenceTracker(0);
    for (let i = count - 1; i >= 0; i--) if (i !== missing) tracker.add(i, i + 1);
    assertEquals(tracker.hasGap, missing < count - 1);
    assertEquals(tracker.known, Math.min(missing, count));
  }));
});
