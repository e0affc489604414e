/**
 * States of other versions: what an older filesync wrote opens and is brought up to date with all that is in it;
 * what a newer one wrote is refused, and not touched. Old schemas stand here as they were, not as the program
 * would make them now.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { DatabaseSync } from "node:sqlite";
import { systemClock as clock } from "../src/core/clock.ts";
import { FilesyncError } from "../src/core/errors.ts";
import { parsePath } from "../src/core/path.ts";
import { openSqliteStore } from "../src/crawler/sqlite_store.ts";
import { TreeRoot } from "../src/files/tree_root.ts";
import { sha256 } from "../src/hashing/sha256.ts";
import { SourceState, STATE_FILE } from "../src/sync/source_state.ts";
import { TWO_WAY_FILE, TwoWayState } from "../src/sync/two_way/two_way_state.ts";
import { LocalReceiver } from "../src/transport/local_receiver.ts";
import { STORE_FILE, VersionStore } from "../src/versions/version_store.ts";
import { Home } from "./support/run_command.ts";
import { TempDirectory } from "./support/temp.ts";

const CONTENT = new TextEncoder().encode("kept from before\n");
const DIGEST = sha256(CONTENT);
const TIME = Date.UTC(2025, 0, 2, 3, 4, 5, 6);

/** What an index and a source's state had in common at first. */
const TREE_1 = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE contents (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL) STRICT;
  CREATE INDEX big_contents_by_size ON contents(size) WHERE size > 1048576;
  CREATE TABLE chunks (
    content INTEGER NOT NULL REFERENCES contents(id) ON DELETE CASCADE, start INTEGER NOT NULL, length INTEGER NOT NULL,
    digest BLOB NOT NULL, PRIMARY KEY (content, start)) STRICT, WITHOUT ROWID;
  CREATE INDEX chunks_by_digest ON chunks(digest);
  CREATE TABLE entries (
    path TEXT PRIMARY KEY, parent TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')),
    size INTEGER NOT NULL DEFAULT 0, mtime INTEGER NOT NULL, mode INTEGER NOT NULL DEFAULT 0, target TEXT,
    content INTEGER REFERENCES contents(id), ctime INTEGER NOT NULL, dev INTEGER NOT NULL, ino INTEGER NOT NULL,
    looked_at INTEGER NOT NULL) STRICT;
  CREATE INDEX entries_by_content ON entries(content) WHERE content IS NOT NULL;
  CREATE INDEX entries_by_parent ON entries(parent);
  CREATE INDEX entries_by_inode ON entries(ino, dev);
  CREATE TABLE history (
    sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, what TEXT NOT NULL, path TEXT NOT NULL, from_path TEXT,
    size INTEGER, digest BLOB) STRICT;
  CREATE INDEX history_by_path ON history(path);
  CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE offers (digest BLOB PRIMARY KEY, manifest BLOB NOT NULL, time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE staged (
    digest BLOB PRIMARY KEY, start INTEGER NOT NULL, length INTEGER NOT NULL, time INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;`;
const INDEX_2 = `CREATE TABLE arrived (
    content BLOB NOT NULL, first INTEGER NOT NULL, end INTEGER NOT NULL, PRIMARY KEY (content, first))
    STRICT, WITHOUT ROWID;`;
const INDEX_3 = "ALTER TABLE entries ADD COLUMN since INTEGER NOT NULL DEFAULT 0;";
const STATE_1 = `${TREE_1}
  CREATE TABLE queue_actions (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, path TEXT NOT NULL, source TEXT, size INTEGER NOT NULL, mtime INTEGER,
    mode INTEGER, digest TEXT, target TEXT, fresh INTEGER NOT NULL, tried INTEGER NOT NULL, failed INTEGER NOT NULL,
    attempts INTEGER NOT NULL, ready_at INTEGER NOT NULL, queued_at INTEGER NOT NULL, error TEXT) STRICT;
  CREATE INDEX queue_actions_path ON queue_actions (path);
  CREATE INDEX queue_actions_source ON queue_actions (source) WHERE source IS NOT NULL;
  CREATE INDEX queue_actions_ready ON queue_actions (ready_at) WHERE tried = 1 AND failed = 0;
  CREATE INDEX queue_actions_failed ON queue_actions (id) WHERE failed = 1;
  CREATE TABLE queue_totals (
    next_id INTEGER NOT NULL, size INTEGER NOT NULL, bytes INTEGER NOT NULL, failed INTEGER NOT NULL) STRICT;
  CREATE TABLE problems (path TEXT PRIMARY KEY, problem TEXT NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE foreign_paths (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE bases (path TEXT PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL, manifest BLOB) STRICT;`;
const STORE_1 = `
  CREATE TABLE packs (id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL) STRICT;
  CREATE TABLE blocks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pack INTEGER NOT NULL REFERENCES packs(id), start INTEGER NOT NULL,
    stored INTEGER NOT NULL, length INTEGER NOT NULL, live INTEGER NOT NULL) STRICT;
  CREATE INDEX blocks_by_pack ON blocks(pack, start);
  CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, block INTEGER NOT NULL REFERENCES blocks(id),
    start INTEGER NOT NULL, length INTEGER NOT NULL) STRICT;
  CREATE INDEX chunks_by_block ON chunks(block);
  CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, runs BLOB) STRICT;
  CREATE TABLE trees (
    id INTEGER PRIMARY KEY AUTOINCREMENT, role TEXT NOT NULL CHECK (role IN ('source', 'backup', 'served')),
    location TEXT NOT NULL, host TEXT NOT NULL, dev INTEGER, ino INTEGER, UNIQUE (role, location, host)) STRICT;
  CREATE TABLE snapshots (
    number INTEGER PRIMARY KEY AUTOINCREMENT, tree INTEGER NOT NULL REFERENCES trees(id), time INTEGER NOT NULL,
    digest BLOB NOT NULL, files INTEGER NOT NULL, directories INTEGER NOT NULL, symlinks INTEGER NOT NULL,
    bytes INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;
  CREATE INDEX snapshots_by_tree ON snapshots(tree, number);
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY, tree INTEGER NOT NULL REFERENCES trees(id), path TEXT NOT NULL,
    from_snapshot INTEGER NOT NULL, to_snapshot INTEGER,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')), mtime INTEGER NOT NULL, mode INTEGER NOT NULL,
    target TEXT, content INTEGER REFERENCES contents(id), UNIQUE (tree, path, from_snapshot)) STRICT;
  CREATE INDEX entries_by_from ON entries(from_snapshot);
  CREATE INDEX entries_by_to ON entries(to_snapshot) WHERE to_snapshot IS NOT NULL;
  CREATE INDEX entries_by_content ON entries(content) WHERE content IS NOT NULL;
  CREATE TABLE kept (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, kept_at INTEGER NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('replaced', 'removed', 'moved')),
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')), mtime INTEGER NOT NULL, mode INTEGER NOT NULL,
    target TEXT, content INTEGER REFERENCES contents(id)) STRICT;
  CREATE INDEX kept_by_path ON kept(path, kept_at);
  CREATE INDEX kept_by_time ON kept(kept_at);
  CREATE INDEX kept_by_content ON kept(content) WHERE content IS NOT NULL;`;

/** Makes a database as a version before left it. */
function write(path: string, version: number, script: string): void {
  Deno.mkdirSync(join(path, ".."), { recursive: true });
  using db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; ${script}; PRAGMA user_version = ${version}`);
}

