import { assertEquals, assertMatch } from "@std/assert";
import { AreaChart, GrowthChart, SharesChart, TreemapChart } from "./charts.tsx";

const EVIL = `"><script>alert(1)</script>`;

/** The accessible names in a chart. */
function labelsOf(chart: unknown): string[] {
  return [...String(chart).matchAll(/(?:aria-label="|<title>)([^"<]*)/g)].map(([, label]) => label);
}

Deno.test("TreemapChart() leaves out nothing that takes space, and shows nothing that nobody could see", () => {
  const items = [1_000_000, 500_000, 1_500, 1_400, 1_300, 0].map((value, i) => ({
    name: `${i}`,
    value,
    href: `/${i}`,
  }));
  const chart = TreemapChart({ title: "space", items });
  assertEquals(labelsOf(chart), [
    "space",
    "0 976.6 KiB, 66.5 %",
    "1 488.3 KiB, 33.2 %",
    "3 smaller ones 4.1 KiB, 0.3 %",
  ]);
  assertEquals(String(chart).match(/href=/g)?.length, 2);
  assertEquals(labelsOf(TreemapChart({ title: "space", items: [] })), ["space"]);
});

Deno.test("charts show names as text, and their numbers to who does not see them", () => {
  const charts = [
    TreemapChart({ title: EVIL, items: [{ name: EVIL, value: 1 }] }),
    SharesChart({ title: EVIL, shares: [{ name: EVIL, growth: -5 }] }),
    GrowthChart({ title: EVIL, steps: [{ start: "2026-01-01", came: 2_048, went: 0, growth: 2_048 }] }),
    AreaChart({ title: EVIL, series: [{ className: "received", values: [1, 1, 1, 5, 0] }], most: 5 }),
  ].map(String);
  for (const chart of charts) assertEquals(chart.includes("<script"), false);
  assertMatch(charts[2], /<title>2026-01-01: \+2\.0 KiB<\/title>/);
  // What lies within a level line is left out: a quiet day is short.
  assertEquals(charts[3].match(/L/g)?.length, 4 + 4);
});
