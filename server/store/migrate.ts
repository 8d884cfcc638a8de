// Owns bringing a database's tables up to date: every migration once, in order, while other gateways that start wait.
// It does not know what the migrations do; migrations.ts does.
import { type Database, StoreError } from "./database.ts";
import { type Migration, migrations } from "./migrations.ts";

/** Any number that nobody else takes on the same server; ours alone in the gateway's code. */
const advisoryLockKey = 7_251_108_532;

/** Applies what is missing in one transaction and returns the names of what was. Throws StoreError for a newer database. */
export async function migrate(
  database: Database,
  known: readonly Migration[] = migrations,
): Promise<readonly string[]> {
  return database.transaction(async (transaction) => {
    await transaction.query("SELECT pg_advisory_xact_lock($1::bigint)", [advisoryLockKey]);
    await transaction.query(
      `CREATE TABLE IF NOT EXISTS realchat_migrations (
        number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    const rows = await transaction.query<{ number: number }>("SELECT number FROM realchat_migrations");
    const applied = new Set(rows.map(({ number }) => number));
    const newest = Math.max(0, ...applied);
    if (newest > known.length) {
      throw new StoreError(
        `The database was written by a newer version: it has migration ${newest}, this version knows ${known.length}.`,
      );
    }
    const names: string[] = [];
    for (const [index, { name, statements }] of known.entries()) {
      if (applied.has(index + 1)) continue;
      for (const statement of statements) await transaction.query(statement);
      await transaction.query("INSERT INTO realchat_migrations (number, name) VALUES ($1, $2)", [index + 1, name]);
      names.push(name);
    }
    return names;
  });
}
