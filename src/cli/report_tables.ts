/** A report as tables: the common ground of text, CSV and HTML. @module */
import { dayOf } from "../core/duration.ts";
import type { CatalogReport, Counts } from "../crawler/report_data.ts";
import { quotePath } from "./quote.ts";
import { count, grouped, signedBytes } from "../core/amounts.ts";
import { formatBytes } from "./sizes.ts";
import { widthOf } from "./text_width.ts";

/** What a column holds decides how it is shown. */
export type ColumnKind = "text" | "path" | "count" | "bytes" | "growth" | "time";

/** A table of a report. */
export interface ReportTable {
  /** A word without spaces, for CSV. */
  id: string;
  title: string;
  columns: { name: string; kind: ColumnKind }[];
  rows: (string | number)[][];
}

const COUNT_COLUMNS: [key: keyof Counts, name: string, kind: ColumnKind][] = [
  ["added", "added", "count"],
  ["modified", "modified", "count"],
  ["moved", "moved", "count"],
  ["removed", "removed", "count"],
  ["bytesAdded", "added bytes", "bytes"],
  ["bytesModified", "modified bytes", "bytes"],
  ["bytesRemoved", "removed bytes", "bytes"],
  ["growth", "growth", "growth"],
];

/** The tables of a report that have rows. */
export function tablesOf(report: CatalogReport): ReportTable[] {
  const counts = COUNT_COLUMNS.map(([, name, kind]) => ({ name, kind }));
  const countsOf = (row: Counts) => COUNT_COLUMNS.map(([key]) => row[key]);
  const files = [{ name: "size", kind: "bytes" }, { name: "modified", kind: "time" }, {
    name: "path",
    kind: "path",
  }] satisfies ReportTable["columns"];
  const { duplicates } = report;
  const tables: ReportTable[] = [
    {
      id: "periods",
      title: report.period === "day" ? "By day (UTC)" : "By week (from Monday, UTC)",
      columns: [{ name: report.period, kind: "text" }, { name: "scans", kind: "count" }, ...counts],
      rows: report.periods.map((row) => [row.start, row.scans, ...countsOf(row)]),
    },
    {
      id: "directories",
      title: "By top directory",
      columns: [...counts, { name: "directory", kind: "path" }],
      rows: report.directories.map((row) => [...countsOf(row), row.name]),
    },
    {
      id: "extensions",
      title: "By extension",
      columns: [{ name: "extension", kind: "text" }, ...counts],
      rows: report.extensions.map((row) => [row.name === "" ? "(none)" : row.name, ...countsOf(row)]),
    },
    { id: "largest", title: "Largest files", columns: files, rows: report.largest.map(fileRow) },
    { id: "oldest", title: "Oldest files", columns: files, rows: report.oldest.map(fileRow) },
    {
      id: "duplicates",
      title: `Duplicates: ${grouped(duplicates.groups)} contents waste ${formatBytes(duplicates.wasted)}`,
      columns: [
        { name: "wasted", kind: "bytes" },
        { name: "files", kind: "count" },
        { name: "size", kind: "bytes" },
        { name: "fingerprint", kind: "text" },
        { name: "one of them", kind: "path" },
      ],
      rows: duplicates.biggest.map(({ wasted, count: files, size, fingerprint, path }) => [
        wasted,
        files,
        size,
        fingerprint.slice(0, 16),
        path,
      ]),
    },
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}

function fileRow({ size, mtime, path }: { size: number; mtime: number; path: string }): (string | number)[] {
  return [size, mtime, path];
}

/** A value for people. */
export function cellText(value: string | number, kind: ColumnKind): string {
  switch (kind) {
    case "count":
      return grouped(value as number);
    case "bytes":
      return formatBytes(value as number);
    case "growth":
      return signedBytes(value as number);
    case "time":
      return dayOf(value as number);
    default:
      return String(value);
  }
}

/** A line that says what the report is about. */
export function headline({ total, under, since, until }: CatalogReport): string {
  const where = under === undefined ? "" : ` below ${under || "/"}`;
  return `${count(total.files, "file")} in ${count(total.directories, "directory", "directories")}${where}, ${
    formatBytes(total.bytes)
  }; changes from ${dayOf(since)} to ${dayOf(until)}`;
}

/** Numbers stand to the right, texts to the left. */
export function isNumeric(kind: ColumnKind): boolean {
  return kind === "count" || kind === "bytes" || kind === "growth";
}

/** The report as aligned text. */
export function reportText(report: CatalogReport, bold: (text: string) => string): string {
  const parts = [`${headline(report)}\n`];
  for (const { title, columns, rows } of tablesOf(report)) {
    const cells = rows.map((row) =>
      row.map((value, i) => {
        const text = cellText(value, columns[i].kind);
        return columns[i].kind === "path" || columns[i].kind === "text" ? quotePath(text) : text;
      })
    );
    const head = columns.map(({ name }) => name);
    const widths = head.map((name, i) => Math.max(...[name, ...cells.map((row) => row[i])].map(widthOf)));
    const line = (row: string[]) =>
      row.map((cell, i) => {
        const gap = " ".repeat(widths[i] - widthOf(cell));
        return isNumeric(columns[i].kind) ? gap + cell : cell + gap;
      }).join("  ").trimEnd();
    parts.push([bold(title), ...[head, ...cells].map((row) => `  ${line(row)}`), ""].join("\n"));
  }
  return parts.join("\n");
}

/** The report as CSV (RFC 4180): one table after the other, each row led by the table's name. */
export function reportCsv(report: CatalogReport): string {
  return tablesOf(report).flatMap(({ id, columns, rows }) => [
    ["table", ...columns.map(({ name }) => name)],
    ...rows.map((row) => [
      id,
      ...row.map((value, i) => columns[i].kind === "time" ? new Date(value as number).toISOString() : value),
    ]),
  ]).map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
}

function csvCell(value: string | number): string {
  const text = String(value);
  // A spreadsheet would take such a name for a formula.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
