// Owns running a job on a gateway from outside: it is created or found, its events are followed across broken connections, and its
// dialogues are fetched into a file. It knows the transport alone.
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { readServerSentData, RemoteError } from "../remote-dialogue.ts";

const retryMs = 1000;
const mostRetries = 30;
const notFoundStatus = 404;
const badRequestStatus = 400;

export class RemoteJobs {
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;

  /** `url` may end in `/v1`, as SDKs' base addresses do. */
  constructor(url: string, apiKey: string | undefined) {
    const trimmed = url.replace(/\/+$/, "").replace(/\/v1$/, "");
    if (!URL.canParse(trimmed)) {
      throw new RemoteError(`--url must be an address such as http://localhost:8080, not ${JSON.stringify(url)}.`);
    }
    this.#base = new URL(`${trimmed}/v1/selfplay/jobs/`);
    this.#headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  }

  /** Returns the new job's id. */
  async create(body: object, signal: AbortSignal): Promise<string> {
    const headers = { "content-type": "application/json" };
    const path = this.#base.href.replace(/\/$/, "");
    const response = await this.#fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
    return ((await response.json()) as { id: string }).id;
  }

  /** Events from the first on, to the last; goes on where a broken connection left off. */
  async *events(id: string, signal: AbortSignal): AsyncGenerator<unknown, void> {
    let last = 0;
    let retries = 0;
    while (!signal.aborted) {
      try {
        const response = await this.#fetch(`${id}/events?tokens=false&after=${last}`, { signal });
        for await (const data of readServerSentData(response.body ?? new ReadableStream())) {
          if (data === "[DONE]") return;
          const event = JSON.parse(data) as { id?: number };
          last = event.id ?? last;
          retries = 0;
          yield event;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RefusedError || retries >= mostRetries) throw error;
      }
      retries += 1;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  /** Writes the finished dialogues of a job; the file appears whole or not at all. */
  async save(id: string, format: string, file: string, signal: AbortSignal): Promise<void> {
    const kind = file.endsWith(".parquet") ? "parquet" : "jsonl";
    const response = await this.#fetch(`${id}/dialogues?as=${kind}&format=${format}`, { signal });
    const partial = `${file}.partial`;
    await pipeline(Readable.fromWeb(response.body ?? new ReadableStream()), createWriteStream(partial));
    await rename(partial, file);
  }

  /** The finished dialogues of a job as lines of JSON, as they come. Reading throws RemoteError where the connection breaks. */
  async *lines(
    id: string,
    { format, isUnique }: { readonly format: string; readonly isUnique: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const query = new URLSearchParams({ as: "jsonl", format, unique: String(isUnique) });
    const response = await this.#fetch(`${encodeURIComponent(id)}/dialogues?${query.toString()}`, { signal });
    try {
      for await (const chunk of response.body ?? []) yield chunk;
    } catch (error) {
      if (signal.aborted) throw error;
      throw new RemoteError(`The answer of ${this.#base.origin} broke off before its end.`, { cause: error });
    }
  }

  async #fetch(
    path: string,
    init: Omit<RequestInit, "headers"> & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Response> {
    const url = new URL(path, this.#base);
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers: { ...this.#headers, ...init.headers } });
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new RemoteError(
        `${url.origin} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}.`,
        {
          cause: error,
        },
      );
    }
    if (response.ok) return response;
    const message = await response
      .json()
      .then((answer) => (answer as { error: { message: string } }).error.message)
      .catch(() => `${url.href} answered with status ${response.status} and no JSON; is it a gateway?`);
    const isFinal = response.status >= badRequestStatus && response.status <= notFoundStatus;
    throw isFinal ? new RefusedError(message) : new RemoteError(message);
  }
}

/** Asking again would be answered the same. */
class RefusedError extends RemoteError {}
