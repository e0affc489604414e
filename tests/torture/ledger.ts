/**
 * A tree that changes, and a record of everything that ever stood at each of its paths. What is found
 * at a copy of the tree can be judged by it: whole or torn, and not older than what was acknowledged.
 *
 * @module
 */
import { dirname, join } from "@std/path";
import type { Action } from "../../src/core/action.ts";
import type { Digest } from "../../src/core/digest.ts";
import { sha256 } from "../../src/hashing/sha256.ts";
import { randomBytes } from "../support/bytes.ts";
import { type Standing, type TreeSnapshot } from "../support/trees.ts";
import { picker } from "./attack.ts";

/** What stood at a path, in a word; nothing is `""`. */
type State = string;

const NOTHING: State = "";
const DIRECTORY: State = "directory";

/** Entries beyond which more is removed than added. */
const MOST_ENTRIES = 120;

/** A file of more than this is assembled where it arrives. */
const BIG_BYTES = 8 << 20;

/** Where new content is written before it gets its name: what is seen at a path is one state or the other. */
const ASIDE = "aside";

/** See the module's comment. */
export class Ledger {
  readonly #tree: string;
  readonly #aside: string;
  readonly #hasBig: boolean;
  readonly #pick: ReturnType<typeof picker>;
  /** Everything that stood at each path, the oldest first. */
  readonly #states = new Map<string, State[]>([]);
  /** Which of them was acknowledged last. */
  readonly #acknowledged = new Map<string, number>();
  readonly #contents = new Set<Digest>();

