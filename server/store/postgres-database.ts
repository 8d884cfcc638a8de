// Owns the connections to a PostgreSQL server, which several gateways may share.
// It knows no tables. A statement that fails for a lost connection is not repeated here: whoever sent it knows whether it may be.
import { Pool, TypeOverrides } from "pg";
import { type Database, type Queryable, StoreError } from "./database.ts";
import { PostgresChannel } from "./postgres-channel.ts";

const bigintType = 20;
const maxConnections = 10;
const connectTimeoutMs = 10_000;

/** Connects once, to know that it works. Throws StoreError with one sentence that shows no password. */
export async function openPostgres(url: string, onIdleError: (error: Error) => void): Promise<Database> {
  const types = new TypeOverrides();
  types.setTypeParser(bigintType, Number);
  const pool = new Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: "realchat-gateway",
    types,
  });
  // Without a listener, a connection that dies while nobody uses it would end the process.
  pool.on("error", onIdleError);
  try {
    await pool.query("SELECT 1");
  } catch (error) {
    await pool.end().catch(() => {});
    const reason = error instanceof Error && error.message !== "" ? error.message : String(error);
    throw new StoreError(`The PostgreSQL server of DATABASE_URL cannot be used: ${reason.replace(/\.$/, "")}.`, {
      cause: error,
    });
  }
  const publish = (topic: string, payload: string) => pool.query("SELECT pg_notify($1, $2)", [topic, payload]);
  const channel = new PostgresChannel(url, publish, onIdleError);
  return {
    kind: "postgresql",
    channel,
    ...over(pool),
    async transaction(work) {
      const client = await pool.connect();
      let isBroken = false;
      try {
        await client.query("BEGIN");
        const result = await work(over(client));
        await client.query("COMMIT");
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch(() => {
          isBroken = true;
        });
        throw error;
      } finally {
        client.release(isBroken);
      }
    },
    async close() {
      await channel.close();
      await pool.end();
    },
  };
}

function over(client: { query(sql: string, parameters: unknown[]): Promise<{ rows: unknown[] }> }): Queryable {
  return {
    query: async <Row>(sql: string, parameters: readonly unknown[] = []) =>
      (await client.query(sql, [...parameters])).rows as readonly Row[],
  };
}
