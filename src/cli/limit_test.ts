import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "../core/errors.ts";
import { parseLimit } from "./limit.ts";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const WEEK = 7 * 24 * 60;

/** The rate at a moment of the week, such as `"Mon 08:00"`. */
function rateAt(limit: string, moment: string): number {
  const [day, hours, minutes] = moment.split(/[ :]/);
  const minute = DAYS.indexOf(day) * 1440 + Number(hours) * 60 + Number(minutes);
  return parseLimit(limit, () => minute)(0);
}

Deno.test("parseLimit() takes one rate for all times", () => {
  assertEquals(rateAt("10M", "Mon 08:00"), 10 << 20);
  assertEquals(rateAt(" 512 k", "Mon 08:00"), 512 << 10);
  for (const none of ["off", "OFF", "0"]) assertEquals(rateAt(none, "Mon 08:00"), Infinity);
});

Deno.test("parseLimit() lets an entry hold until the next one, over midnight too", () => {
  const limit = "08:00,512k 12:00,10M  13:00,512k 23:00,off";
  const rates = ["00:00", "07:59", "08:00", "11:59", "12:00", "12:59", "13:00", "22:59", "23:00", "23:59"]
    .map((time) => rateAt(limit, `Wed ${time}`));
  const [k, m] = [512 << 10, 10 << 20];
  assertEquals(rates, [Infinity, Infinity, k, k, m, m, k, k, Infinity, Infinity]);
});

Deno.test("parseLimit() knows days, and goes round with the week", () => {
  const limit = "Mon-00:00,512 fri-23:59,10M SAT-10:00,1M Sun-20:00,off";
  const moments = ["Sun 19:59", "Sun 20:00", "Mon 00:00", "Fri 23:58", "Fri 23:59", "Sat 09:59", "Sat 10:00"];
  assertEquals(moments.map((moment) => rateAt(limit, moment)), [
    1 << 20,
    Infinity,
    512,
    512,
    10 << 20,
    10 << 20,
    1 << 20,
  ]);
});

Deno.test("parseLimit() lets a day of its own go before every day, when it comes later", () => {
  const limit = "08:00,1M 18:00,off Sat-08:00,off";
  assertEquals(rateAt(limit, "Fri 12:00"), 1 << 20);
  assertEquals(rateAt(limit, "Sat 12:00"), Infinity);
  assertEquals(rateAt(limit, "Sun 08:00"), 1 << 20);
});

Deno.test("parseLimit() gives at any minute the rate of the last entry before it", () => {
  const entry = fc.record({
    minute: fc.integer({ min: 0, max: WEEK - 1 }),
    rate: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant("off" as const)),
  });
  const two = (number: number) => String(number).padStart(2, "0");
  fc.assert(fc.property(
    fc.uniqueArray(entry, { minLength: 1, maxLength: 20, selector: ({ minute }) => minute }),
    fc.integer({ min: 0, max: WEEK - 1 }),
    (entries, minute) => {
      const text = entries.map(({ minute, rate }) => {
        const time = `${two(Math.floor(minute / 60) % 24)}:${two(minute % 60)}`;
        return `${DAYS[Math.floor(minute / 1440)]}-${time},${rate}`;
      }).join(" ");
      // How many minutes ago each began.
      const age = (from: number) => (minute - from + WEEK) % WEEK;
      const [current] = entries.toSorted((a, b) => age(a.minute) - age(b.minute));
      assertEquals(parseLimit(text, () => minute)(0), current.rate === "off" ? Infinity : current.rate);
    },
  ));
});

Deno.test("parseLimit() goes by what the clocks on the wall show", () => {
  const rateAt = parseLimit("08:00,1M 20:00,off");
  // Twice an hour, or never, as clocks are set; whatever the time zone of this machine is.
  for (let time = Date.UTC(2026, 2, 20); time < Date.UTC(2026, 3, 10); time += 30 * 60_000) {
    const hours = new Date(time).getHours();
    assertEquals(rateAt(time), hours >= 8 && hours < 20 ? 1 << 20 : Infinity);
  }
});

Deno.test("parseLimit() refuses what it does not understand, and says what it takes", () => {
  const faults: [string, string][] = [
    ["fast", "it is not a size"],
    ["08:00,", "it is no time with a rate"],
    ["08:00,fast", "it is not a size"],
    ["8,10M", "it is no time with a rate"],
    ["08:00,1M,12:00,2M", "it is not a size"],
    ["24:00,1M", "there is no such time"],
    ["08:60,1M", "there is no such time"],
    ["Mo-08:00,1M", "there is no such day"],
    ["08:00,1M 12:00", "it is no time with a rate"],
  ];
  for (const [text, reason] of faults) {
    const error = assertThrows(() => parseLimit(text), FilesyncError, reason);
    assertEquals(error.code, "usage");
    assert(error.message.includes("for --limit"), error.message);
  }
});
