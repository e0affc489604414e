import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "../core/errors.ts";
import { formatBytes, formatDuration, parseCount, parseDuration, parseSize } from "./sizes.ts";

Deno.test("parseSize() reads bytes, binary and decimal units", () => {
  assertEquals(parseSize("512", "--limit"), 512);
  assertEquals(parseSize("512b", "--limit"), 512);
  assertEquals(parseSize("10M", "--limit"), 10 * 1024 ** 2);
  assertEquals(parseSize("10MiB", "--limit"), 10 * 1024 ** 2);
  assertEquals(parseSize("10mb", "--limit"), 10_000_000);
  assertEquals(parseSize("1.5 K", "--limit"), 1536);
  assertEquals(parseSize("2T", "--limit"), 2 * 1024 ** 4);
});

Deno.test("parseSize() refuses what is not a size and names the flag", () => {
  for (const text of ["", "M", "10X", "-1", "1e9", "ten", "99999999T", "1M2"]) {
    const error = assertThrows(() => parseSize(text, "--limit"), FilesyncError, "for --limit");
    assertEquals(error.code, "usage");
  }
});

Deno.test("parseDuration() reads units, sums of them, and plain seconds", () => {
  assertEquals(parseDuration("500ms", "--interval"), 500);
  assertEquals(parseDuration("30", "--interval"), 30_000);
  assertEquals(parseDuration("30s", "--interval"), 30_000);
  assertEquals(parseDuration("5m", "--interval"), 300_000);
  assertEquals(parseDuration("1h30m", "--interval"), 5_400_000);
  assertEquals(parseDuration("1.5d", "--interval"), 129_600_000);
});

Deno.test("parseDuration() refuses what is not a duration", () => {
  for (const text of ["", "s", "5 minutes", "-3s", "1y", "5m!"]) {
    assertEquals(assertThrows(() => parseDuration(text, "--interval"), FilesyncError).code, "usage");
  }
});

Deno.test("parseCount() keeps to its range", () => {
  assertEquals(parseCount("0", "--keep"), 0);
  assertEquals(parseCount(" 7 ", "--keep", { min: 1, max: 7 }), 7);
  for (const text of ["", "8", "0", "1.5", "-1", "0x5"]) {
    assertThrows(() => parseCount(text, "--keep", { min: 1, max: 7 }), FilesyncError, "from 1 to 7");
  }
});

Deno.test("formatBytes() is exact when small and never shows 1024 of a unit", () => {
  assertEquals([0, 1, 1023, 1024, 12_595, 1024 ** 2 - 1, 5.5 * 1024 ** 3].map(formatBytes), [
    "0 B",
    "1 B",
    "1023 B",
    "1.0 KiB",
    "12.3 KiB",
    "1.0 MiB",
    "5.5 GiB",
  ]);
});

Deno.test("formatBytes() is read back by parseSize() within its rounding", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => {
    const back = parseSize(formatBytes(Math.min(bytes, 1024 ** 5 - 1024 ** 4)), "a test");
    const error = Math.abs(back - Math.min(bytes, 1024 ** 5 - 1024 ** 4));
    return error <= back * 0.05 + 1;
  }));
});

Deno.test("formatDuration() shows two units at most", () => {
  assertEquals(
    [0, -5, 420, 9_949, 9_950, 59_700, 200_000, 3_600_000, 7_510_000, 273_600_000].map(formatDuration),
    ["0s", "0s", "0.4s", "9.9s", "10s", "1m", "3m 20s", "1h", "2h 5m", "3d 4h"],
  );
});
