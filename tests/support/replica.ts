/** What a user does to a tree in memory. @module */
import type { Digest } from "../../src/core/digest.ts";
import type { Entry } from "../../src/core/entry.ts";
import { isWithin, parentOf, parsePath, rebase, ROOT, type TreePath } from "../../src/core/path.ts";
import { sha256 } from "../../src/hashing/sha256.ts";
import { MemoryReceiver, type MemoryReceiverOptions } from "./memory_receiver.ts";

/** A tree in memory with its user, whose clock may be wrong. */
export class Replica {
  readonly receiver: MemoryReceiver;
  /** Contents that a user replaced or removed, having seen them. */
  readonly superseded = new Set<Digest>();
  readonly #now: () => number;

  constructor(now: () => number, options: MemoryReceiverOptions = {}) {
    this.#now = now;
    this.receiver = new MemoryReceiver({ now, ...options });
  }

  /** Every path, in order. */
  get paths(): TreePath[] {
    return [...this.receiver.disk.keys()].sort();
  }

  /** The tree as lines, for comparing and for people. */
  get text(): string[] {
    return this.paths.map((path) => {
      const entry = this.receiver.disk.get(path)!;
      switch (entry.kind) {
        case "file":
          return `${path} "${new TextDecoder().decode(this.receiver.bytes.get(entry.digest))}"`;
        case "directory":
          return `${path}/`;
        case "symlink":
          return `${path} -> ${entry.target}`;
      }
    });
  }

  /** Everything that stands there. */
  get entries(): Entry[] {
    return this.paths.map((path) => this.receiver.disk.get(path)!);
  }

  /** Writes a file, whatever stood there; gives its digest unless a file is in the way above it. */
  write(path: string, content: string, mode = 0o644): Digest | undefined {
    const bytes = new TextEncoder().encode(content);
    const digest = sha256(bytes);
    const at = parsePath(path);
    if (!this.#makeWay(at)) return undefined;
    this.receiver.bytes.set(digest, bytes);
    this.#put({ kind: "file", path: at, size: bytes.length, mtime: this.#now(), mode, digest });
    return digest;
  }

  makeDirectory(path: string): void {
    const at = parsePath(path);
    if (this.receiver.disk.get(at)?.kind === "directory" || !this.#makeWay(at)) return;
    this.#put({ kind: "directory", path: at, mtime: this.#now(), mode: 0o755 });
  }

  link(path: string, target: string): void {
    const at = parsePath(path);
    if (this.#makeWay(at)) this.#put({ kind: "symlink", path: at, mtime: this.#now(), target });
  }

  /** Removes what stands there, with all that is below. */
  remove(path: string): void {
    const at = parsePath(path);
    for (const one of this.paths.filter((one) => isWithin(one, at))) {
      const entry = this.receiver.disk.get(one)!;
      if (entry.kind === "file") this.superseded.add(entry.digest);
      this.receiver.disk.delete(one);
    }
    this.#touch(at);
  }

  /** Renames over whatever stands at `to`. */
  rename(from: string, to: string): void {
    const [old, path] = [parsePath(from), parsePath(to)];
    if (!this.receiver.disk.has(old) || isWithin(path, old) || isWithin(old, path)) return;
    if (!this.#makeWay(path)) return;
    for (const one of this.paths.filter((one) => isWithin(one, old))) {
      const entry = this.receiver.disk.get(one)!;
      this.receiver.disk.delete(one);
      const moved = rebase(one, old, path);
      this.receiver.disk.set(moved, { ...entry, path: moved });
    }
    this.#touch(old);
    this.#touch(path);
  }

  /** Copies a file, with its time or without. */
  copy(from: string, to: string, withTime: boolean): void {
    const entry = this.receiver.disk.get(parsePath(from));
    const path = parsePath(to);
    if (entry?.kind !== "file" || from === to || isWithin(entry.path, path) || !this.#makeWay(path)) return;
    this.#put({ ...entry, path, ...(withTime ? {} : { mtime: this.#now() }) });
  }

  chmod(path: string, mode: number): void {
    const entry = this.receiver.disk.get(parsePath(path));
    if (entry !== undefined && entry.kind !== "symlink") {
      this.receiver.disk.set(entry.path, {
        ...entry,
        mode: entry.kind === "directory" ? mode | 0o700 : mode,
      });
    }
  }

  #put(entry: Entry): void {
    this.receiver.disk.set(entry.path, entry);
    this.#touch(entry.path);
  }

  /** Takes away what stands at `path` and makes the directories above it; says whether that could be done. */
  #makeWay(path: TreePath): boolean {
    for (let above = parentOf(path); above !== ROOT; above = parentOf(above)) {
      const entry = this.receiver.disk.get(above);
      if (entry !== undefined && entry.kind !== "directory") return false;
    }
    if (this.receiver.disk.has(path)) this.remove(path);
    if (parentOf(path) !== ROOT) this.makeDirectory(parentOf(path));
    return true;
  }

  /** The time of a directory tells when a name in it changed. */
  #touch(path: TreePath): void {
    const parent = this.receiver.disk.get(parentOf(path));
    if (parent !== undefined) this.receiver.disk.set(parent.path, { ...parent, mtime: this.#now() });
  }
}
