/** The pushes that the settings file asks for, for commands that look after them. @module */
import type { Context, Invocation } from "./command.ts";
import { invocationOf } from "./settings.ts";
import { watchCommand } from "./watch.ts";
import { type WatchJob, watchJobs } from "./watch_job.ts";

const WATCH = { name: "watch", summary: "", fromTables: true, ...watchCommand };

/**
 * The jobs of `filesync watch` without arguments; none when the file names no directories.
 *
 * @param invocation Of any command.
 * @throws {FilesyncError} `usage` when the file is not right.
 */
export function configuredJobs({ file }: Invocation, context: Context): WatchJob[] {
  const isTable = Array.isArray(file.watch) ||
    (file.watch as { dir?: unknown } | undefined)?.dir !== undefined;
  if (!isTable) return [];
  const line = { arguments: [], given: new Map() };
  return watchJobs(invocationOf(WATCH, line, context.environment, file), context);
}
