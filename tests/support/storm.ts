/**
 * A storm of changes as people, editors and build tools make them, the same for the same seed
 * and the same tree.
 *
 * @module
 */
import { basename, dirname, join } from "@std/path";
import { STATE_DIRECTORY } from "../../src/core/path.ts";
import { integer, pick, randomBytes, seededRandom } from "./bytes.ts";

/** Settings of {@linkcode storm}. */
export interface StormOptions {
  seed: number;
  /** How many changes are tried. */
  operations: number;
  /** Ends the storm early. */
  signal?: AbortSignal;
  /** Called after each change with up to 5 ms, for a storm that lasts. Without it nothing else runs meanwhile. */
  sleep?: (ms: number) => Promise<unknown>;
}

/** Where an operation works, and what it draws from. */
interface Scene {
  root: string;
  random: () => number;
}

/** One kind of change. Gives `false` when it found nothing to work on. */
type Operation = (scene: Scene) => boolean;

/** Biggest directory that is removed at once: no storm looks like an emptied tree. */
const MOST_REMOVED = 40;

/** Names that programs get wrong. */
const ODD_NAMES = [
  "two words",
  " leading and trailing ",
  'it\'s "quoted"',
  "new\nline",
  "tab\there",
  "back\\slash",
  "$HOME `ls` %20 #?&",
  "--option",
  "🎉 party 👩‍👩‍👧.txt",
  "\u00e9-composed",
  "e\u0301-decomposed",
  "日本語",
  ".hidden",
  "...",
  "*",
  "colon:semi;",
  "n".repeat(200),
];

/** The kinds of changes. */
const OPERATIONS = {
  addFile: (scene) => write(scene, newPath(scene)),
  addOddName: (scene) => {
    const path = join(someDirectory(scene), pick(scene.random, ODD_NAMES));
    return kindOf(path) !== "directory" && write(scene, path);
  },
  append: onFile((path, { random }) => {
    Deno.writeFileSync(path, content(random), { append: true });
  }),
  overwrite: onFile((path, scene) => write(scene, path)),
  editInPlace: onFile((path, { random }) => {
    using file = Deno.openSync(path, { write: true });
    file.seekSync(integer(random, Deno.statSync(path).size + 1), Deno.SeekMode.Start);
    file.writeSync(content(random, 100));
  }),
  truncate: onFile((path, { random }) => {
    Deno.truncateSync(path, integer(random, Deno.statSync(path).size + 1));
  }),
  atomicSave: onFile((path, scene) => {
    const beside = join(dirname(path), `.save-${integer(scene.random, 1e6)}.tmp`);
    write(scene, beside);
    Deno.renameSync(beside, path);
  }),
  removeFile: onFile((path) => Deno.removeSync(path)),
  moveFile: onFile((path, scene) => move(path, join(someDirectory(scene), basename(path)))),
  renameFile: onFile((path, { random }) => move(path, join(dirname(path), newName(random)))),
  renameOverFile: onTwoFiles((from, to) => {
    Deno.renameSync(from, to);
    return true;
  }),
  swapFiles: onTwoFiles((one, two) => {
    const aside = `${one}.aside`;
    return move(one, aside) && move(two, one) && move(aside, two);
  }),
  changeCase: onFile((path) => {
    const name = basename(path);
    const other = name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase();
    return move(path, join(dirname(path), other));
  }),
  addDirectories: (scene) => {
    let path = newPath(scene);
    for (let depth = 1 + integer(scene.random, 5); depth > 0; depth--) {
      Deno.mkdirSync(path, { recursive: true });
      for (let files = integer(scene.random, 3); files > 0; files--) {
        write(scene, join(path, newName(scene.random)));
      }
      path = join(path, newName(scene.random));
    }
    return true;
  },
  renameDirectory: onDirectory((path, { random }) => move(path, join(dirname(path), newName(random)))),
  moveDirectory: onDirectory((path, scene) => {
    const to = join(someDirectory(scene), newName(scene.random));
    return !to.startsWith(`${path}/`) && move(path, to);
  }),
  removeDirectory: onDirectory(removeAll),
  addSymlink: (scene) => {
    const path = newPath(scene);
    if (kindOf(path) !== undefined) return false;
    Deno.symlinkSync(pick(scene.random, LINK_TARGETS), path);
    return true;
  },
  retargetSymlink: on("symlink", (path, { random }) => {
    Deno.removeSync(path);
    Deno.symlinkSync(pick(random, LINK_TARGETS), path);
  }),
  removeSymlink: on("symlink", (path) => Deno.removeSync(path)),
  changeMode: onFile((path, { random }) => {
    Deno.chmodSync(path, pick(random, [0o644, 0o600, 0o755, 0o444, 0o640]));
  }),
  changeTime: onFile((path, { random }) => {
    const seconds = integer(random, 2e12) / 1000;
    Deno.utimeSync(path, seconds, seconds);
  }),
  fileToDirectory: onFile((path, scene) => {
    Deno.removeSync(path);
    Deno.mkdirSync(path);
    write(scene, join(path, newName(scene.random)));
  }),
  directoryToFile: onDirectory((path, scene) => removeAll(path) && write(scene, path)),
} satisfies Record<string, Operation>;

/** Names of the changes. */
export type StormOperation = keyof typeof OPERATIONS;

/** How often each comes: more is added than removed, so that the tree grows a little. */
const WEIGHTS: Record<StormOperation, number> = {
  addFile: 12,
  addOddName: 4,
  append: 6,
  overwrite: 6,
  editInPlace: 6,
  truncate: 3,
  atomicSave: 6,
  removeFile: 6,
  moveFile: 5,
  renameFile: 5,
  renameOverFile: 2,
  swapFiles: 2,
  changeCase: 2,
  addDirectories: 5,
  renameDirectory: 3,
  moveDirectory: 3,
  removeDirectory: 2,
  addSymlink: 3,
  retargetSymlink: 2,
  removeSymlink: 1,
  changeMode: 3,
  changeTime: 3,
  fileToDirectory: 1,
  directoryToFile: 1,
};

