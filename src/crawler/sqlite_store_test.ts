import { assertGreaterOrEqual } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { testCatalog } from "../../tests/support/catalog_contract.ts";
import { openSqliteStore } from "./sqlite_store.ts";

testCatalog("SQLite catalog", () => {
  const temp = new TempDirectory();
  const store = openSqliteStore(`${temp.path}/catalog.db`);
  return Promise.resolve({
    name: store.name,
    sql: store.sql,
    openStaging: (options) => store.openStaging(options),
    merging: (fn) => store.merging(fn),
    vacuum: () => store.vacuum(),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      temp[Symbol.dispose]();
    },
  });
});

Deno.test("SQLite catalog: who begins a scan while another one is merged waits for it, however long it takes", async () => {
  using temp = new TempDirectory();
  await using store = openSqliteStore(`${temp.path}/catalog.db`);
  const [{ timeout }] = await store.sql.query("PRAGMA busy_timeout");
  assertGreaterOrEqual(timeout as number, 3_600_000);
});
