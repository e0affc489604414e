/** Sizes, durations and counts as people write them. @module */
import { durationIn } from "../core/duration.ts";
import { usageError } from "./usage_error.ts";

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

/**
 * The milliseconds in `text`: `"30s"`, `"5m"`, `"2h"`, `"1d"`, `"1h30m"`; a number alone is seconds.
 *
 * @param what What it is for, to name in the error: `--interval`.
 * @throws {FilesyncError} `usage`.
 */
export function parseDuration(text: string, what: string): number {
  const trimmed = text.trim();
  const spelled = /^\d+(\.\d+)?$/.test(trimmed) ? `${trimmed}s` : trimmed;
  const duration = durationIn(spelled);
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

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/**
 * Bytes for people: exact below 1 KiB, then one decimal of the unit that keeps it below 1024.
 * (`@std/fmt/bytes` rounds 1023 B to 1020 B and prints 1,024.0 kiB for a byte less than 1 MiB.)
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // From here up, one decimal would round to 1024.0.
  while (value >= (unit === 0 ? 1024 : 1023.95) && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Milliseconds for people, in at most two units: `0.4s`, `3s`, `3m 20s`, `2h 5m`, `3d 4h`. */
export function formatDuration(ms: number): string {
  if (ms < 9950) return `${Math.round(Math.max(0, ms) / 100) / 10}s`;
  const seconds = Math.round(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts.slice(first, first + 2).filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`).join(" ");
}
