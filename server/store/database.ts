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
  /** How processes that share it speak to each other; null where none can share it. */
  readonly channel: Channel | null;
  /** Closes it for good. */
  close(): Promise<void>;
}

/** Messages of fewer than 8,000 bytes that reach whoever listens and are not kept. */
export interface Channel {
  publish(topic: string, payload: string): Promise<void>;
  /** Calls `listener`, one for each topic, until the returned function is called; from shortly after now on. */
  subscribe(topic: string, listener: (payload: string) => void): () => void;
  /** Resolves when all listeners here have had what was published before, or could not in a short while. Never rejects. */
  caughtUp(): Promise<void>;
}

/** A store that cannot be opened; the message is one sentence for the person who started the server. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** A data folder that another process has open. */
export class FolderInUseError extends StoreError {}
