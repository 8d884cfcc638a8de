// Owns the books of all upstreams: what was asked, what it came to, what it cost. In memory, since the start of the process.
// Jobs read it for their budgets and server/metrics.ts for its counters; it knows neither.
import type { ChatUsage } from "../../runtime/chat-model.ts";
import type { ConcurrencyState } from "./concurrency.ts";
import type { FaultKind } from "./fault.ts";
import type { UpstreamPrices } from "./upstream-config.ts";

/** `rejected`: too many waited already. */
export type UpstreamOutcome = "stop" | "length" | "abort" | "rejected" | FaultKind;

/** Sums for one upstream. Tokens are those the endpoint reported, or estimates where it reported none, of every attempt. */
interface UpstreamTotals {
  readonly requests: number;
  readonly retries: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Attempts whose tokens are estimated: the endpoint told none, or the attempt broke off. */
  readonly estimatedAttempts: number;
  /** In `currency`; 0 where no prices are configured. */
  readonly cost: number;
  readonly currency: string | null;
}

interface Money {
  readonly amount: number;
  readonly currency: string;
}

/** One upstream's books, for reading. */
export interface UpstreamAccountView {
  readonly modelId: string;
  readonly totals: UpstreamTotals;
  readonly outcomes: ReadonlyMap<UpstreamOutcome, number>;
  readonly retries: ReadonlyMap<FaultKind, number>;
  readonly concurrency: ConcurrencyState;
}

/** Totals by model id. */
type LedgerSnapshot = ReadonlyMap<string, UpstreamTotals>;

export interface UpstreamLedger {
  accounts(): readonly UpstreamAccountView[];
  /** The totals of now; they do not change any more. */
  snapshot(): LedgerSnapshot;
  /** What has been added since; of everything that used the upstreams, not of one caller alone. */
  since(before: LedgerSnapshot): LedgerSnapshot;
  /** What such a use costs; null for models that are no upstream or have no prices. */
  costOf(modelId: string, usage: ChatUsage): Money | null;
}

/** One upstream's books, for writing. */
interface UpstreamAccount {
  /** An attempt that the endpoint took. */
  used(usage: ChatUsage, isEstimated: boolean): void;
  retried(kind: FaultKind): void;
  /** Once per request, however it ended. */
  ended(outcome: UpstreamOutcome): void;
}

export interface WritableLedger extends UpstreamLedger {
  open(modelId: string, prices: UpstreamPrices | null, concurrency: () => ConcurrencyState): UpstreamAccount;
}

interface Book {
  readonly prices: UpstreamPrices | null;
  readonly concurrency: () => ConcurrencyState;
  readonly outcomes: Map<UpstreamOutcome, number>;
  readonly retries: Map<FaultKind, number>;
  totals: UpstreamTotals;
}

const none = {
  requests: 0,
  retries: 0,
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  estimatedAttempts: 0,
  cost: 0,
} as const;

export function createLedger(): WritableLedger {
  const books = new Map<string, Book>();
  const totalsOf = () => new Map([...books].map(([id, { totals }]) => [id, totals]));
  return {
    open(modelId, prices, concurrency) {
      const totals = { ...none, currency: prices?.currency ?? null };
      const book: Book = { prices, concurrency, outcomes: new Map(), retries: new Map(), totals };
      books.set(modelId, book);
      return accountOf(book);
    },
    accounts: () =>
      [...books].map(([modelId, { totals, outcomes, retries, concurrency }]) => ({
        modelId,
        totals,
        outcomes,
        retries,
        concurrency: concurrency(),
      })),
    snapshot: totalsOf,
    since: (before) => new Map([...totalsOf()].map(([id, now]) => [id, difference(now, before.get(id))])),
    costOf(modelId, usage) {
      const prices = books.get(modelId)?.prices ?? null;
      return prices === null ? null : { amount: cost(prices, usage), currency: prices.currency };
    },
  };
}

function accountOf(book: Book): UpstreamAccount {
  const add = (part: Partial<Record<keyof typeof none, number>>) => {
    const sum = { ...book.totals };
    for (const key of Object.keys(none) as (keyof typeof none)[]) sum[key] += part[key] ?? 0;
    book.totals = sum;
  };
  return {
    used(usage, isEstimated) {
      const { promptTokens, cachedTokens, completionTokens } = usage;
      const price = book.prices === null ? 0 : cost(book.prices, usage);
      add({ promptTokens, cachedTokens, completionTokens, estimatedAttempts: isEstimated ? 1 : 0, cost: price });
    },
    retried(kind) {
      book.retries.set(kind, (book.retries.get(kind) ?? 0) + 1);
      add({ retries: 1 });
    },
    ended(outcome) {
      book.outcomes.set(outcome, (book.outcomes.get(outcome) ?? 0) + 1);
      add({ requests: 1 });
    },
  };
}

function cost(prices: UpstreamPrices, { promptTokens, cachedTokens, completionTokens }: ChatUsage): number {
  const input = (promptTokens - cachedTokens) * prices.inputPerMillion + cachedTokens * prices.cachedInputPerMillion;
  return (input + completionTokens * prices.outputPerMillion) / 1e6;
}

function difference(now: UpstreamTotals, before: UpstreamTotals | undefined): UpstreamTotals {
  const rest: Record<keyof typeof none, number> = { ...none };
  for (const key of Object.keys(none) as (keyof typeof none)[]) rest[key] = now[key] - (before?.[key] ?? 0);
  return { ...rest, currency: now.currency };
}
