/**
 * Trees as data: {@linkcode makeTree} lays one out from an object, {@linkcode snapshotTree} reads
 * one back, {@linkcode assertSameTree} and {@linkcode waitForSameTree} compare two byte by byte.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { lutimesSync } from "node:fs";
import { AssertionError } from "@std/assert";
import { dirname, join } from "@std/path";
import { permissionBits } from "../../src/core/entry.ts";
import { STATE_DIRECTORY } from "../../src/core/path.ts";

/** What {@linkcode makeTree} makes: names to content, or to what stands below; names may hold `/`. */
export interface TreeSpec {
  [name: string]: string | Uint8Array | Node | TreeSpec;
}

/** Mode and modification time of a node; what is left out is left to the system. */
export interface NodeOptions {
  mode?: number;
  /** Milliseconds since the epoch. */
  mtime?: number;
}

/** A node of a tree to be made; see {@linkcode file}, {@linkcode directory} and {@linkcode link}. */
class Node {
  constructor(
    readonly options: NodeOptions,
    readonly make: (path: string) => void,
    readonly isLink = false,
  ) {}
}

/** A file with a mode or a time. */
export function file(content: string | Uint8Array, options: NodeOptions = {}): Node {
  return new Node(options, (path) => writeFile(path, content));
}

/** A directory with a mode or a time. */
export function directory(spec: TreeSpec, options: NodeOptions = {}): Node {
  return new Node(options, (path) => makeTree(path, spec));
}

/** A symbolic link. */
export function link(target: string, options: Pick<NodeOptions, "mtime"> = {}): Node {
  return new Node(options, (path) => Deno.symlinkSync(target, path), true);
}

/** Lays out `spec` in `dir`, which is made when it is missing, and gives `dir`. */
export function makeTree(dir: string, spec: TreeSpec): string {
  Deno.mkdirSync(dir, { recursive: true });
  for (const [name, what] of Object.entries(spec)) {
    const path = join(dir, name);
    if (name.includes("/")) Deno.mkdirSync(dirname(path), { recursive: true });
    if (typeof what === "string" || what instanceof Uint8Array) writeFile(path, what);
    else if (what instanceof Node) makeNode(path, what);
    else makeTree(path, what);
  }
  return dir;
}

function makeNode(path: string, { options: { mode, mtime }, make, isLink }: Node): void {
  make(path);
  if (mode !== undefined && !isLink) Deno.chmodSync(path, mode);
  if (mtime !== undefined) lutimesSync(path, mtime / 1000, mtime / 1000);
}

function writeFile(path: string, content: string | Uint8Array): void {
  if (typeof content === "string") Deno.writeTextFileSync(path, content);
  else Deno.writeFileSync(path, content);
}

/** What stands at a path. */
export interface Standing {
  /** `other`: a socket, pipe or device, or a name that is not valid Unicode. */
  kind: "file" | "directory" | "symlink" | "other";
  /** Bytes of a file. */
  size?: number;
  /** The bits of a file or directory that travel. */
  mode?: number;
  /** Milliseconds since the epoch. */
  mtime: number;
  /** Of a symbolic link. */
  target?: string;
  /** Of a file, when content was asked for. */
  sha256?: string;
}

/** Paths of a tree, parents first, each directory in binary order of names. */
export type TreeSnapshot = Map<string, Standing>;

/** Settings of {@linkcode snapshotTree}. */
export interface SnapshotOptions {
  /** Whether to read the files. @default {true} */
  content?: boolean;
}

/**
 * Reads a tree, without the program's own directory at its top. What vanishes meanwhile is left out.
 *
 * The work is synchronous, which is several times faster, but lets others run every few milliseconds:
 * a proxy or a server in the same process goes on.
 */
