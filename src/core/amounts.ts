/** Sizes, durations and counts for people. @module */

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

/** Bytes with a sign: `+1.5 MiB`. */
export function signedBytes(bytes: number): string {
  return `${bytes > 0 ? "+" : bytes < 0 ? "-" : ""}${formatBytes(Math.abs(bytes))}`;
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

/** A whole number with commas between thousands. */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 file`, `2 files`, `12,345 files`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${grouped(number)} ${number === 1 ? one : many}`;
}
