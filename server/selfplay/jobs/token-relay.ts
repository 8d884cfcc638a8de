// Owns passing the tokens of dialogues in play to readers at other gateways on the same database: only of jobs that somebody
// follows somewhere, several tokens in one message. Nothing is kept, and whatever is lost stands in the turn that is stored.
// It does not know what carries the messages.
import { z } from "zod";
import type { Log } from "../../log.ts";
import type { Channel } from "../../store/database.ts";
import type { LiveToken } from "./live-hub.ts";

/** Readers say again that they are there; who has not said so for a while is gone. */
const announceMs = 2000;
const interestMs = 3 * announceMs;
const batchMs = 100;
/** PostgreSQL takes fewer than 8,000 bytes in a message. */
const maxPayloadBytes = 7000;
/** JSON writes a character in at most six bytes, so that a piece of this many always fits. */
const maxPieceLetters = 1000;
const maxJobsPerMessage = 100;

const readersTopic = "realchat_readers";
const tokensTopic = (jobId: string) => `realchat_tokens_${jobId}`;

const readersSchema = z.object({ gateway: z.string(), jobs: z.array(z.string()) });
const tokenSchema = z.object({
  dialogueIndex: z.number(),
  ordinal: z.number(),
  role: z.enum(["user", "assistant"]),
  turn: z.number(),
  text: z.string(),
});
const tokensSchema = z.object({ gateway: z.string(), tokens: z.array(tokenSchema) });

export interface TokenRelayOptions {
  readonly channel: Channel;
  /** Names this gateway to the others. */
  readonly gateway: string;
  readonly log: Log;
  /** Takes tokens that were said at other gateways. */
  readonly deliver: (jobId: string, token: LiveToken) => void;
}

/** One gateway's end of it. */
export class TokenRelay {
  readonly #options: TokenRelayOptions;
  /** Jobs that are followed here → how to stop hearing of them. */
  readonly #watched = new Map<string, () => void>();
  /** Jobs that are followed elsewhere → until when that is believed. */
  readonly #wantedUntilMs = new Map<string, number>();
  readonly #waiting = new Map<string, LiveToken[]>();
  readonly #stopListening: () => void;
  #announcing: NodeJS.Timeout | null = null;
  #batching: NodeJS.Timeout | null = null;
  /** Messages are sent one after the other: tokens keep their order. */
  #sent: Promise<void> = Promise.resolve();

  constructor(options: TokenRelayOptions) {
    this.#options = options;
    this.#stopListening = options.channel.subscribe(readersTopic, (payload) => this.#hearReaders(payload));
  }

  /** Somebody here has begun to follow a job. */
  watch(jobId: string): void {
    const { channel } = this.#options;
    this.#watched.set(
      jobId,
      channel.subscribe(tokensTopic(jobId), (payload) => this.#hearTokens(jobId, payload)),
    );
    this.#announce([jobId]);
    this.#announcing ??= setInterval(() => this.#announce([...this.#watched.keys()]), announceMs).unref();
  }

  /** Nobody here follows a job any more. */
  unwatch(jobId: string): void {
    this.#watched.get(jobId)?.();
    this.#watched.delete(jobId);
    if (this.#watched.size > 0 || this.#announcing === null) return;
    clearInterval(this.#announcing);
    this.#announcing = null;
  }

  /** Whether somebody follows a job at another gateway. */
  isWanted(jobId: string): boolean {
    const untilMs = this.#wantedUntilMs.get(jobId);
    if (untilMs === undefined) return false;
    if (untilMs >= performance.now()) return true;
    this.#wantedUntilMs.delete(jobId);
    return false;
  }

  /** Takes a token that was said here. */
  pass(jobId: string, token: LiveToken): void {
    if (!this.isWanted(jobId)) return;
    const waiting = this.#waiting.get(jobId) ?? [];
    this.#waiting.set(jobId, waiting);
    const last = waiting.findLastIndex((one) => one.dialogueIndex === token.dialogueIndex);
    const earlier = waiting[last];
    if (earlier?.ordinal === token.ordinal) waiting[last] = { ...earlier, text: earlier.text + token.text };
    else waiting.push(token);
    this.#batching ??= setTimeout(() => void this.flush(), batchMs);
  }

  /** Sends what waits; resolves when it is on its way, and never rejects. */
  flush(): Promise<void> {
    if (this.#batching !== null) clearTimeout(this.#batching);
    this.#batching = null;
    for (const [jobId, tokens] of this.#waiting) {
      for (const payload of payloadsOf(this.#options.gateway, tokens)) this.#send(tokensTopic(jobId), payload);
    }
    this.#waiting.clear();
    return this.#sent;
  }

  /** Resolves when every token that was sent here so far is delivered; never rejects. */
  caughtUp(): Promise<void> {
    return this.#options.channel.caughtUp();
  }

  /** Sends what waits and says nothing more. */
  async close(): Promise<void> {
    for (const jobId of this.#watched.keys()) this.unwatch(jobId);
    this.#stopListening();
    await this.flush();
  }

  #announce(jobs: readonly string[]): void {
    const { gateway } = this.#options;
    for (let first = 0; first < jobs.length; first += maxJobsPerMessage) {
      const some = jobs.slice(first, first + maxJobsPerMessage);
      this.#send(readersTopic, JSON.stringify({ gateway, jobs: some }));
    }
  }

  #send(topic: string, payload: string): void {
    const { channel, log } = this.#options;
    this.#sent = this.#sent
      .then(() => channel.publish(topic, payload))
      .catch((error: unknown) => log.warn("tokens could not be told to other gateways", { error }));
  }

  #hearReaders(payload: string): void {
    const said = this.#read(readersSchema, payload);
    for (const jobId of said?.jobs ?? []) this.#wantedUntilMs.set(jobId, performance.now() + interestMs);
  }

  #hearTokens(jobId: string, payload: string): void {
    for (const token of this.#read(tokensSchema, payload)?.tokens ?? []) this.#options.deliver(jobId, token);
  }

  /** null for what this gateway said itself, and for what it does not understand: another version may say it. */
  #read<T extends { readonly gateway: string }>(schema: z.ZodType<T>, payload: string): T | null {
    let value: unknown;
    try {
      value = JSON.parse(payload);
    } catch {
      return null;
    }
    const { data } = schema.safeParse(value);
    return data === undefined || data.gateway === this.#options.gateway ? null : data;
  }
}

/** Messages of as many tokens as fit. */
function payloadsOf(gateway: string, tokens: readonly LiveToken[]): readonly string[] {
  const payloads: string[] = [];
  let parts: string[] = [];
  let bytes = 0;
  const close = () => {
    if (parts.length > 0) payloads.push(`{"gateway":${JSON.stringify(gateway)},"tokens":[${parts.join(",")}]}`);
    parts = [];
    bytes = 0;
  };
  for (const token of tokens) {
    for (const text of piecesOf(token.text)) {
      const part = JSON.stringify({ ...token, text });
      const partBytes = Buffer.byteLength(part) + 1;
      if (bytes + partBytes > maxPayloadBytes) close();
      parts.push(part);
      bytes += partBytes;
    }
  }
  close();
  return payloads;
}

/** Whole characters in each. */
function piecesOf(text: string): readonly string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length;) {
    let to = Math.min(text.length, from + maxPieceLetters);
    const isPairCut = to < text.length && /[\ud800-\udbff]/.test(text[to - 1] ?? "");
    if (isPairCut) to -= 1;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}
