/**
 * Ids for directories that the catalog does not know yet. A scan reserves them, so that it can write the entries of
 * such a directory where they stay while it still walks: nobody sees them before the merge writes the directory
 * itself. What is reserved is recorded, so that of a scan that dies nothing is left.
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";
import type { Sql } from "./sql.ts";

/** Ids that are reserved at a time. */
const BLOCK = 4096;

/** The ids of one scan. */
export class DirectoryIds {
  readonly #sql: Sql;
  readonly #scan: number;
  readonly #blocks: { first: number; last: number }[] = [];
  #next = 0;
  #left = 0;

  constructor(sql: Sql, scan: number) {
    this.#sql = sql;
    this.#scan = scan;
  }

  /** Sees to it that {@linkcode take} can be called `count` times. */
  async reserve(count: number): Promise<void> {
    if (count <= this.#left) return;
    const size = Math.max(count, BLOCK);
    this.#next = await this.#sql.transaction(async () => {
      const first = await nextDirectoryId(this.#sql, size);
      await this.#sql.query("INSERT INTO reservations VALUES ($1, $2, $3)", [
        this.#scan,
        first,
        first + size - 1,
      ]);
      return first;
    });
    this.#left = size;
    this.#blocks.push({ first: this.#next, last: this.#next + size - 1 });
  }

  /** An id that nobody else has. */
  take(): number {
    this.#left--;
    return this.#next++;
  }

  /**
   * Makes what was written under the ids stay, within the transaction of the merge.
   *
   * @throws {FilesyncError} `locked` when another scan took this one for dead, and has removed it.
   */
  async keep(): Promise<void> {
    const running = await this.#sql.query(
      "UPDATE scan_runs SET state = 'running' WHERE id = $1 AND state = 'running' RETURNING id",
      [this.#scan],
    );
    const kept = await this.#sql.query("DELETE FROM reservations WHERE scan_id = $1 RETURNING first_id", [
      this.#scan,
    ]);
    if (running.length > 0 && kept.length === this.#blocks.length) return;
    throw new FilesyncError({
      code: "locked",
      operation: "record what the scan found",
      reason: "the catalog was out of reach meanwhile, and another scan of the same tree has begun",
      hint: "Let that one end",
    });
  }

  /** Removes what was written under the ids. */
  async drop(): Promise<void> {
    for (const block of this.#blocks) await dropBlock(this.#sql, block);
  }
}

/** The first of `count` ids that nobody else gets. */
export async function nextDirectoryId(sql: Sql, count: number): Promise<number> {
  const [{ first }] = await sql.query(
    "UPDATE directory_ids SET next = next + $1 RETURNING next - $1 AS first",
    [count],
  );
  return first as number;
}

/** Removes what interrupted scans wrote. */
export async function sweepInterrupted(sql: Sql): Promise<void> {
  const blocks = await sql.query(
    `SELECT first_id AS first, last_id AS last FROM reservations
     WHERE scan_id IN (SELECT id FROM scan_runs WHERE state = 'interrupted')`,
  );
  for (const block of blocks) await dropBlock(sql, block as { first: number; last: number });
}

/** Removes a reservation first, so that a scan that is not dead after all does not merge what is removed. */
async function dropBlock(sql: Sql, { first, last }: { first: number; last: number }): Promise<void> {
  await sql.transaction(async () => {
    await sql.query("DELETE FROM reservations WHERE first_id = $1", [first]);
    await sql.query(
      `DELETE FROM entries WHERE directory_id BETWEEN $1 AND $2
       AND directory_id NOT IN (SELECT id FROM directories WHERE id BETWEEN $1 AND $2)`,
      [first, last],
    );
  });
}