export async function snapshotTree(
  dir: string,
  { content = true }: SnapshotOptions = {},
): Promise<TreeSnapshot> {
  const snapshot: TreeSnapshot = new Map();
  const rest = breather();

  async function walk(folder: string): Promise<void> {
    const names = unlessGone(() => [...Deno.readDirSync(join(dir, folder))].map(({ name }) => name)) ?? [];
    for (const name of names.sort()) {
      if (folder === "" && name === STATE_DIRECTORY) continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      const standing = unlessGone(() => look(join(dir, path))) ??
        (name.includes("\uFFFD") ? { kind: "other" as const, mtime: 0 } : undefined);
      if (standing === undefined) continue;
      snapshot.set(path, standing);
      if (standing.kind === "directory") await walk(path);
      if (content && standing.kind === "file") {
        const sha256 = await digestOf(join(dir, path), rest);
        if (sha256 === undefined) snapshot.delete(path);
        else standing.sha256 = sha256;
      }
      if (rest.isDue()) await rest.take();
    }
  }

  await walk("");
  return snapshot;
}

function look(path: string): Standing {
  const info = Deno.lstatSync(path);
  const mtime = info.mtime?.getTime() ?? 0;
  if (info.isSymlink) return { kind: "symlink", mtime, target: Deno.readLinkSync(path) };
  if (info.isFile) {
    return { kind: "file", mtime, size: info.size, mode: permissionBits("file", info.mode ?? 0) };
  }
  if (info.isDirectory) {
    return { kind: "directory", mtime, mode: permissionBits("directory", info.mode ?? 0) };
  }
  return { kind: "other", mtime };
}

const buffer = new Uint8Array(1 << 20);

