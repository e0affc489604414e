import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { lockState } from "./lock.ts";
import { openDatabase, transaction } from "./open.ts";

const MIGRATIONS = ["CREATE TABLE t (a)", "ALTER TABLE t ADD COLUMN b"];
const options = { name: "test", migrations: MIGRATIONS };

function inTemp(fn: (directory: string) => void) {
  const directory = Deno.makeTempDirSync();
  try {
    fn(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function failure(fn: () => unknown): FilesyncError {
  return assertThrows(fn, FilesyncError);
}

Deno.test("openDatabase() makes directory and file for this user alone, in WAL mode", () => {
  inTemp((directory) => {
    const path = `${directory}/x/y/test.db`;
    using db = openDatabase(path, options);
    assertEquals(db.prepare("PRAGMA journal_mode").get()!.journal_mode, "wal");
    assertEquals(db.prepare("PRAGMA synchronous").get()!.synchronous, 2);
    assertEquals(db.prepare("PRAGMA foreign_keys").get()!.foreign_keys, 1);
    if (Deno.build.os === "windows") return;
    assertEquals(Deno.statSync(`${directory}/x/y`).mode! & 0o777, 0o700);
    for (const suffix of ["", "-wal", "-shm"]) {
      assertEquals(Deno.statSync(path + suffix).mode! & 0o777, 0o600);
    }
  });
});

Deno.test("openDatabase() runs only the migrations that are missing", () => {
  inTemp((directory) => {
    const path = `${directory}/test.db`;
    {
      using old = openDatabase(path, { ...options, migrations: MIGRATIONS.slice(0, 1) });
      old.exec("INSERT INTO t VALUES (1)");
    }
    using db = openDatabase(path, options);
    assertEquals({ ...db.prepare("SELECT * FROM t").get() }, { a: 1, b: null });
    assertEquals(db.prepare("PRAGMA user_version").get()!.user_version, 2);
  });
});

Deno.test("openDatabase() undoes a migration that fails half-way", () => {
  inTemp((directory) => {
    const path = `${directory}/test.db`;
    failure(() => openDatabase(path, { ...options, migrations: ["CREATE TABLE t (a); CREATE TABLE t (b)"] }));
    openDatabase(path, options).close();
  });
});

Deno.test("openDatabase() refuses a newer schema, and an older one when it may not write", () => {
  inTemp((directory) => {
    const path = `${directory}/test.db`;
    openDatabase(path, options).close();
    const newer = failure(() => openDatabase(path, { ...options, migrations: MIGRATIONS.slice(0, 1) }));
    assertEquals([newer.code, newer.permanent], ["upgrade", true]);
    assertStringIncludes(newer.hint!, "Upgrade filesync");
    const older = failure(() =>
      openDatabase(path, { ...options, migrations: [...MIGRATIONS, ""], readOnly: true })
    );
    assertEquals(older.code, "upgrade");
  });
});

Deno.test("openDatabase() names a file that is no database or is damaged", () => {
  inTemp((directory) => {
    const path = `${directory}/test.db`;
    Deno.writeTextFileSync(path, "certainly not a database ".repeat(100));
    const { message, code, permanent, hint } = failure(() => openDatabase(path, options));
    assertEquals(message, `Cannot open the test database "${path}": the file is not a database`);
    assertEquals([code, permanent], ["io", true]);
    assertStringIncludes(hint!, "Move the file away");
  });
});

Deno.test("openDatabase() read-only sees what another connection writes, makes nothing and changes nothing", () => {
  inTemp((directory) => {
    const path = `${directory}/test.db`;
    assertEquals(failure(() => openDatabase(path, { ...options, readOnly: true })).code, "not-found");
    using writer = openDatabase(path, options);
    using reader = openDatabase(path, { ...options, readOnly: true });
    writer.exec("INSERT INTO t VALUES (1, 2)");
    assertEquals(reader.prepare("SELECT count(*) AS n FROM t").get()!.n, 1);
    assertEquals(failure(() => transaction(reader, () => reader.exec("DELETE FROM t"))).code, "read-only");
  });
});

Deno.test("transaction() keeps all or nothing, and undoes an inner one alone", () => {
  inTemp((directory) => {
    using db = openDatabase(`${directory}/test.db`, options);
    const insert = (a: number) => db.prepare("INSERT INTO t (a) VALUES (?)").run(a);
    transaction(db, () => {
      insert(1);
      assertThrows(
        () =>
          transaction(db, () => {
            insert(2);
            throw new RangeError("inner");
          }),
        RangeError,
      );
      assertEquals(transaction(db, () => insert(3).changes), 1);
    });
    assertThrows(
      () =>
        transaction(db, () => {
          transaction(db, () => insert(4));
          throw new RangeError("outer");
        }),
      RangeError,
    );
    assertEquals(db.prepare("SELECT a FROM t").all().map(({ a }) => a), [1, 3]);
    assert(!db.isTransaction);
  });
});

Deno.test("transaction() says disk-full when the disk is full, and can go on after", () => {
  inTemp((directory) => {
    const path = `${directory}/test.db`;
    using db = openDatabase(path, options);
    db.exec("PRAGMA max_page_count = 10");
    const fill = () => db.prepare("INSERT INTO t (a) VALUES (zeroblob(100000))").run();
    const error = failure(() => transaction(db, () => transaction(db, fill)));
    assertEquals([error.code, error.permanent], ["disk-full", false]);
    assertStringIncludes(error.message, path);
    transaction(db, () => db.exec("INSERT INTO t (a) VALUES (1)"));
  });
});

Deno.test("toFilesyncError() knows what SQLite means, in a transaction or not", () => {
  inTemp((directory) => {
    using db = openDatabase(`${directory}/test.db`, options);
    db.exec("PRAGMA max_page_count = 10");
    try {
      db.prepare("INSERT INTO t (a) VALUES (zeroblob(100000))").run();
    } catch (error) {
      const { code, message, hint, permanent } = toFilesyncError("remember it", error);
      assertEquals([code, permanent], ["disk-full", false]);
      assertEquals(message, "Cannot remember it: the disk is full");
      return assertStringIncludes(hint!, "Free some space");
    }
    throw new Error("it was not full");
  });
});

Deno.test("openDatabase() read-only leaves the shared memory of a writer alone that has lost its locks", async () => {
  if (Deno.build.os === "windows") return;
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/test.db`;
  openDatabase(path, options).close();
  // Opening and closing a file takes away the locks that the process has on it.
  const script = `
    import { DatabaseSync } from "node:sqlite";
    const db = new DatabaseSync(${JSON.stringify(path)});
    db.exec("INSERT INTO t (a) VALUES (1)");
    Deno.openSync(${JSON.stringify(`${path}-shm`)}).close();
    console.log("ready");
    Deno.stdin.readSync(new Uint8Array(1));
    db.exec("INSERT INTO t (a) VALUES (2)");`;
  const writer = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    stdin: "piped",
    stdout: "piped",
  })
    .spawn();
  try {
    const reader = writer.stdout.getReader();
    await reader.read();
    reader.releaseLock();
    const before = Deno.statSync(`${path}-shm`);
    {
      using db = openDatabase(path, { ...options, readOnly: true });
      assertEquals(db.prepare("SELECT a FROM t").all().map(({ a }) => a), [1]);
    }
    const after = Deno.statSync(`${path}-shm`);
    assertEquals([after.ino, after.size, after.mtime], [before.ino, before.size, before.mtime]);
  } finally {
    await writer.stdin.close();
    await writer.stdout.cancel();
  }
  assertEquals((await writer.status).code, 0);
  using db = openDatabase(path, { ...options, readOnly: true });
  assertEquals(db.prepare("SELECT a FROM t").all().length, 2);
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("openDatabase() read-only reads what a writer left that was killed before the first frame of its log", () => {
  const directory = Deno.makeTempDirSync();
  const [before, after] = [`${directory}/before`, `${directory}/after`];
  Deno.mkdirSync(after);
  {
    using _lock = lockState(before, "a test");
    using db = openDatabase(`${before}/test.db`, options);
    db.exec("INSERT INTO t (a) VALUES (1)");
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    db.exec("INSERT INTO t (a) VALUES (2)");
    for (const name of ["test.db", "test.db-wal", "test.db-shm", "lock"]) {
      Deno.copyFileSync(`${before}/${name}`, `${after}/${name}`);
    }
    Deno.truncateSync(`${after}/test.db-wal`, 32);
  }
  using db = openDatabase(`${after}/test.db`, { ...options, readOnly: true });
  assertEquals(db.prepare("SELECT a FROM t").all().map(({ a }) => a), [1]);
  Deno.removeSync(directory, { recursive: true });
});
