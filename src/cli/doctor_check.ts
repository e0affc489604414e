/** What `filesync doctor` finds out. @module */
import { statfsSync } from "node:fs";
import { formatBytes } from "./sizes.ts";

/** One thing that was looked at. */
export interface Check {
  name: string;
  verdict: "ok" | "warn" | "fail";
  detail: string;
  /** What to do about it. */
  next?: string;
}

export const ok = (name: string, detail: string): Check => ({ name, verdict: "ok", detail });
export const warn = (name: string, detail: string, next: string): Check => ({
  name,
  verdict: "warn",
  detail,
  next,
});
export const fail = (name: string, detail: string, next: string): Check => ({
  name,
  verdict: "fail",
  detail,
  next,
});

/** With less than this free a database may not be able to write its log, bytes. */
const LEAST_FREE = 64 << 20;

/** With less than this free the end is near, bytes. */
const LITTLE_FREE = 1 << 30;

/** Judges how much space is free somewhere. */
export function spaceCheck(name: string, free: number, where: string): Check {
  const detail = `${formatBytes(free)} free ${where}`;
  const next = "Free some space; what does not fit waits, and is not lost";
  if (free < LEAST_FREE) return fail(name, detail, next);
  return free < LITTLE_FREE ? warn(name, detail, next) : ok(name, detail);
}

/** Bytes that this user may still write to the file system of `path`. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
