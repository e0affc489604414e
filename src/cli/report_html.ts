/** A report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere. @module */
import type { CatalogReport, Period, Share } from "../crawler/report_data.ts";
import { visible } from "./quote.ts";
import { cellText, headline, isNumeric, type ReportTable, signedBytes, tablesOf } from "./report_tables.ts";

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

/** Columns of bytes that came, above the line, and went, below it. */
function growthChart(periods: Period[]): string {
  const [width, height, left, foot] = [960, 240, 10, 20];
  const up = Math.max(1, ...periods.map(({ bytesAdded, bytesModified }) => bytesAdded + bytesModified));
  const down = Math.max(0, ...periods.map(({ bytesRemoved }) => bytesRemoved));
  const scale = (height - foot - 10) / (up + down);
  const zero = 10 + up * scale;
  const step = (width - 2 * left) / periods.length;
  const bars = periods.map(({ start, bytesAdded, bytesModified, bytesRemoved, growth }, i) => {
    const x = left + i * step + step * 0.1;
    const came = (bytesAdded + bytesModified) * scale;
    const label = i % Math.ceil(periods.length / 10) === 0
      ? `<text x="${px(x)}" y="${height - 6}">${start.slice(5)}</text>`
      : "";
    return `<g><title>${start}: ${signedBytes(growth)}</title>${bar("up", x, zero - came, step * 0.8, came)}${
      bar("down", x, zero, step * 0.8, bytesRemoved * scale)
    }${label}</g>`;
  });
  return svg(width, height, "Bytes added and modified, and removed, by period", [
    ...bars,
    `<line class="axis" x1="${left}" x2="${width - left}" y1="${px(zero)}" y2="${px(zero)}"/>`,
  ]);
}

/** A bar to the right for what grew, to the left for what shrank. */
function sharesChart(shares: Share[], title: string): string {
  const grown = shares.filter(({ growth }) => growth !== 0);
  if (grown.length === 0) return "";
  const [width, row, middle] = [960, 22, 560];
  const most = Math.max(...grown.map(({ growth }) => Math.abs(growth)));
  const lines = grown.map(({ name, growth }, i) => {
    const length = Math.abs(growth) / most * 280;
    const y = i * row + 3;
    const text = [...(name || "(none)")];
    const shown = text.length > 44 ? `…${text.slice(-43).join("")}` : text.join("");
    return `<g><title>${escape(name)}: ${signedBytes(growth)}</title><text x="0" y="${y + 12}">${
      escape(shown)
    }</text>${
      bar(growth > 0 ? "up" : "down", growth > 0 ? middle : middle - length, y, length, row - 6)
    }<text x="${middle + 290}" y="${y + 12}">${signedBytes(growth)}</text></g>`;
  });
  return svg(width, grown.length * row, title, lines);
}

function bar(className: string, x: number, y: number, width: number, height: number): string {
  if (width <= 0 || height <= 0) return "";
  return `<rect class="${className}" x="${px(x)}" y="${px(y)}" width="${px(width)}" height="${px(height)}"/>`;
}

function px(number: number): string {
  return String(Math.round(number * 10) / 10);
}

function svg(width: number, height: number, title: string, parts: string[]): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">\n${
    parts.join("\n")
  }\n</svg>\n`;
}

function escape(text: string): string {
  return visible(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
    '"',
    "&quot;",
  );
}
