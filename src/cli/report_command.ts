/** `filesync report`: how scanned trees grow. @module */
import { dayOf } from "../core/duration.ts";
import { EXIT, toFilesyncError } from "../core/errors.ts";
import { type CatalogReport, makeReport, type PeriodLength } from "../crawler/report_data.ts";
import { CATALOG_FLAGS, openCatalog } from "./catalog_location.ts";
import { cataloguedPath } from "./changes.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { visibleJson } from "./quote.ts";
import { reportHtml } from "./report_html.tsx";
import { reportCsv, reportText } from "./report_tables.ts";
import { parseMoment } from "./since.ts";
import { parseCount } from "./sizes.ts";
import { createStyle } from "./style.ts";
import { anyOf } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** How far back a report looks by itself. */
const LOOKS_BACK: Record<PeriodLength, string> = { day: "30d", week: "26w" };

const FORMATS: Record<string, (report: CatalogReport, context: Context) => string> = {
  text: (report, { colors }) => reportText(report, createStyle(colors).bold),
  json: (report) => `${visibleJson(JSON.stringify(report))}\n`,
  csv: reportCsv,
  html: reportHtml,
};

export const reportCommand: CommandBody = {
  description:
    "By day or by week: files and bytes added, modified and removed; growth by top directory and by extension; the largest and oldest files; and, where fingerprints were taken, duplicates and the space they waste.",
  arguments: [],
  flags: [
    ...CATALOG_FLAGS,
    {
      name: "daily",
      description: "By day, for the last 30 days unless --since says otherwise (the default)",
    },
    { name: "weekly", description: "By week, for the last 26 weeks unless --since says otherwise" },
    {
      name: "since",
      short: "s",
      value: "TIME",
      description: "From then on: a duration such as 7d, or a date such as 2026-01-31",
    },
    { name: "until", value: "TIME", description: "Up to then" },
    { name: "under", short: "u", value: "DIR", description: "Only of DIR and what is below it" },
    { name: "host", value: "NAME", env: "FILESYNC_HOST", description: "Only of trees of this machine" },
    { name: "top", value: "N", default: "10", description: "Show N rows of each list of the biggest" },
    { name: "format", short: "F", value: "FORMAT", default: "text", description: "text, json, csv or html" },
    { name: "output", short: "o", value: "FILE", description: "Write the report to FILE" },
  ],
  examples: [
    { command: "filesync report", does: "The last 30 days" },
    { command: "filesync report --weekly --format html -o report.html", does: "A page with charts" },
    { command: "filesync report --under /srv/data/2026 --since 2026-01-01", does: "One directory" },
  ],
  run: report,
};

async function report(invocation: Invocation, context: Context): Promise<number> {
  const format = invocation.has("json") ? "json" : invocation.flag("format")!;
  if (!Object.hasOwn(FORMATS, format)) {
    throw usageError(
      `use ${JSON.stringify(format)} for --format`,
      "there is no such format",
      `Write ${anyOf(Object.keys(FORMATS))}`,
    );
  }
  if (invocation.has("daily") && invocation.has("weekly")) {
    throw usageError("report by day and by week", "it is one or the other", "Leave out --daily or --weekly");
  }
  const period: PeriodLength = invocation.has("weekly") ? "week" : "day";
  const now = context.clock.now();
  const [from, to] = ["since", "until"].map((name) => invocation.flag(name));
  const until = to === undefined ? now + 1 : parseMoment(to, now, "--until");
  const since = from === undefined
    ? parseMoment(LOOKS_BACK[period], until, "--since")
    : parseMoment(from, now, "--since");
  if (since > until) {
    throw usageError(
      `report from ${dayOf(since)} to ${dayOf(until)}`,
      "it ends before it begins",
      "Give --since an earlier time than --until, which is now unless it is given",
    );
  }
  await using store = await openCatalog(invocation, context, { readOnly: true });
  const made = await makeReport(store.sql, {
    period,
    since,
    until,
    host: invocation.flag("host"),
    under: cataloguedPath(invocation.flag("under")),
    top: parseCount(invocation.flag("top")!, "--top", { min: 1, max: 10_000 }),
  });
  const text = FORMATS[format](made, context);
  const output = invocation.flag("output");
  if (output === undefined) context.stdout.write(text);
  else writeFile(output, text);
  return EXIT.done;
}

function writeFile(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(path, text);
  } catch (error) {
    throw toFilesyncError(`write the report to ${JSON.stringify(path)}`, error);
  }
}