/** The version of a database, and what its tables look like, in whatever spelling they were made. */
function schemaOf(path: string) {
  using db = new DatabaseSync(path, { readOnly: true });
  const objects = db.prepare(
    "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY 1, 2",
  ).all();
  return {
    version: db.prepare("PRAGMA user_version").get()!.user_version as number,
    objects: objects.map(({ type, name }) => ({
      name,
      columns: db.prepare(
        type === "index" ? "SELECT name FROM pragma_index_info(?)" : "SELECT * FROM pragma_table_xinfo(?)",
      )
        .all(name as string).map((row) => ({ ...row })),
    })),
  };
}

function statOf(tree: string, path: string) {
  using root = TreeRoot.open(tree);
  using anchor = root.anchor();
  return anchor.lstat(parsePath(path))!;
}

const hex = (digest: string) => `x'${digest}'`;

for (const [version, script] of [[1, ""], [2, INDEX_2], [3, INDEX_2 + INDEX_3]] as const) {
  Deno.test(`an index of version ${version} is brought up to date, with all that it knew`, async () => {
    using temp = new TempDirectory();
    const served = temp.directory("served");
    const other = temp.directory("other");
    Deno.writeFileSync(`${served}/file`, CONTENT);
    const { mtime, mode, ctime, dev, ino } = statOf(served, "file");
    const index = `${served}/.filesync/index.db`;
    write(
      index,
      version,
      `${TREE_1}${script}
      INSERT INTO meta VALUES ('index_id', 'the index'), ('refreshed', '1');
      INSERT INTO contents VALUES (1, ${hex(DIGEST)}, ${CONTENT.length});
      INSERT INTO entries (path, parent, kind, size, mtime, mode, content, ctime, dev, ino, looked_at) VALUES
        ('file', '', 'file', ${CONTENT.length}, ${mtime}, ${mode}, 1, ${ctime}, ${dev},
        ${ino}, ${clock.now() + 60_000});
      INSERT INTO history VALUES (1, ${TIME}, 'put', 'old/file', NULL, 17, ${hex(DIGEST)}),
        (2, ${TIME}, 'move', 'file', 'old/file', NULL, NULL);
      INSERT INTO answers VALUES ('the key of a batch', '{"before":1,"after":2,"results":[{"done":true}]}', ${clock.now()});`,
    );
    await using receiver = new LocalReceiver(served, { clock });
    assertEquals((await receiver.ready).read, 0, "what was known is not read again");
    const { indexId, sequence } = await receiver.open();
    assertEquals([indexId, sequence], ["the index", 2]);
    const entry = await receiver.entry(parsePath("file"));
    assertEquals(entry?.kind === "file" && entry.digest, DIGEST);
    const touching = (path: string) => receiver.history({ touching: parsePath(path) });
    assertEquals((await touching("old")).map(({ sequence }) => sequence), [2, 1]);
    const again = { key: "the key of a batch", contents: new Map() };
    const action = { type: "move", path: parsePath("file"), from: parsePath("old/file") } as const;
    assertEquals(
      (await receiver.apply({ ...again, actions: [action] })).after,
      2,
      "answered, not done again",
    );
    await using fresh = new LocalReceiver(other, { clock });
    await fresh.ready;
    assertEquals(schemaOf(index), schemaOf(`${other}/.filesync/index.db`));
  });
}

