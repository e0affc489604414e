export interface WalkEntry extends Deno.DirEntry {
  path: string;
}
export interface WalkOptions {
  maxDepth?: number;
  includeFiles?: boolean;
  includeDirs?: boolean;
  includeSymlinks?: boolean;
  followSymlinks?: boolean;
  skip?: RegExp[];
}
export interface CopyOptions {
  overwrite?: boolean;
  preserveTimestamps?: boolean;
}
export interface ExistsOptions {
  isReadable?: boolean;
  isDirectory?: boolean;
  isFile?: boolean;
}
export function copy(src: string | URL, dest: string | URL, options?: CopyOptions): Promise<void>;
export function emptyDir(dir: string | URL): Promise<void>;
export function ensureDir(dir: string | URL): Promise<void>;
export function ensureDirSync(dir: string | URL): void;
export function exists(path: string | URL, options?: ExistsOptions): Promise<boolean>;
export function existsSync(path: string | URL, options?: ExistsOptions): boolean;
export function walk(root: string | URL, options?: WalkOptions): AsyncIterableIterator<WalkEntry>;
export function walkSync(root: string | URL, options?: WalkOptions): IterableIterator<WalkEntry>;
