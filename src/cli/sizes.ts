/** Sizes, durations and counts as people write them. @module */
import { durationIn } from "../core/duration.ts";
import { usageError } from "./usage_error.ts";

export { formatBytes, formatDuration } from "../core/amounts.ts";

const SIZE = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|b)?$/i;

/**
 * The bytes in `text`: `"512"`, `"10M"` and `"10MiB"` (powers of 1024), `"10MB"` (powers of 1000).
 *
 * @param what What it is for, to name in the error: `--limit`.
 * @throws {FilesyncError} `usage`.
 */
export function parseSize(text: string, what: string): number {
  const match = SIZE.exec(text.trim());
  const [, number, letter, suffix] = match ?? [];
  const base = suffix?.toLowerCase() === "b" ? 1000 : 1024;
  const power = letter === undefined ? 0 : "kmgt".indexOf(letter.toLowerCase()) + 1;
  const bytes = Math.round(Number(number) * base ** power);
  if (match !== null && Number.isSafeInteger(bytes)) return bytes;
  throw usageError(
    `use ${JSON.stringify(text)} for ${what}`,
    "it is not a size",
    "Write bytes, or a number with K, M, G or T, such as 10M",
  );
}

/** The milliseconds in `text` as {@linkcode parseDuration} takes it; `undefined` when it is no duration. */
export function durationOf(text: string): number | undefined {
  const trimmed = text.trim();
  return durationIn(/^\d+(\.\d+)?$/.test(trimmed) ? `${trimmed}s` : trimmed);
}

/**
 * The milliseconds in `text`: `"30s"`, `"5m"`, `"2h"`, `"1d"`, `"1h30m"`; a number alone is seconds.
 *
 * @param what What it is for, to name in the error: `--interval`.
 * @throws {FilesyncError} `usage`.
 */
export function parseDuration(text: string, what: string): number {
  const duration = durationOf(text);
  if (duration !== undefined) return duration;
  throw usageError(
    `use ${JSON.stringify(text)} for ${what}`,
    "it is not a duration",
    "Write seconds, or a number with ms, s, m, h, d or w, such as 30s or 1h30m",
  );
}

/**
 * The whole number in `text`, from `min` to `max`.
 *
 * @param what What it is for, to name in the error: `--keep`.
 * @throws {FilesyncError} `usage`.
 */
export function parseCount(
  text: string,
  what: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {},
): number {
  const count = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
  if (count >= min && count <= max) return count;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
  throw usageError(
    `use ${JSON.stringify(text)} for ${what}`,
    `it is not a whole number ${range}`,
  );
}
