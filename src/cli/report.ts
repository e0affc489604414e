/**
 * What commands tell the user: one stream of {@linkcode Report}s that goes to one or more
 * {@linkcode Printer}s (text, JSON, a log file).
 *
 * @module
 */
import type { Action } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { Problem } from "../core/problem.ts";
import type { HistoryRecord } from "../transport/receiver.ts";

/** A command has begun. */
export interface StartedReport {
  type: "started";
  command: string;
  source?: string;
  destination?: string;
  /** Whether it only says what it would do. */
  dryRun?: boolean;
}

/** A tree has been scanned into a catalog. */
export interface ScannedReport {
  type: "scanned";
  root: string;
  /** The number of the scan in the catalog. */
  scan: number;
  files: number;
  directories: number;
  bytes: number;
  added: number;
  modified: number;
  removed: number;
  moved: number;
  bytesAdded: number;
  bytesModified: number;
  bytesRemoved: number;
  /** By how many bytes all files together grew. */
  growth: number;
  seconds: number;
  problems: number;
}

/** How far the work is. When all items are done it is over, until the next one. */
export interface ProgressReport {
  type: "progress";
  doneItems: number;
  /** `Infinity` when it is not known; `null` in JSON. */
  totalItems: number;
  doneBytes: number;
  totalBytes: number;
  /** Bytes that really went over the wire. */
  sentBytes: number;
  /** How long it has taken so far. */
  seconds?: number;
  /** The path in hand. */
  current?: string;
}

/** An action has been done at the destination. */
export interface AppliedReport {
  type: "applied";
  action: Action;
  /** Milliseconds since the epoch. @default {now} */
  time?: number;
  sentBytes?: number;
  /** Where, when there are two sides that change. */
  on?: "source" | "backup";
  /** Whether it would be done, and was not. */
  dryRun?: boolean;
}

/** One path that could not be handled. */
export interface ProblemReport {
  type: "problem";
  problem: Problem;
  /** When it is tried again, milliseconds since the epoch. */
  retryAt?: number;
}

/** Something worth knowing that is about no single path. */
export interface NoticeReport {
  type: "notice";
  level: "info" | "warning";
  message: string;
  hint?: string;
}

/** The way to the receiver opened or closed. */
export interface ConnectionReport {
  type: "connection";
  state: "online" | "offline" | "indexing";
  detail?: string;
  /** When it is tried again, milliseconds since the epoch. */
  retryAt?: number;
}

/** What a run did in all. */
export interface TotalsReport {
  type: "totals";
  counts: Partial<Record<Action["type"], number>>;
  /** Size of the files put. */
  bytes: number;
  /** Bytes that really went over the wire. */
  sentBytes: number;
  /** Bytes that need not go over the wire. @default {0} */
  savedBytes?: number;
  seconds: number;
  /** How many problems are left. */
  problems: number;
  dryRun?: boolean;
  /** Whether it broke off: by an error that is told besides, or because the user interrupted it. */
  failed?: boolean;
}

/** A server is ready. */
export interface ListeningReport {
  type: "listening";
  url: string;
  directory: string;
  /** Where a browser sees what happens. */
  dashboard?: string;
  /** Shown when it was just made; never written to a log. */
  token?: string;
  /** The pin of its certificate. */
  pin?: string;
  /** What to type on the other machine; never written to a log. */
  watchCommand?: string;
  /** What stands in the tree. */
  indexed?: { files: number; bytes: number };
}

/** A server changed its tree, or found it changed. */
export interface ReceivedReport {
  type: "received";
  record: HistoryRecord;
  /** Who sent it. */
  client?: string;
}

/** Settings are read again, or have been. */
export interface ReloadReport {
  type: "reload";
  done: boolean;
}

/** Both sides of a sync changed a path, and one of them won. */
export interface ConflictReport {
  type: "conflict";
  path: string;
  winner: "source" | "backup";
  /** Where the other content is, when it is a file of its own; else it is a version. */
  copy?: string;
}

/** A version was made of a whole tree. */
export interface VersionReport {
  type: "version";
  number: number;
  /** Which tree it is of. */
  of: "source" | "backup" | "served";
  /** The digest of the directory. */
  digest: Digest;
  files: number;
  bytes: number;
  reason: string;
}

/** What reading everything again has found. */
export interface VerifiedReport {
  type: "verified";
  /** Entries that are as they were recorded. */
  same: number;
  /** Files with other content, whose size and time do not say why. */
  damaged: number;
  /** What somebody changed, removed or added since it was recorded. */
  changed: number;
  missing: number;
  added: number;
  /** Chunks of versions that are not what they were. */
  damagedChunks: number;
  /** Of all that was damaged, how much has its good content back. */
  repaired: number;
  unreadable: number;
  seconds: number;
}

/** Which of several pushes a report is of; the source only when they have several. */
export interface PushName {
  source?: string;
  destination?: string;
}

/** What a command tells the user. */
export type Report = PushName & AnyReport;

type AnyReport =
  | StartedReport
  | ScannedReport
  | ProgressReport
  | AppliedReport
  | ProblemReport
  | NoticeReport
  | ConnectionReport
  | TotalsReport
  | ListeningReport
  | ReceivedReport
  | ConflictReport
  | VersionReport
  | VerifiedReport
  | ReloadReport;

/** Whatever shows reports. Neither method throws. */
export interface Printer extends Disposable {
  report(report: Report): void;
  /** Leaves the terminal as it was found. May be called again. */
  close(): void;
}
