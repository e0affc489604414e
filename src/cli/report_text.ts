/** Reports as lines of text, the same for a terminal, a pipe and a log. @module */
import type { Action } from "../core/action.ts";
import { count, formatBytes, formatDuration, grouped } from "../core/amounts.ts";
import { nextStep } from "../core/errors.ts";
import type { HistoryRecord } from "../transport/receiver.ts";
import { quotePath, visible } from "./quote.ts";
import type { ProgressReport, Report, ScannedReport, TotalsReport, VerifiedReport } from "./report.ts";

/** A report as a line, in the pieces that are coloured apart. All of it is safe to print. */
export interface ReportText {
  tone: "plain" | "good" | "changed" | "warning" | "bad";
  /** What happened, one or two words. */
  head: string;
  /** To what. */
  body: string;
  /** Less important. */
  detail?: string;
  /** The next step. */
  hint?: string;
}

/**
 * The text of any report but progress. It never holds a token.
 *
 * @param now Milliseconds since the epoch, to say how long until the next try.
 */
export function textOf(report: Exclude<Report, ProgressReport>, now: number): ReportText {
  const text = ofReport(report, now);
  const { type, source, destination } = report;
  if (type === "started" || destination === undefined) return text;
  const whose = source === undefined
    ? `to ${quotePath(destination)}`
    : `${quotePath(source)} → ${quotePath(destination)}`;
  return { ...text, detail: text.detail === undefined ? whose : `${text.detail}, ${whose}` };
}

function ofReport(report: Exclude<Report, ProgressReport>, now: number): ReportText {
  switch (report.type) {
    case "started": {
      const sides = [report.source, report.destination].filter((side) => side !== undefined).map(quotePath);
      const detail = report.dryRun ? "(dry run: nothing will be changed)" : undefined;
      return { tone: "plain", head: report.command, body: sides.join(" → "), detail };
    }
    case "scanned":
      return ofScan(report);
    case "applied": {
      const action = ofAction(report.action, report.sentBytes);
      const detail = [action.detail, report.on && `on the ${report.on}`].filter(Boolean).join(", ");
      const text = detail === "" ? action : { ...action, detail };
      return report.dryRun ? { ...text, head: `would ${text.head}` } : text;
    }
    case "problem": {
      const { path, message, permanent } = report.problem;
      const named = path === undefined || message.includes(JSON.stringify(path));
      return {
        tone: permanent ? "bad" : "warning",
        head: "problem:",
        body: named ? visible(message) : `${quotePath(path)}: ${visible(message)}`,
        hint: sentence(nextStep(report.problem), nextTry(report.retryAt, now)),
      };
    }
    case "notice": {
      const { level, message, hint } = report;
      return {
        tone: level === "warning" ? "warning" : "plain",
        head: level === "warning" ? "warning:" : "note:",
        body: visible(message),
        hint: sentence(hint),
      };
    }
    case "connection": {
      const detail = report.detail === undefined ? "" : visible(report.detail);
      const hint = nextTry(report.retryAt, now);
      switch (report.state) {
        case "online":
          return { tone: "good", head: "online", body: detail, hint };
        case "offline":
          return { tone: "warning", head: "offline:", body: detail || "the receiver does not answer", hint };
        case "indexing":
          return { tone: "plain", head: "waiting:", body: detail || "the receiver reads its tree", hint };
      }
      break;
    }
    case "totals":
      return ofTotals(report);
    case "listening": {
      const { url, directory, dashboard, indexed, pin } = report;
      const detail = [
        indexed && `${count(indexed.files, "file")}, ${formatBytes(indexed.bytes)}`,
        dashboard && `dashboard at ${visible(dashboard)}`,
        pin && `certificate ${pin}`,
      ].filter(Boolean).join(", ");
      return {
        tone: "good",
        head: "listening",
        body: `on ${visible(url)} for ${quotePath(directory)}`,
        detail: detail || undefined,
      };
    }
    case "reload":
      return { tone: "plain", head: "reload:", body: report.done ? "done" : "settings are read again" };
    case "verified":
      return ofVerified(report);
    case "conflict": {
      const { path, winner, copy } = report;
      const loser = winner === "source" ? "backup" : "source";
      return {
        tone: "changed",
        head: "conflict:",
        body: `${quotePath(path)} was changed on both sides; that of the ${winner} stays`,
        detail: copy === undefined
          ? `that of the ${loser} is a version`
          : `the other one is ${quotePath(copy)}`,
      };
    }
    case "version": {
      const { number, of, files, bytes, digest } = report;
      const body = `${number} of the ${of}: ${count(files, "file")}, ${formatBytes(bytes)}`;
      return { tone: "plain", head: "version", body, detail: digest.slice(0, 12) };
    }
    case "received": {
      const text = ofRecord(report.record);
      if (report.client === undefined) return text;
      return { ...text, detail: [text.detail, `from ${visible(report.client)}`].filter(Boolean).join(", ") };
    }
  }
}

/** The pieces of a line put together, without the hint. */
export function joinText({ head, body, detail }: ReportText): string {
  return [head, body].filter((piece) => piece !== "").join(" ") + (detail ? `  ${detail}` : "");
}