Deno.test("a source's state of version 1 is brought up to date, with its queue", () => {
  using temp = new TempDirectory();
  const [old, fresh] = ["old", "fresh"].map((name) => temp.directory(name));
  write(
    join(old, STATE_FILE),
    1,
    `${STATE_1}
    INSERT INTO meta VALUES ('index_id', 'the source'), ('receiver_id', 'them'), ('receiver_sequence', '7');
    INSERT INTO contents VALUES (1, ${hex(DIGEST)}, 17);
    INSERT INTO entries VALUES ('a', '', 'file', 17, ${TIME}, 420, NULL, 1, 1, 2, 3, 4);
    INSERT INTO queue_actions VALUES
      (5, 'put', 'a', NULL, 17, ${TIME}, 420, '${DIGEST}', NULL, 1, 0, 0, 0, ${TIME}, ${TIME}, NULL);
    INSERT INTO queue_totals VALUES (6, 1, 17, 0);
    INSERT INTO bases VALUES ('a', ${hex(DIGEST)}, 17, NULL);
    INSERT INTO foreign_paths VALUES ('theirs');`,
  );
  {
    using state = new SourceState(old, { clock });
    const put = {
      type: "put",
      path: parsePath("a"),
      size: 17,
      mtime: TIME,
      mode: 420,
      digest: DIGEST,
    } as const;
    assertEquals(state.queue.pending().map(({ id, action }) => ({ id, action })), [{ id: 5, action: put }]);
    assertEquals(state.index.get(parsePath("a"))?.mtime, TIME);
    assertEquals([state.index.id, state.index.meta("receiver_sequence")], ["the source", "7"]);
    assertEquals(state.baseOf(parsePath("a"))?.digest, DIGEST);
    assertEquals(state.foreignWithin(parsePath("theirs")), [parsePath("theirs")]);
    new SourceState(fresh, { clock })[Symbol.dispose]();
  }
  assertEquals(schemaOf(join(old, STATE_FILE)), schemaOf(join(fresh, STATE_FILE)));
});

Deno.test("a store of versions of version 1 is brought up to date, with what it kept", async () => {
  using temp = new TempDirectory();
  const [old, fresh] = ["old", "fresh"].map((name) => temp.directory(name));
  {
    // The bytes are those of today: the format of packs has not changed since.
    using store = new VersionStore(old);
    using writer = store.writer();
    await writer.add({ digest: DIGEST, size: CONTENT.length }, CONTENT);
    await writer.commit();
  }
  const rows = dumpOf(join(old, STORE_FILE), ["packs", "blocks", "chunks", "contents"]);
  Deno.removeSync(join(old, STORE_FILE));
  write(
    join(old, STORE_FILE),
    1,
    `${STORE_1} ${rows}
    INSERT INTO kept VALUES (1, 'a', ${TIME}, 'replaced', 'file', ${TIME}, 420, NULL, 1);`,
  );
  {
    using store = new VersionStore(old);
    const [kept] = store.keptFiles.list({});
    assertEquals([kept.entry.path as string, kept.keptAt, kept.since], ["a", TIME, 0]);
    assertEquals(await Array.fromAsync(store.contents.read(DIGEST)), [CONTENT]);
    new VersionStore(fresh)[Symbol.dispose]();
  }
  assertEquals(schemaOf(join(old, STORE_FILE)), schemaOf(join(fresh, STORE_FILE)));
});

