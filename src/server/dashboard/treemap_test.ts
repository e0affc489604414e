import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Tile, treemap } from "./treemap.ts";

const ROOM = { width: 960, height: 420 };
const overlap = (a: Tile, b: Tile) =>
  Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y));

Deno.test("treemap() gives every value its share of the room, and no two the same place", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1e12 }), { minLength: 1, maxLength: 40 }), (values) => {
      values.sort((a, b) => b - a);
      const whole = values.reduce((sum, value) => sum + value, 0);
      const tiles = treemap(values, ROOM);
      assertEquals(tiles.length, values.length);
      const room = ROOM.width * ROOM.height;
      tiles.forEach(({ x, y, width, height }, i) => {
        assert(Math.abs(width * height - values[i] / whole * room) < 1e-3 * room);
        assert(x >= 0 && y >= 0 && x + width <= ROOM.width + 1e-6 && y + height <= ROOM.height + 1e-6);
      });
      for (const [i, a] of tiles.entries()) for (const b of tiles.slice(i + 1)) assert(overlap(a, b) < 1e-3);
    }),
  );
});

Deno.test("treemap() makes rectangles that are nearly square", () => {
  const tiles = treemap([6, 6, 4, 3, 2, 2, 1], { width: 600, height: 400 });
  for (const { width, height } of tiles) assert(Math.max(width / height, height / width) < 3);
  assertEquals(treemap([], ROOM), []);
});