function ofAction(action: Action, sentBytes?: number): ReportText {
  const path = quotePath(action.path);
  switch (action.type) {
    case "put": {
      const sent = sentBytes === undefined || sentBytes >= action.size
        ? ""
        : `, ${formatBytes(sentBytes)} sent`;
      return { tone: "good", head: "put", body: path, detail: formatBytes(action.size) + sent };
    }
    case "directory":
      return { tone: "good", head: "make directory", body: path };
    case "symlink":
      return { tone: "good", head: "link", body: `${path} → ${quotePath(action.target)}` };
    case "move":
      return { tone: "changed", head: "move", body: `${quotePath(action.from)} → ${path}` };
    case "remove":
      return { tone: "bad", head: "remove", body: path };
  }
}

const RECORD_WORDS: Record<HistoryRecord["what"], Pick<ReportText, "tone" | "head">> = {
  "put": { tone: "good", head: "put" },
  "directory": { tone: "good", head: "make directory" },
  "symlink": { tone: "good", head: "link" },
  "move": { tone: "changed", head: "move" },
  "remove": { tone: "bad", head: "remove" },
  "found": { tone: "changed", head: "found changed" },
  "found-gone": { tone: "changed", head: "found gone" },
};

function ofRecord({ what, path, from, size }: HistoryRecord): ReportText {
  const body = from === undefined ? quotePath(path) : `${quotePath(from)} → ${quotePath(path)}`;
  return { ...RECORD_WORDS[what], body, ...(size === undefined ? {} : { detail: formatBytes(size) }) };
}

function ofTotals(
  { counts, bytes, sentBytes, savedBytes = 0, seconds, problems, dryRun, failed }: TotalsReport,
): ReportText {
  const done = [
    counts.put && `${count(counts.put, "file")} put (${formatBytes(bytes)})`,
    counts.directory && `${count(counts.directory, "directory", "directories")} made`,
    counts.symlink && count(counts.symlink, "link"),
    counts.move && `${grouped(counts.move)} moved`,
    counts.remove && `${grouped(counts.remove)} removed`,
  ].filter(Boolean);
  const wire = [
    sentBytes > 0 && `${formatBytes(sentBytes)} sent`,
    savedBytes > 0 && `${formatBytes(savedBytes)} saved`,
    `in ${formatDuration(seconds * 1000)}`,
  ].filter(Boolean);
  return {
    tone: problems > 0 || failed ? "warning" : "good",
    head: dryRun ? "would be:" : failed ? "broke off:" : "done:",
    body: (done.length > 0 ? done.join(", ") : failed ? "nothing was changed" : "nothing to change") +
      (problems > 0 ? `; ${count(problems, "problem")}` : ""),
    detail: wire.join(", "),
  };
}

function ofVerified(report: VerifiedReport): ReportText {
  const damaged = report.damaged + report.damagedChunks;
  const differing = [
    report.changed && `${grouped(report.changed)} changed`,
    report.added && `${grouped(report.added)} added`,
    report.missing && `${grouped(report.missing)} missing`,
  ].filter(Boolean);
  const body = [
    `${count(report.same, "entry", "entries")} as recorded`,
    damaged > 0 ? `${grouped(damaged)} damaged (${grouped(report.repaired)} repaired)` : "nothing damaged",
    report.unreadable > 0 && `${grouped(report.unreadable)} unreadable`,
    differing.length > 0 && `since then ${differing.join(", ")}`,
  ].filter(Boolean);
  return {
    tone: damaged > report.repaired || report.unreadable > 0 ? "bad" : "good",
    head: "verified:",
    body: body.join("; "),
    detail: `in ${formatDuration(report.seconds * 1000)}`,
  };
}

function ofScan(report: ScannedReport): ReportText {
  const { scan, files, directories, bytes, added, modified, removed, moved, growth, seconds, problems } =
    report;
  const done = [
    added > 0 && `${grouped(added)} added`,
    modified > 0 && `${grouped(modified)} modified`,
    moved > 0 && `${grouped(moved)} moved`,
    removed > 0 && `${grouped(removed)} removed`,
  ].filter(Boolean);
  const details = [
    `${count(files, "file")} in ${count(directories, "directory", "directories")}`,
    formatBytes(bytes) +
    (growth === 0 ? "" : ` (${growth > 0 ? "+" : "-"}${formatBytes(Math.abs(growth))})`),
    `in ${formatDuration(seconds * 1000)}`,
  ];
  return {
    tone: problems > 0 ? "warning" : "good",
    head: `scan ${scan}:`,
    body: (done.length === 0 ? "nothing changed" : done.join(", ")) +
      (problems > 0 ? `; ${count(problems, "problem")}` : ""),
    detail: details.join(", "),
  };
}

function nextTry(retryAt: number | undefined, now: number): string | undefined {
  if (retryAt === undefined) return undefined;
  return retryAt <= now ? "next try now" : `next try in ${formatDuration(retryAt - now)}`;
}

function sentence(...clauses: (string | undefined)[]): string | undefined {
  const said = clauses.filter((clause) => clause !== undefined).map(visible);
  return said.length === 0 ? undefined : said.join("; ");
}