/** How many changes of each kind were made, and how many found nothing to work on or came too late. */
export type StormCounts = Record<StormOperation | "skipped", number>;

const LINK_TARGETS = ["nowhere", "..", "new\nline", "../somewhere/else", "/etc/hostname", "."];

/**
 * Lets a storm of changes go over the tree in `dir`. Looks at the disk for every change, so others
 * may change the tree meanwhile; stays inside `dir`, and out of the program's own directory.
 */
export async function storm(
  dir: string,
  { seed, operations, signal, sleep }: StormOptions,
): Promise<StormCounts> {
  const scene: Scene = { root: dir, random: seededRandom(seed) };
  const names = Object.keys(OPERATIONS) as StormOperation[];
  const lots = names.flatMap((name) => Array<StormOperation>(WEIGHTS[name]).fill(name));
  const counts = Object.fromEntries([...names, "skipped"].map((name) => [name, 0])) as StormCounts;
  for (let i = 0; i < operations && !signal?.aborted; i++) {
    const name = pick(scene.random, lots);
    counts[attempt(OPERATIONS[name], scene) ? name : "skipped"]++;
    await sleep?.(scene.random() * 5);
  }
  return counts;
}

/** Whether the operation was made; what somebody else took away in the middle of it is no failure. */
function attempt(operation: Operation, scene: Scene): boolean {
  try {
    return operation(scene);
  } catch (error) {
    const isRace = [
      Deno.errors.NotFound,
      Deno.errors.NotADirectory,
      Deno.errors.IsADirectory,
      Deno.errors.AlreadyExists,
      Deno.errors.PermissionDenied, // a file without write permission, unless run by root
    ].some((type) => error instanceof type);
    if (isRace || /not empty|name too long/i.test(String(error))) return false;
    throw error;
  }
}

/** The operation that makes `change` to a random entry of this kind. */
function on(kind: Kind, change: (path: string, scene: Scene) => boolean | void): Operation {
  return (scene) => {
    const path = some(scene, kind);
    return path !== undefined && change(path, scene) !== false;
  };
}

function onFile(change: (path: string, scene: Scene) => boolean | void): Operation {
  return on("file", change);
}

function onDirectory(change: (path: string, scene: Scene) => boolean): Operation {
  return on("directory", change);
}

function onTwoFiles(change: (one: string, two: string) => boolean): Operation {
  return (scene) => {
    const [one, two] = [some(scene, "file"), some(scene, "file")];
    return one !== undefined && two !== undefined && one !== two && change(one, two);
  };
}

/** A random directory, the root among them. */
function someDirectory(scene: Scene): string {
  return scene.random() < 0.2 ? scene.root : some(scene, "directory") ?? scene.root;
}

type Kind = "file" | "directory" | "symlink";

/** An entry of this kind at the end of a random way down the tree. */
function some({ root, random }: Scene, kind: Kind): string | undefined {
  let found: string | undefined;
  for (let folder = root;;) {
    const entries = [...Deno.readDirSync(folder)]
      .filter(({ name }) => folder !== root || name !== STATE_DIRECTORY)
      // The order in which a file system lists differs from machine to machine.
      .sort((a, b) => a.name < b.name ? -1 : 1);
    const matching = entries.filter((entry) => isKind(entry, kind));
    if (matching.length > 0) found = join(folder, pick(random, matching).name);
    const below = entries.filter((entry) => entry.isDirectory);
    if (below.length === 0 || (found !== undefined && random() < 0.3)) return found;
    folder = join(folder, pick(random, below).name);
  }
}

function isKind(entry: Deno.DirEntry, kind: Kind): boolean {
  return kind === "file" ? entry.isFile : kind === "directory" ? entry.isDirectory : entry.isSymlink;
}

function kindOf(path: string): Kind | undefined {
  try {
    const info = Deno.lstatSync(path);
    return info.isDirectory ? "directory" : info.isSymlink ? "symlink" : "file";
  } catch {
    return undefined;
  }
}

function newPath(scene: Scene): string {
  return join(someDirectory(scene), newName(scene.random));
}

function newName(random: () => number): string {
  return `${pick(random, ["a", "Report", "index", "copy of", "x.tar"])}${integer(random, 1000)}${
    pick(random, ["", ".ts", ".TXT", "~"])
  }`;
}

/** Moves what stands at `from` to where nothing stands. */
function move(from: string, to: string): boolean {
  if (kindOf(to) !== undefined) return false;
  Deno.renameSync(from, to);
  return true;
}

function write({ random }: Scene, path: string): boolean {
  if (kindOf(path) === "symlink") return false;
  Deno.writeFileSync(path, content(random));
  return true;
}

/** Mostly a few kilobytes, at times nothing, at times many chunks. */
function content(random: () => number, most?: number): Uint8Array {
  const size = integer(random, most ?? pick(random, [1, 100, 5000, 5000, 50_000, 400_000]));
  return randomBytes(integer(random, 2 ** 31), size);
}

/** Removes a directory unless there is too much below it. */
function removeAll(path: string): boolean {
  let budget = MOST_REMOVED;
  const isSmall = (folder: string): boolean =>
    [...Deno.readDirSync(folder)].every(({ name, isDirectory }) =>
      --budget > 0 && (!isDirectory || isSmall(join(folder, name)))
    );
  if (!isSmall(path)) return false;
  Deno.removeSync(path, { recursive: true });
  return true;
}
