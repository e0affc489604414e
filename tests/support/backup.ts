/** A directory, its backup, and the program that keeps them in step. @module */
import { existsSync } from "@std/fs";
import type { Context } from "../../src/cli/command.ts";
import { Home, type Outcome } from "./run_command.ts";

/** A source and a backup in a home of their own. */
export class Backup implements Disposable {
  readonly home = new Home();
  readonly source = this.home.directory("source");
  readonly backup = `${this.home.path}/backups/backup`;
  /** Beside the backup. */
  readonly versions = `${this.home.directory("backups")}/__versions__/backup`;

  /** Runs `filesync sync`. */
  sync(...args: string[]): Promise<Outcome> {
    return this.home.run("sync", this.source, this.backup, ...args);
  }

  syncIn(context: Partial<Context>, ...args: string[]): Promise<Outcome> {
    return this.home.runIn(this.home.context(context), "sync", this.source, this.backup, ...args);
  }

  /** The digest that `filesync digest` prints. */
  async digest(directory: string): Promise<string> {
    return (await this.home.run("digest", directory)).out.slice(0, 64);
  }

  /** Removes what the user's state directory knows of all syncs. */
  forgetState(): void {
    const state = `${this.home.environment.HOME}/.local/state`;
    if (existsSync(state)) Deno.removeSync(state, { recursive: true });
  }

  [Symbol.dispose](): void {
    this.home[Symbol.dispose]();
  }
}

/** Changes one bit of a file, as a failing disk does: neither its size nor its time tell. */
export function spoil(path: string, at = 0): void {
  const { atime, mtime } = Deno.statSync(path);
  using file = Deno.openSync(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  file.seekSync(at, Deno.SeekMode.Start);
  file.readSync(byte);
  byte[0] ^= 1;
  file.seekSync(at, Deno.SeekMode.Start);
  file.writeSync(byte);
  Deno.utimeSync(path, atime!, mtime!);
}

/** Gives a file a time at which nobody is still looking at it. */
export function age(path: string, seconds = 1_600_000_000.5): void {
  Deno.utimeSync(path, seconds, seconds);
}