async function digestOf(path: string, rest: Breather): Promise<string | undefined> {
  using opened = unlessGone(() => Deno.openSync(path));
  if (opened === undefined) return undefined;
  const hash = createHash("sha256");
  for (let n: number | null; (n = opened.readSync(buffer)) !== null;) {
    hash.update(buffer.subarray(0, n));
    if (rest.isDue()) await rest.take();
  }
  return hash.digest("hex");
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

interface Breather {
  isDue(): boolean;
  take(): Promise<void>;
}

/** Says when synchronous work has gone on for 8 ms, and lets the event loop turn. */
function breather(): Breather {
  let since = performance.now();
  return {
    isDue: () => performance.now() - since > 8,
    take: () =>
      new Promise((resolve) =>
        setTimeout(() => {
          since = performance.now();
          resolve();
        }, 0)
      ),
  };
}

/** What {@linkcode assertSameTree} looks at beside kind, content, target and mode. */
export interface SameTreeOptions {
  /** Whether files must have the same modification time, to the millisecond. @default {true} */
  mtime?: boolean;
  /** The same for directories. @default {false} */
  directoryMtime?: boolean;
  /** The same for symbolic links. @default {false} */
  symlinkMtime?: boolean;
  /** Paths not to look at, with all below them. */
  ignore?: (path: string) => boolean;
}

/** How `b` differs from `a`, a line for each difference. */
export function treeDifferences(a: TreeSnapshot, b: TreeSnapshot, options: SameTreeOptions = {}): string[] {
  const { mtime = true, directoryMtime = false, symlinkMtime = false, ignore } = options;
  const timed = { file: mtime, directory: directoryMtime, symlink: symlinkMtime, other: false };
  const differences: string[] = [];
  const isIgnored = (path: string) => {
    if (ignore === undefined) return false;
    return path.split("/").some((_, i, names) => ignore(names.slice(0, i + 1).join("/")));
  };
  for (const [path, left] of a) {
    if (isIgnored(path)) continue;
    const right = b.get(path);
    if (right === undefined) {
      differences.push(`${quote(path)} is missing: ${left.kind}`);
      continue;
    }
    const unlike = (what: string, x: unknown, y: unknown) => {
      if (x !== y) differences.push(`${quote(path)} differs in ${what}: ${x} became ${y}`);
      return x !== y;
    };
    if (unlike("kind", left.kind, right.kind)) continue;
    if (!unlike("size", left.size, right.size)) unlike("content", left.sha256, right.sha256);
    unlike("target", left.target, right.target);
    unlike("mode", left.mode?.toString(8), right.mode?.toString(8));
    if (timed[left.kind]) unlike("mtime", time(left.mtime), time(right.mtime));
  }
  for (const [path, { kind }] of b) {
    if (!a.has(path) && !isIgnored(path)) differences.push(`${quote(path)} is too much: ${kind}`);
  }
  return differences;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

/** A name in quotes, on one line, with its combining marks visible: NFC and NFD look alike otherwise. */
function quote(name: string): string {
  return JSON.stringify(name).replace(/\p{M}/gu, (mark) => `\\u{${mark.codePointAt(0)!.toString(16)}}`);
}

/** Throws unless tree `b` is the same as tree `a`; each a directory, or a snapshot taken earlier. */
export async function assertSameTree(
  a: string | TreeSnapshot,
  b: string | TreeSnapshot,
  options?: SameTreeOptions,
): Promise<void> {
  const [left, right] = [await snapshotOf(a), await snapshotOf(b)];
  const differences = treeDifferences(left, right, options);
  if (differences.length > 0) throw unequal(a, b, differences);
}

function unequal(a: string | TreeSnapshot, b: string | TreeSnapshot, differences: string[]): AssertionError {
  const name = (tree: string | TreeSnapshot) => typeof tree === "string" ? tree : "(snapshot)";
  const shown = differences.slice(0, 20).map((line) => `  ${line}`);
  if (differences.length > shown.length) shown.push(`  and ${differences.length - shown.length} more`);
  return new AssertionError(
    `${name(b)} is not the same as ${name(a)}: ${differences.length} differences\n${shown.join("\n")}`,
  );
}

function snapshotOf(tree: string | TreeSnapshot, options?: SnapshotOptions): Promise<TreeSnapshot> {
  return typeof tree === "string" ? snapshotTree(tree, options) : Promise.resolve(tree);
}

/**
 * Waits until directory `b` is the same as `a` (a directory, or a snapshot).
 *
 * Looks at names, sizes and times first and reads files only when these agree; then waits twice
 * as long as the look took, so that what is under test gets most of the machine.
 *
 * @returns Milliseconds waited.
 * @throws {AssertionError} With the differences when `timeoutMs` have passed.
 */
export async function waitForSameTree(
  a: string | TreeSnapshot,
  b: string,
  timeoutMs: number,
  options?: SameTreeOptions,
): Promise<number> {
  const start = performance.now();
  for (;;) {
    const looked = performance.now();
    const differences = treeDifferences(
      withoutContent(await snapshotOf(a, { content: false })),
      await snapshotTree(b, { content: false }),
      options,
    );
    if (differences.length === 0) {
      differences.push(...treeDifferences(await snapshotOf(a), await snapshotTree(b), options));
    }
    const now = performance.now();
    if (differences.length === 0) return now - start;
    if (now - start >= timeoutMs) throw unequal(a, b, differences);
    await new Promise((resolve) => setTimeout(resolve, Math.max(20, 2 * (now - looked))));
  }
}

function withoutContent(snapshot: TreeSnapshot): TreeSnapshot {
  return new Map([...snapshot].map(([path, { sha256: _, ...standing }]) => [path, standing]));
}

/**
 * A tree as text, for comparing with a literal: `a/`, `a/b "content"`, `l -> target`, sorted;
 * content of more than 60 bytes is given by its length.
 */
export async function treeText(dir: string): Promise<string> {
  const lines = [...await snapshotTree(dir, { content: false })].map(([path, { kind, size = 0, target }]) => {
    if (kind === "directory") return `${path}/`;
    if (kind === "symlink") return `${path} -> ${target}`;
    if (kind === "other") return `${path} ?`;
    return `${path} ${size > 60 ? `${size} bytes` : JSON.stringify(Deno.readTextFileSync(join(dir, path)))}`;
  });
  return lines.join("\n");
}
