/** Which catalog a command works with. @module */
import { join, resolve } from "@std/path";
import { toFilesyncError } from "../core/errors.ts";
import { openPostgresStore } from "../crawler/postgres_store.ts";
import { openSqliteStore } from "../crawler/sqlite_store.ts";
import type { Store } from "../crawler/store.ts";
import type { Context, Flag, Invocation } from "./command.ts";
import { stateHome } from "./state_home.ts";
import { usageError } from "./usage_error.ts";

/** The flag for a secret that must not stand on a command line. */
export const PASSWORD_FILE_FLAG: Flag = {
  name: "password-file",
  value: "FILE",
  env: "FILESYNC_PASSWORD_FILE",
  description: "Read the catalog's password from FILE; PGPASSWORD can hold the password itself",
};

/** The flags of every command that works with a catalog. */
export const CATALOG_FLAGS: readonly Flag[] = [
  {
    name: "catalog",
    short: "c",
    value: "URL",
    env: "FILESYNC_CATALOG",
    description:
      "sqlite:PATH or postgres://user@host/database; by default filesync-catalog.db in the user's state directory",
  },
  PASSWORD_FILE_FLAG,
];

/** Where a catalog is. */
export type CatalogLocation = { kind: "sqlite"; path: string } | { kind: "postgres"; url: URL };

/**
 * Understands `text`: `sqlite:PATH`, a path, or `postgres://…`.
 *
 * @throws {FilesyncError} `usage` when it is none of them.
 */
export function parseCatalog(text: string, cwd: string): CatalogLocation {
  if (/^postgres(ql)?:\/\//i.test(text)) {
    if (URL.canParse(text)) return { kind: "postgres", url: new URL(text) };
    throw usageError(
      "open the catalog",
      "its postgres:// URL is malformed",
      "Write postgres://user@host/database",
    );
  }
  const path = text.replace(/^sqlite:(\/\/(?=\/))?/i, "");
  if (path !== "" && !/^[a-z][a-z0-9+.-]+:\/\//i.test(path)) {
    return { kind: "sqlite", path: resolve(cwd, path) };
  }
  throw usageError(
    `open the catalog ${JSON.stringify(text)}`,
    "it is neither SQLite nor PostgreSQL",
    "Write sqlite:PATH or postgres://user@host/database",
  );
}

/** The catalog that the flags name. */
export function catalogOf(invocation: Invocation, context: Context): CatalogLocation {
  const given = invocation.flag("catalog");
  if (given !== undefined) return parseCatalog(given, Deno.cwd());
  return { kind: "sqlite", path: join(stateHome(context, "--catalog"), "filesync-catalog.db") };
}

/**
 * Opens the catalog that the flags name; the caller closes it.
 *
 * @param readOnly Whether it is only looked at.
 * @param existing Whether it must be there, and is not made. @default {readOnly}
 * @throws {FilesyncError} When it cannot be opened.
 */
export async function openCatalog(
  invocation: Invocation,
  context: Context,
  { readOnly = false, existing = readOnly }: { readOnly?: boolean; existing?: boolean } = {},
): Promise<Store> {
  const location = catalogOf(invocation, context);
  if (location.kind === "sqlite") {
    if (existing) requireFile(location.path);
    return openSqliteStore(location.path, { readOnly });
  }
  return await openPostgresStore(location.url, {
    password: readPassword(invocation) ?? context.environment("PGPASSWORD"),
    readOnly,
  });
}

function requireFile(path: string): void {
  try {
    Deno.statSync(path);
  } catch (error) {
    const { code, reason } = toFilesyncError("", error);
    throw usageError(
      `open the catalog ${JSON.stringify(path)}`,
      reason,
      code === "not-found" ? "Make it with filesync scan, or name another one with --catalog" : undefined,
    );
  }
}

function readPassword(invocation: Invocation): string | undefined {
  const path = invocation.flag("password-file");
  if (path === undefined) return undefined;
  try {
    return Deno.readTextFileSync(path).replace(/\r?\n$/, "");
  } catch (error) {
    throw toFilesyncError(`read the password in ${JSON.stringify(path)}`, error);
  }
}
