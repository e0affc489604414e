/** The tables of an index. @module */

/** Migrations in order; the first makes version 1. Never edit one that was released. */
export const INDEX_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  -- What a file holds, once for all paths that hold it.
  CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL
  ) STRICT;

  CREATE INDEX big_contents_by_size ON contents(size) WHERE size > 1048576;

  -- The chunks of contents that have more than one; the only chunk of the others has the content's own digest.
  CREATE TABLE chunks (
    content INTEGER NOT NULL REFERENCES contents(id) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    length INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (content, start)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX chunks_by_digest ON chunks(digest);

  CREATE TABLE entries (
    path TEXT PRIMARY KEY,
    parent TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')),
    size INTEGER NOT NULL DEFAULT 0,
    mtime INTEGER NOT NULL,
    mode INTEGER NOT NULL DEFAULT 0,
    target TEXT,
    content INTEGER REFERENCES contents(id),
    -- How it looked on disk, and when, so that a change behind our back is noticed.
    ctime INTEGER NOT NULL,
    dev INTEGER NOT NULL,
    ino INTEGER NOT NULL,
    looked_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX entries_by_content ON entries(content) WHERE content IS NOT NULL;
  CREATE INDEX entries_by_parent ON entries(parent);
  CREATE INDEX entries_by_inode ON entries(ino, dev);

  CREATE TABLE history (
    sequence INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    what TEXT NOT NULL,
    path TEXT NOT NULL,
    from_path TEXT,
    size INTEGER,
    digest BLOB
  ) STRICT;
  CREATE INDEX history_by_path ON history(path);

  -- Answers to batches, so that one that is sent again is answered and not done again.
  CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, time INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  -- Manifests of content on its way, and the chunks of it that have arrived in the pack file.
  CREATE TABLE offers (digest BLOB PRIMARY KEY, manifest BLOB NOT NULL, time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE staged (digest BLOB PRIMARY KEY, start INTEGER NOT NULL, length INTEGER NOT NULL, time INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
  `,
  `
  -- Which chunks of an offered content, by their positions in its manifest, lie in its file in the making.
  CREATE TABLE arrived (
    content BLOB NOT NULL,
    first INTEGER NOT NULL,
    end INTEGER NOT NULL,
    PRIMARY KEY (content, first)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Since when what stands there does so, milliseconds since the epoch; 0 when it was found by the first look.
  ALTER TABLE entries ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- What was moved out of a directory is found without looking at every change there was.
  CREATE INDEX history_by_origin ON history(from_path) WHERE from_path IS NOT NULL;
  `,
];