  /**
   * @param disk An empty directory; the tree is made in it.
   * @param hasBig Whether a file now and then is so big that it is sent in many requests.
   */
  constructor(disk: string, random: () => number, { hasBig = false } = {}) {
    this.#hasBig = hasBig;
    this.#tree = `${disk}/tree`;
    this.#aside = `${disk}/${ASIDE}`;
    Deno.mkdirSync(this.#tree);
    this.#pick = picker(random);
  }

  /** The tree. */
  get tree(): string {
    return this.#tree;
  }

  /** Changes something, as people and programs do. */
  change(): void {
    const { one, chance, below } = this.#pick;
    const files = this.#standing((state) => state !== DIRECTORY);
    const directories = this.#standing((state) => state === DIRECTORY);
    if (this.#hasBig && chance(0.02)) {
      return this.#write("big", randomBytes(below(2 ** 31), BIG_BYTES + below(BIG_BYTES)));
    }
    if (files.length < 5 || (chance(0.35) && files.length + directories.length < MOST_ENTRIES)) {
      // Now and then as many at once as make a big batch.
      for (let count = chance(0.2) ? 8 + below(20) : 1 + below(3); count > 0; count--) {
        this.#write(this.#newPath(directories), this.#content());
      }
      return;
    }
    const path = one(files);
    one<() => void>([
      () => this.#write(path, this.#content()),
      () => this.#write(path, this.#content()),
      () => this.#edit(path),
      () => this.#edit(path),
      () => this.#remove(path),
      () => this.#remove(path),
      () => this.#rename(path, this.#newPath(directories)),
      () => this.#rename(path, one(files)),
      () => this.#makeDirectory(this.#newPath(directories)),
      () => this.#link(this.#newPath(directories), `to/${below(1e6)}`),
      () => {
        if (directories.length === 0) return;
        const directory = one(directories);
        if (chance(0.5)) return this.#remove(directory);
        this.#rename(directory, this.#newPath(directories.filter((other) => !isWithin(other, directory))));
      },
    ])();
  }

  /** Takes what the program says is done. Where that may mean several states, it is taken for the oldest. */
  acknowledge(action: Action): void {
    switch (action.type) {
      case "put":
        this.#contents.add(action.digest);
        return this.#acknowledge(action.path, action.digest);
      case "directory":
        return this.#acknowledge(action.path, DIRECTORY);
      case "symlink":
        return this.#acknowledge(action.path, `-> ${action.target}`);
      case "remove":
        return this.#acknowledgeGone(action.path);
      case "move":
        return this.#acknowledgeGone(action.from);
    }
  }

  /** Takes all that stands now for done. */
  acknowledgeAll(): void {
    for (const [path, states] of this.#states) this.#acknowledged.set(path, states.length - 1);
  }

  /** Every content that was ever acknowledged. */
  get contents(): ReadonlySet<Digest> {
    return this.#contents;
  }

  /** What was acknowledged by now, to judge by later. */
  acknowledged(): ReadonlyMap<string, number> {
    return new Map(this.#acknowledged);
  }

  /** What must not be in a copy of the tree, by what was acknowledged before it was taken. */
  faultsIn(copy: TreeSnapshot, acknowledged: ReadonlyMap<string, number>): string[] {
    const faults: string[] = [];
    const ever = new Set([...this.#states.values()].flat());
    for (const path of new Set([...copy.keys(), ...this.#states.keys()])) {
      const states = this.#states.get(path) ?? [NOTHING];
      const found = stateOf(copy.get(path));
      const least = acknowledged.get(path) ?? -1;
      const known = states.lastIndexOf(found);
      if (found === NOTHING && least < 0) continue;
      // On its way: of several renames only the sum may ever be seen, and they are done one by one.
      if (!this.#states.has(path) && ever.has(found)) continue;
      if (known < 0) faults.push(`"${path}" is torn, or was never there: ${found}`);
      else if (known < least) {
        faults.push(
          `"${path}" is lost: ${found} stands there of ${JSON.stringify(states)}, acknowledged was ${least}`,
        );
      }
    }
    return faults;
  }

  /** Takes note of how the tree is, when somebody else has changed it. */
  recount(tree: TreeSnapshot): void {
    for (const path of new Set([...tree.keys(), ...this.#states.keys()])) {
      const state = stateOf(tree.get(path));
      if (state !== (this.#states.get(path)?.at(-1) ?? NOTHING)) this.#note(path, state);
    }
  }

  #acknowledge(path: string, state: State): void {
    const states = this.#states.get(path) ?? [];
    const at = states.indexOf(state, Math.max(0, this.#acknowledged.get(path) ?? 0));
    if (at >= 0) this.#acknowledged.set(path, at);
  }

  #acknowledgeGone(top: string): void {
    for (const path of this.#states.keys()) if (isWithin(path, top)) this.#acknowledge(path, NOTHING);
  }

  #standing(filter: (state: State) => boolean): string[] {
    return [...this.#states].flatMap(([path, states]) => {
      const state = states.at(-1)!;
      return state !== NOTHING && filter(state) ? [path] : [];
    });
  }

  #newPath(directories: readonly string[]): string {
    const { one, chance, below } = this.#pick;
    const name = `n${below(400)}`;
    return directories.length === 0 || chance(0.3) ? name : `${one(directories)}/${name}`;
  }

  #content(): Uint8Array<ArrayBuffer> {
    const { one, below, chance } = this.#pick;
    const most = chance(0.02) ? 2_500_000 : one([1, 200, 5_000, 5_000, 50_000, 50_000, 300_000]);
    return randomBytes(below(2 ** 31), 16 + below(most));
  }

  #write(path: string, content: Uint8Array<ArrayBuffer>): void {
    if (!this.#isFree(path)) return;
    Deno.writeFileSync(this.#aside, content);
    Deno.renameSync(this.#aside, join(this.#tree, path));
    this.#note(path, sha256(content));
  }

  /** Changes or adds a few bytes in place: so few that nobody sees half of them. */
  #edit(path: string): void {
    const at = join(this.#tree, path);
    if (this.#states.get(path)!.at(-1)!.startsWith("->")) return;
    const content = Deno.readFileSync(at);
    const offset = this.#pick.chance(0.3) ? content.length : this.#pick.below(content.length);
    const bytes = randomBytes(this.#pick.below(2 ** 31), 1 + this.#pick.below(7));
    using file = Deno.openSync(at, { write: true });
    file.seekSync(offset, Deno.SeekMode.Start);
    file.writeSync(bytes);
    this.#note(path, sha256(Deno.readFileSync(at)));
  }

  #link(path: string, target: string): void {
    if (this.#states.has(path) && this.#states.get(path)!.at(-1) !== NOTHING) return;
    Deno.symlinkSync(target, join(this.#tree, path));
    this.#note(path, `-> ${target}`);
  }

  #makeDirectory(path: string): void {
    if ((this.#states.get(path)?.at(-1) ?? NOTHING) !== NOTHING) return;
    Deno.mkdirSync(join(this.#tree, path));
    this.#note(path, DIRECTORY);
  }

  #remove(top: string): void {
    Deno.removeSync(join(this.#tree, top), { recursive: true });
    for (const [path, states] of this.#states) {
      if (isWithin(path, top) && states.at(-1) !== NOTHING) this.#note(path, NOTHING);
    }
  }

  #rename(from: string, to: string): void {
    const isDirectory = this.#states.get(from)!.at(-1) === DIRECTORY;
    if (from === to || isWithin(to, from)) return;
    if (isDirectory ? (this.#states.get(to)?.at(-1) ?? NOTHING) !== NOTHING : !this.#isFree(to)) return;
    Deno.renameSync(join(this.#tree, from), join(this.#tree, to));
    for (const [path, states] of [...this.#states]) {
      const state = states.at(-1)!;
      if (!isWithin(path, from) || state === NOTHING) continue;
      this.#note(path, NOTHING);
      this.#note(to + path.slice(from.length), state);
    }
  }

  /** Whether a file may be put there: over another one, or into a directory that stands. */
  #isFree(path: string): boolean {
    return this.#states.get(path)?.at(-1) !== DIRECTORY && isDirectoryAt(dirname(join(this.#tree, path)));
  }

  #note(path: string, state: State): void {
    const states = this.#states.get(path);
    if (states === undefined) this.#states.set(path, [NOTHING, state]);
    else states.push(state);
  }
}

function stateOf(standing: Standing | undefined): State {
  if (standing === undefined) return NOTHING;
  switch (standing.kind) {
    case "file":
      return standing.sha256!;
    case "symlink":
      return `-> ${standing.target}`;
    default:
      return standing.kind;
  }
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function isDirectoryAt(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
