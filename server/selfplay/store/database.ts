// What every store speaks to: SQL in the PostgreSQL dialect, whoever runs it. Types only.
// It knows neither tables nor which of the two databases answers; values that the two would hand over differently are passed as text.

/** Takes statements with `$1` parameters. Objects are passed as JSON text and cast with `::jsonb`. */
export interface Queryable {
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>;
}

export interface Database extends Queryable {
  /** `pglite` is this process's alone; `postgresql` may be shared by several gateways. */
  readonly kind: "pglite" | "postgresql";
  /** Runs `work` in one transaction, which is rolled back when it throws. */
  transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T>;
  /** Closes it for good. */
  close(): Promise<void>;
}

/** A store that cannot be opened; the message is one sentence for the person who started the server. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** A data folder that another process has open. */
export class FolderInUseError extends StoreError {}
