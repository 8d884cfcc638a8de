// Owns how long to wait before an attempt is repeated, and when to give up. Pure, but for the waiting itself.
import { setTimeout as sleep } from "node:timers/promises";
import type { UpstreamFault } from "./fault.ts";

export interface RetryPolicy {
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  readonly maxRetryDelayS: number;
}

/**
 * Milliseconds to wait after failed attempt number `attempt` (from 1), or null when there shall be no other. Doubles with each
 * attempt, spread over its upper half so that many who failed together do not return together; what the endpoint asks for is
 * the least.
 */
export function retryDelayMs(
  attempt: number,
  fault: UpstreamFault,
  policy: RetryPolicy,
  random: () => number = Math.random,
): number | null {
  if (!fault.isRetryable || attempt > policy.maxRetries) return null;
  const capMs = policy.maxRetryDelayS * 1000;
  const askedMs = fault.detail.retryAfterMs ?? 0;
  if (askedMs > capMs) return null;
  const backOffMs = Math.min(capMs, policy.retryDelayMs * 2 ** (attempt - 1));
  return Math.max(backOffMs * (0.5 + 0.5 * random()), askedMs);
}

/** Resolves after that long, or as soon as the signal aborts; the caller looks which. */
export async function wait(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => {});
}
