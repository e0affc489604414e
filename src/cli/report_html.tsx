/** A report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere. @module */
import type { CatalogReport, Period, Share } from "../crawler/report_data.ts";
import { GrowthChart, SharesChart } from "../server/dashboard/charts.tsx";
import { visible } from "./quote.ts";
import { cellText, headline, isNumeric, type ReportTable, tablesOf } from "./report_tables.ts";

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --page: #fff; --up: #1a7f37; --down: #cf222e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --page: #0d1117; --up: #3fb950; --down: #f85149; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } p { color: var(--soft); margin-top: .25rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } .number { text-align: right; } .path { white-space: normal; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.up { fill: var(--up); } .down { fill: var(--down); } .axis { stroke: var(--line); }
`;

/** The page. */
export function reportHtml(report: CatalogReport): string {
  const tables = tablesOf(report);
  const chartOf = (id: string) => {
    if (id === "periods" && report.periods.length > 1) return growthChart(report.periods);
    if (id === "directories") return sharesChart(report.directories, "Growth by top directory");
    if (id === "extensions") return sharesChart(report.extensions, "Growth by extension");
    return "";
  };
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>filesync report</title>
<style>${STYLE}</style>
</head>
<body>
<h1>filesync report</h1>
<p>${escape(headline(report))}</p>
${
    tables.map((table) => `<h2>${escape(table.title)}</h2>\n${chartOf(table.id)}${tableHtml(table)}`).join(
      "\n",
    )
  }
</body>
</html>
`;
}

function tableHtml({ columns, rows }: ReportTable): string {
  const classOf = (i: number) =>
    isNumeric(columns[i].kind) ? ' class="number"' : columns[i].kind === "path" ? ' class="path"' : "";
  const head = columns.map(({ name }, i) => `<th scope="col"${classOf(i)}>${escape(name)}</th>`).join("");
  const body = rows.map((row) =>
    `<tr>${
      row.map((cell, i) => `<td${classOf(i)}>${escape(cellText(cell, columns[i].kind))}</td>`).join("")
    }</tr>`
  ).join("\n");
  return `<div class="wide"><table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body}\n</tbody>\n</table></div>`;
}

/** The charts need their classes as {@linkcode STYLE} has them. */
function growthChart(periods: Period[]): string {
  const steps = periods.map(({ start, bytesAdded, bytesModified, bytesRemoved, growth }) => ({
    start,
    came: bytesAdded + bytesModified,
    went: bytesRemoved,
    growth,
  }));
  return String(<GrowthChart title="Bytes added and modified, and removed, by period" steps={steps} />);
}

function sharesChart(shares: Share[], title: string): string {
  return String(<SharesChart title={title} shares={shares} />);
}

function escape(text: string): string {
  return visible(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
    '"',
    "&quot;",
  );
}
