/** The tables of a store of versions. @module */

/**
 * Migrations in order; the first makes version 1. Never edit one that was released.
 *
 * Numbers of packs, blocks, chunks, contents and snapshots are never given twice (`AUTOINCREMENT`): a process that
 * reads while another one prunes finds nothing under an old number rather than something else.
 */
export const VERSIONS_MIGRATIONS: readonly string[] = [
  `
  -- Files of blocks; what lies in one beyond size was never recorded.
  CREATE TABLE packs (id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL) STRICT;

  -- Chunks that were compressed together: stored bytes from start, which unpacked are length; raw when the two are equal.
  CREATE TABLE blocks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pack INTEGER NOT NULL REFERENCES packs(id),
    start INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    length INTEGER NOT NULL,
    -- How many of the unpacked bytes belong to chunks.
    live INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX blocks_by_pack ON blocks(pack, start);

  CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    block INTEGER NOT NULL REFERENCES blocks(id),
    start INTEGER NOT NULL,
    length INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX chunks_by_block ON chunks(block);

  -- What a file held. Runs of numbers of chunks (runs.ts); NULL when only its name is known here.
  CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    runs BLOB
  ) STRICT;

  CREATE TABLE trees (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    role TEXT NOT NULL CHECK (role IN ('source', 'backup', 'served')),
    location TEXT NOT NULL,
    host TEXT NOT NULL,
    dev INTEGER,
    ino INTEGER,
    UNIQUE (role, location, host)
  ) STRICT;

  CREATE TABLE snapshots (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tree INTEGER NOT NULL REFERENCES trees(id),
    time INTEGER NOT NULL,
    digest BLOB NOT NULL,
    files INTEGER NOT NULL,
    directories INTEGER NOT NULL,
    symlinks INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;
  CREATE INDEX snapshots_by_tree ON snapshots(tree, number);

  -- What stood at a path from one snapshot of the tree on, until before another one, or until now.
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    tree INTEGER NOT NULL REFERENCES trees(id),
    path TEXT NOT NULL,
    from_snapshot INTEGER NOT NULL,
    to_snapshot INTEGER,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')),
    mtime INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    target TEXT,
    content INTEGER REFERENCES contents(id),
    UNIQUE (tree, path, from_snapshot)
  ) STRICT;
  CREATE INDEX entries_by_from ON entries(from_snapshot);
  CREATE INDEX entries_by_to ON entries(to_snapshot) WHERE to_snapshot IS NOT NULL;
  CREATE INDEX entries_by_content ON entries(content) WHERE content IS NOT NULL;

  -- Single entries that were replaced or removed.
  CREATE TABLE kept (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL,
    kept_at INTEGER NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('replaced', 'removed', 'moved')),
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')),
    mtime INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    target TEXT,
    content INTEGER REFERENCES contents(id)
  ) STRICT;
  CREATE INDEX kept_by_path ON kept(path, kept_at);
  CREATE INDEX kept_by_time ON kept(kept_at);
  CREATE INDEX kept_by_content ON kept(content) WHERE content IS NOT NULL;
  `,
  `
  -- Since when a kept entry stood there; 0 when that is not known. And whether it is not certain yet that it does not
  -- stand there any more: such rows are made before a tree is changed, and settled after.
  ALTER TABLE kept ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE kept ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX kept_unsure ON kept(id) WHERE unsure;

  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
];
