/** A small table of commands, and a world to run them in. @module */
import type { Command, Context } from "../../src/cli/command.ts";
import { FakeClock } from "./fake_clock.ts";

/** A command that uses all a table can say. */
export const watchCommand: Command = {
  name: "watch",
  summary: "Push every change of a directory to a server",
  description:
    "Watches <dir> and brings each change to the receiver as soon as the file has settled. What could not be sent is kept in a queue and tried again.\n\nStop it with Ctrl+C; the file in hand is finished first.",
  arguments: [{ name: "dir", description: "The directory to watch" }],
  flags: [
    { name: "to", value: "HOST", required: true, env: "FILESYNC_TO", description: "Where changes go" },
    {
      name: "ignore",
      short: "i",
      value: "PATTERN",
      repeat: true,
      env: "FILESYNC_IGNORE",
      description: "Leave out what matches, in the language of .gitignore",
    },
    { name: "limit", value: "SIZE", default: "none", description: "Send at most SIZE a second" },
    { name: "verify", negatable: true, default: "true", description: "Compare what arrived: [all] of it" },
    { name: "an-uncommonly-long-flag-name", value: "VALUE", description: "Its text stands below" },
    { name: "secret", hidden: true, description: "Not shown" },
  ],
  examples: [
    {
      command: "filesync watch ~/photos --to backup.example:7433",
      does: "Keep the photos backed up, don't stop",
    },
    { command: "filesync watch . --to ./copy -i '*.tmp'", does: "Into a directory beside it" },
  ],
  run: () => Promise.resolve(0),
};

/** A command that takes next to nothing. */
export const statusCommand: Command = {
  name: "status",
  summary: "Show what waits and what has problems",
  arguments: [{ name: "dir", optional: true, description: "The directory that is watched" }],
  flags: [],
  examples: [],
  run: () => Promise.resolve(0),
};

/** A context that keeps what is written. */
export interface FakeContext extends Context {
  clock: FakeClock;
  /** All that went to `stdout`. */
  readonly printed: string;
  /** All that went to `stderr`. */
  readonly complained: string;
}

/** A pipe of 80 columns without environment, unless told otherwise. */
export function fakeContext(changes: Partial<Context> = {}): FakeContext {
  const written = { stdout: "", stderr: "" };
  return {
    version: "1.2.3",
    clock: new FakeClock(),
    signal: new AbortController().signal,
    onReload: () => ({ [Symbol.dispose]() {} }),
    environment: () => undefined,
    stdout: { write: (text) => void (written.stdout += text) },
    stderr: { write: (text) => void (written.stderr += text) },
    isTerminal: false,
    colors: false,
    columns: () => 80,
    get printed() {
      return written.stdout;
    },
    get complained() {
      return written.stderr;
    },
    ...changes as object,
  };
}
