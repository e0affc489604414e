/**
 * Finds what a watch has lost without a word, by looking at every directory and every link now and then.
 *
 * - Directories that nobody watches any more. A directory that was moved is watched anew with all that the
 *   links in it lead to, under the links' names; when such a link is removed, so are the watches of what it
 *   led to (notify 8.2, `EventLoop::remove_watch`). Linux tells what is watched in `/proc/self/fdinfo`, see
 *   proc(5); elsewhere this is not found.
 * - Links that came or changed. `Deno.watchFs` drops an event whose path leads outside the watched directory
 *   (denoland/deno `runtime/ops/fs_events.rs`, `starts_with_canonicalized`), and a link is followed for that.
 *
 * @module
 */
import { lstatSync } from "node:fs";
import { leadsInside } from "./specials.ts";

/** What an audit found; paths are relative to the root. */
export interface Findings {
  /** Links that are not as they were at the audit before, or are new. */
  changed: string[];
  /** Links that lead to directories inside the tree. */
  links: string[];
  /** A directory that is not watched. */
  unwatched?: string;
  /** What it cost, milliseconds. */
  took: number;
}

/** What stands at a path, told by everything that changes with it. */
interface Look {
  dev: bigint;
  ino: bigint;
  mtimeNs: bigint;
  /** Whole seconds, in Deno. */
  ctimeNs: bigint;
}

/** A directory, and how it looked when it was last listed. */
interface Listed {
  look: Look | undefined;
  /** It changed since the audit before, perhaps again within the same tick of the clock: to be listed again. */
  isFresh: boolean;
}

/** How long a directory may be unwatched after it was made, milliseconds. */
const GRACE_MS = 500;

/** Paths looked at between two turns of the event loop. */
const SLICE = 500;

/** Knows a tree from one audit to the next. */
export class Auditor {
  readonly #root: string;
  /** `/`-led, the root is "". Grows while it is walked. */
  readonly #directories = new Map<string, Listed>([["", { look: undefined, isFresh: true }]]);
  /** Directories that the last audit found gone. */
  #gone: ReadonlySet<string> = new Set();
  /** By path: how the link looked, and whether it leads to a directory inside the tree. */
  readonly #links = new Map<string, { look: Look; isInside: boolean }>();
  /** Some file systems number a directory otherwise for the kernel's watches; then nothing can be said. */
  readonly #trusted: boolean;

  /** @param root A directory whose watch was just made. */
  constructor(root: string) {
    this.#root = root;
    const look = lookAt(root);
    this.#trusted = look !== undefined && missing(new Map([["", look]])).size === 0;
  }

  /** Looks at everything once. Audits must be further apart than a tick of the file system's clock. */
  async audit(): Promise<Findings> {
    const start = performance.now();
    const changed: string[] = [];
    const gone = new Set<string>();
    let steps = 0;
    const turn = () => ++steps % SLICE === 0 ? new Promise((resolve) => setTimeout(resolve, 0)) : undefined;
    for (const [path, listed] of this.#directories) {
      await turn();
      const look = lookAt(this.#root + path);
      const isSame = look !== undefined && isSameLook(look, listed.look);
      if (isSame && !listed.isFresh) continue;
      if (look === undefined) {
        this.#directories.delete(path);
        gone.add(path);
      } else this.#directories.set(path, { look, isFresh: !isSame });
      for (const { name, isDirectory, isSymlink } of list(this.#root + path)) {
        const child = `${path}/${name}`;
        if (isDirectory && !this.#directories.has(child)) {
          this.#directories.set(child, { look: undefined, isFresh: true });
        } else if (isSymlink && !this.#links.has(child)) this.#noteLink(child, changed);
      }
    }
    this.#gone = gone;
    for (const path of this.#links.keys()) {
      await turn();
      this.#noteLink(path, changed);
    }
    const links = [...this.#links].flatMap(([path, { isInside }]) => isInside ? [path.slice(1)] : []);
    const suspects = this.#suspects();
    const took = performance.now() - start;
    const unwatched = await this.#confirm(suspects);
    return { changed, links, took, ...(unwatched === undefined ? {} : { unwatched }) };
  }

  /** Whether `directory`, relative to the root, was there lately under this very name. */
  knows(directory: string): boolean {
    return this.#directories.has(`/${directory}`) || this.#gone.has(`/${directory}`);
  }

  #noteLink(path: string, changed: string[]): void {
    const before = this.#links.get(path)?.look;
    const look = lookAt(this.#root + path);
    if (look !== undefined && isSameLook(look, before)) return;
    changed.push(path.slice(1));
    if (look === undefined) this.#links.delete(path);
    else this.#links.set(path, { look, isInside: leadsInside(this.#root, this.#root + path) });
  }

  /** Directories that are not watched, or not yet. */
  #suspects(): Map<string, Look> {
    const device = this.#directories.get("")?.look?.dev;
    const looks = new Map<string, Look>();
    if (!this.#trusted) return looks;
    for (const [path, { look }] of this.#directories) if (look?.dev === device) looks.set(path, look!);
    return missing(looks);
  }

  /** One of `suspects` that is still there, and still not watched, a little later. */
  async #confirm(suspects: Map<string, Look>): Promise<string | undefined> {
    if (suspects.size === 0) return undefined;
    await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
    for (const [path, { ino }] of missing(suspects)) {
      if (lookAt(this.#root + path)?.ino === ino) return path.slice(1);
    }
  }
}

/** Those of `directories` that the best of this process's watches lacks. */
function missing(directories: Map<string, Look>): Map<string, Look> {
  let best = directories;
  for (const inodes of watchedInodes()) {
    const lacking = new Map([...directories].filter(([, { ino }]) => !inodes.has(ino)));
    if (lacking.size < best.size) best = lacking;
  }
  return best;
}

/** The inodes that each inotify instance of this process watches. */
function watchedInodes(): Set<bigint>[] {
  const instances: Set<bigint>[] = [];
  for (const { name } of list("/proc/self/fdinfo")) {
    try {
      const info = Deno.readTextFileSync(`/proc/self/fdinfo/${name}`);
      const inodes = Array.from(
        info.matchAll(/^inotify .*\bino:([0-9a-f]+)/gm),
        ([, inode]) => BigInt(`0x${inode}`),
      );
      if (inodes.length > 0) instances.push(new Set(inodes));
    } catch {
      // The file was closed meanwhile.
    }
  }
  return instances;
}

function list(directory: string): Deno.DirEntry[] {
  try {
    return Array.from(Deno.readDirSync(directory));
  } catch {
    return []; // it is gone, or not ours to read
  }
}

function lookAt(path: string): Look | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    return undefined; // it is gone
  }
}

function isSameLook(a: Look, b: Look | undefined): boolean {
  return a.ino === b?.ino && a.dev === b.dev && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}