/** Statements that make the rows of some tables again. */
function dumpOf(path: string, tables: string[]): string {
  using db = new DatabaseSync(path, { readOnly: true });
  const literal = (value: unknown) =>
    value instanceof Uint8Array ? hex(value.toHex()) : value === null ? "NULL" : value;
  return tables.flatMap((table) =>
    db.prepare(`SELECT * FROM ${table}`).all().map((row) =>
      `INSERT INTO ${table} VALUES (${Object.values(row).map(literal).join(", ")});`
    )
  ).join("\n");
}

/** Every database of the program: its file in a directory, and how it is opened to be changed and to be read. */
const DATABASES: Record<
  string,
  { file: string; open: (directory: string) => unknown; look: (directory: string) => unknown }
> = {
  "the index of a served tree": {
    file: ".filesync/index.db",
    open: (directory) => new LocalReceiver(directory, { clock }),
    look: (directory) => new LocalReceiver(directory, { clock }),
  },
  "the state of a source": {
    file: STATE_FILE,
    open: (directory) => new SourceState(directory, { clock }),
    look: (directory) => new SourceState(directory, { clock, readOnly: true }),
  },
  "the state of a two-way sync": { file: TWO_WAY_FILE, open: TwoWayState.open, look: TwoWayState.look },
  "a store of versions": {
    file: STORE_FILE,
    open: (directory) => new VersionStore(directory),
    look: (directory) => new VersionStore(directory, { readOnly: true }),
  },
  "a catalog": {
    file: "catalog.db",
    open: (directory) => openSqliteStore(`${directory}/catalog.db`),
    look: (directory) => openSqliteStore(`${directory}/catalog.db`, { readOnly: true }),
  },
};

for (const [name, { file, open, look }] of Object.entries(DATABASES)) {
  Deno.test(`${name} of a newer version is refused, says what to do, and stays as it is`, async () => {
    using temp = new TempDirectory();
    const made = await open(temp.path) as Partial<
      Disposable & AsyncDisposable & { close: () => Promise<void> }
    >;
    await (made[Symbol.asyncDispose]?.() ?? made[Symbol.dispose]?.() ?? made.close?.());
    const path = join(temp.path, file);
    const { version } = schemaOf(path);
    {
      // Another journal, too: what comes later may keep its files otherwise.
      using db = new DatabaseSync(path);
      db.exec(
        `PRAGMA journal_mode = DELETE; CREATE TABLE of_the_future (x); PRAGMA user_version = ${version + 1}`,
      );
    }
    const bytes = Deno.readFileSync(path);
    for (const refused of [open, look]) {
      const { code, message, hint, permanent } = assertThrows(() => refused(temp.path), FilesyncError);
      assertEquals([code, permanent, hint], [
        "upgrade",
        true,
        "Upgrade filesync to the version that wrote it",
      ]);
      assert(message.startsWith("Cannot open the ") && message.includes(JSON.stringify(path)), message);
      const versions = `it has schema version ${version + 1}, and this filesync knows version ${version}`;
      assert(message.endsWith(versions), message);
    }
    assertEquals(Deno.readFileSync(path), bytes);
    assert(![...Deno.readDirSync(join(path, ".."))].some((entry) => /-(wal|shm|journal)$/.test(entry.name)));
  });
}

Deno.test("commands refuse the state of a newer version with a sentence, and leave both trees alone", async () => {
  using home = new Home();
  const [source, served, state] = ["source", "served", "state"].map((name) => home.directory(name));
  Deno.writeFileSync(`${source}/file`, CONTENT);
  write(join(state, STATE_FILE), 99, "CREATE TABLE of_the_future (x)");
  const watch = ["watch", source, "--to", served, "--once"];
  const refused = await home.run(...watch, "--state", state);
  assertEquals(refused.code, 1);
  assert(
    refused.err.includes(`Cannot open the state database "${state}/${STATE_FILE}": it has schema version 99`),
  );
  assert(refused.err.includes("Upgrade filesync to the version that wrote it"), refused.err);
  assertEquals([...Deno.readDirSync(served)].map(({ name }) => name), [".filesync"]);
  write(`${served}/.filesync/index.db`, 99, "DROP TABLE IF EXISTS history");
  for (const command of [watch, ["serve", served, "--listen", "127.0.0.1:0"]]) {
    const { code, err } = await home.run(...command);
    assertEquals(code, 1, err);
    assert(
      err.includes(`Cannot open the index database "${served}/.filesync/index.db": it has schema version 99`),
      err,
    );
  }
  assertEquals([...Deno.readDirSync(served)].map(({ name }) => name), [".filesync"]);
});
