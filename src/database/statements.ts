/** Statements that are prepared once. @module */
import type { DatabaseSync, StatementSync } from "node:sqlite";

/** The statements of a database, each prepared when it is first asked for. */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** The statement with this text, which must be one of few. */
  sql(text: string): StatementSync {
    let statement = this.#prepared.get(text);
    if (statement === undefined) this.#prepared.set(text, statement = this.#db.prepare(text));
    return statement;
  }
}
