import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { stub } from "@std/testing/mock";
import { testCatalog } from "../../tests/support/catalog_contract.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { HAS_POSTGRES, PostgresServer } from "../../tests/support/postgres.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { FilesyncError } from "../core/errors.ts";
import { type Crawler, walkInThread } from "./crawler.ts";
import { openPostgresStore } from "./postgres_store.ts";
import { scanTree } from "./scan.ts";
import { beginScan } from "./scan_session.ts";

if (HAS_POSTGRES) {
  let server: PostgresServer;
  Deno.test.beforeAll(async () => {
    server = await PostgresServer.start();
  });
  Deno.test.afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  testCatalog("PostgreSQL catalog", async () => await openPostgresStore(await server.database()));

  Deno.test("PostgreSQL catalog: two machines cannot scan one tree at a time, and can scan two", async () => {
    const url = await server.database();
    await using one = await openPostgresStore(url);
    await using two = await openPostgresStore(url);
    const options = { host: "here", root: "/tree", startedAt: 0 };
    {
      await using _scan = await beginScan(one, options);
      const error = await assertRejects(() => beginScan(two, options), FilesyncError);
      assertEquals(error.code, "locked");
      await using _other = await beginScan(two, { ...options, root: "/other" });
      const staged = String.raw`SELECT count(*) AS n FROM pg_class WHERE relname ~ '^staging_files_\d+$'`;
      assertEquals((await one.sql.query(staged))[0].n, 2);
    }
    await using _again = await beginScan(two, options);
  });

  Deno.test("PostgreSQL catalog: a transaction does not go on outside of itself when the connection breaks", async () => {
    const url = await server.database();
    await using store = await openPostgresStore(url);
    await using other = await openPostgresStore(url);
    const { sql } = store;
    const count = async () => (await other.sql.query("SELECT count(*) AS n FROM hosts"))[0].n;
    const error = await assertRejects(() =>
      sql.transaction(async () => {
        await sql.query("INSERT INTO hosts (name) VALUES ('one')");
        const [{ pid }] = await sql.query("SELECT pg_backend_pid() AS pid");
        await other.sql.query("SELECT pg_terminate_backend($1::int, 10000)", [pid]);
        // This end hears of it with the next question, or before.
        await sql.query("SELECT 1").catch(() => {});
        await sql.query("INSERT INTO hosts (name) VALUES ('two')");
      }), FilesyncError);
    assertEquals([(error as FilesyncError).code, await count()], ["unreachable", 0]);
    // The next one has a new connection.
    await sql.transaction(() => sql.query("INSERT INTO hosts (name) VALUES ('three')"));
    assertEquals(await count(), 1);
  });

  Deno.test("PostgreSQL catalog: a connection is not changed for a new one, which would have no locks", async () => {
    // What the client makes a lifetime of: between 30 and 60 minutes, or now 10 ms.
    using _ = stub(Math, "random", () => -1 + 0.01 / 1800);
    await using store = await openPostgresStore(await server.database());
    const pid = async () => (await store.sql.query("SELECT pg_backend_pid() AS pid"))[0].pid;
    const first = await pid();
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      assertEquals(await pid(), first);
    }
  });

  Deno.test("PostgreSQL catalog: a scan may take longer than a statement of others", async () => {
    using temp = new TempDirectory();
    makeTree(temp.path, { a: "1", d: { b: "" } });
    const url = await server.database();
    {
      await using admin = await openPostgresStore(url);
      for (const name of ["statement_timeout", "idle_in_transaction_session_timeout"]) {
        await admin.sql.script(`ALTER DATABASE ${url.pathname.slice(1)} SET ${name} = 50`);
      }
    }
    await using store = await openPostgresStore(url);
    const slow: Crawler = {
      async *walk(options, request) {
        yield* walkInThread.walk(options, { ...request, shallow: true });
        await store.sql.query("SELECT pg_sleep(0.2)");
        yield* walkInThread.walk(options, { ...request, tasks: [{ below: "d", ruled: false }] });
      },
    };
    const options = { host: "here", root: temp.path, clock: new FakeClock() };
    assertEquals((await scanTree(store, slow, options)).added, 2);
  });

  Deno.test("PostgreSQL catalog: files can be asked for by ltree", async () => {
    using temp = new TempDirectory();
    makeTree(temp.path, { "a b": { "c_d.txt": "", e: { f: "" } }, g: "" });
    await using store = await openPostgresStore(await server.database());
    await scanTree(store, walkInThread, { host: "here", root: temp.path, clock: new FakeClock() });
    const found = await store.sql.query(
      "SELECT name FROM files WHERE path_ltree <@ path_to_ltree($1) ORDER BY name",
      [`${temp.path}/a b`],
    );
    assertEquals(found.map(({ name }) => name), ["c_d.txt", "f"]);
  });

  Deno.test("openPostgresStore() says what is wrong", async () => {
    const url = await server.database();
    const missing = new URL(url);
    missing.pathname = "/none";
    const nobody = new URL("postgres://me@127.0.0.1:1/none");
    const codes = [];
    for (const wrong of [missing, nobody]) {
      codes.push((await assertRejects(() => openPostgresStore(wrong), FilesyncError)).code);
    }
    codes.push((await assertRejects(() => openPostgresStore(url, { readOnly: true }), FilesyncError)).code);
    assertEquals(codes, ["not-found", "unreachable", "upgrade"]);
  });

  Deno.test("openPostgresStore() refuses a catalog of a newer version, and leaves it as it is", async () => {
    const url = await server.database();
    await using store = await openPostgresStore(url);
    await store.sql.query("UPDATE schema_version SET version = version + 1");
    for (const readOnly of [false, true]) {
      const error = await assertRejects(() => openPostgresStore(url, { readOnly }), FilesyncError);
      assertMatch(
        error.message,
        /^Cannot open the catalog .*: it has schema version 2, and this .* version 1$/,
      );
      assertEquals([error.code, error.hint], ["upgrade", "Upgrade filesync to the version that wrote it"]);
    }
    assertEquals(await store.sql.query("SELECT version FROM schema_version"), [{ version: 2 }]);
  });
}
