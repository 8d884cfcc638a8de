// Owns the connection on which a gateway hears what others on the same PostgreSQL server say (LISTEN), and comes back when it breaks.
// Nothing is kept: what is said while it is down is lost. It does not know what is said.
import { Client } from "pg";
import type { Channel } from "./database.ts";

const reconnectMs = 1000;
const patienceMs = 1000;

type Publish = (topic: string, payload: string) => Promise<unknown>;

/** Opens its connection with the first subscription. */
export class PostgresChannel implements Channel {
  readonly #url: string;
  readonly #publish: Publish;
  readonly #onError: (error: Error) => void;
  readonly #listeners = new Map<string, (payload: string) => void>();
  #client: Promise<Client> | null = null;
  /** Statements go one after the other, so that LISTEN and UNLISTEN of one topic keep their order. */
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(url: string, publish: Publish, onError: (error: Error) => void) {
    this.#url = url;
    this.#publish = publish;
    this.#onError = onError;
  }

  async publish(topic: string, payload: string): Promise<void> {
    await this.#publish(topic, payload);
  }

  subscribe(topic: string, listener: (payload: string) => void): () => void {
    this.#listeners.set(topic, listener);
    this.#run(`LISTEN ${quoted(topic)}`);
    return () => {
      this.#listeners.delete(topic);
      this.#run(`UNLISTEN ${quoted(topic)}`);
    };
  }

  /** The server sends what it has to tell on a connection before it answers there. */
  async caughtUp(): Promise<void> {
    const waited = Promise.withResolvers<void>();
    const timer = setTimeout(waited.resolve, patienceMs);
    await Promise.race([this.#ask(), waited.promise]);
    clearTimeout(timer);
  }

  async #ask(): Promise<void> {
    try {
      await (await this.#client)?.query("SELECT 1");
    } catch {} // its own listener hears of it
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await endQuietly(this.#client);
  }

  #run(statement: string): void {
    this.#last = this.#last.then(() => this.#runNow(statement));
  }

  /** Never rejects. */
  async #runNow(statement: string): Promise<void> {
    if (this.#isClosed) return;
    try {
      // A new connection listens to everything that is wanted anyway.
      await (await this.#connected()).query(statement);
    } catch (error) {
      this.#retry(error);
    }
  }

  #connected(): Promise<Client> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const client = new Client({ connectionString: this.#url, application_name: "realchat-gateway listener" });
    client.on("error", (error) => this.#retry(error));
    client.on("notification", ({ channel, payload }) => this.#listeners.get(channel)?.(payload ?? ""));
    try {
      await client.connect();
      for (const topic of this.#listeners.keys()) await client.query(`LISTEN ${quoted(topic)}`);
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
  }

  /** Drops the connection and comes back in a while, if anything is still wanted. */
  #retry(reason: unknown): void {
    if (this.#isClosed || this.#timer !== null) return;
    this.#onError(reason instanceof Error ? reason : new Error(String(reason)));
    const broken = this.#client;
    this.#client = null;
    void endQuietly(broken);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const [topic] = this.#listeners.keys();
      if (topic !== undefined) this.#run(`LISTEN ${quoted(topic)}`);
    }, reconnectMs).unref();
  }
}

/** A connection that is broken already is no news. */
async function endQuietly(opening: Promise<Client> | null): Promise<void> {
  try {
    await (await opening)?.end();
  } catch {}
}

function quoted(topic: string): string {
  return `"${topic.replaceAll('"', '""')}"`;
}
