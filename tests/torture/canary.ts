/** A directory beside a tree that nobody may read or change by way of the tree. @module */
import { TempDirectory } from "../support/temp.ts";
import { makeTree, snapshotTree } from "../support/trees.ts";

/** Stands in every file of the canary: wherever it shows up, somebody got out. */
export const MARK = "canary-7f3a9c51-must-never-be-seen";

/** A tree, and the canary beside it. */
export class CanaryCage implements Disposable {
  /** The tree that is attacked. */
  readonly tree: string;
  /** The canary. */
  readonly outside: string;
  readonly #temp = new TempDirectory("filesync-canary-");
  #before: unknown;

  constructor() {
    this.tree = this.#temp.directory("tree");
    this.outside = this.#temp.directory("canary");
    makeTree(this.outside, {
      canary: MARK,
      f: `${MARK} f`,
      a: { f: `${MARK} a/f`, b: { f: `${MARK} a/b/f` } },
      x: { y: { z: MARK } },
    });
  }

  /** Remembers how everything outside the tree is. */
  async close(): Promise<void> {
    this.#before = await this.#look();
  }

  /** What is not as it was. */
  async faults(): Promise<string[]> {
    const after = await this.#look();
    return JSON.stringify(after) === JSON.stringify(this.#before)
      ? []
      : [`what is outside the tree was changed: ${JSON.stringify(after).slice(0, 500)}`];
  }

  /** Plants links in the tree that lead out, in circles, and nowhere. */
  plant(): void {
    makeTree(this.tree, { a: { b: { c: "inside" } }, f: "inside" });
    const links = {
      link: this.outside,
      out: "../canary",
      absolute: `${this.outside}/a`,
      here: ".",
      self: "self",
      dangling: "../nowhere",
      "a/up": "../../canary",
      "a/b/file": `${this.outside}/canary`,
    };
    for (const [path, target] of Object.entries(links)) Deno.symlinkSync(target, `${this.tree}/${path}`);
  }

  async #look(): Promise<unknown> {
    const names = [...Deno.readDirSync(this.#temp.path)].map(({ name }) => name).sort();
    const times = [...this.#files(this.outside)].map((path) => {
      const { mtime, mode, size, nlink } = Deno.lstatSync(path);
      return [path, mtime!.getTime(), mode, size, nlink];
    });
    return { names, times, tree: await snapshotTree(this.outside) };
  }

  *#files(directory: string): Generator<string> {
    yield directory;
    for (const { name, isDirectory } of Deno.readDirSync(directory)) {
      const path = `${directory}/${name}`;
      if (isDirectory) yield* this.#files(path);
      else yield path;
    }
  }

  [Symbol.dispose](): void {
    this.#temp[Symbol.dispose]();
  }
}
