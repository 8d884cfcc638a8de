// Owns doing many things a few at a time. It does not know what they are.

/**
 * Calls `work` for every item, at most `concurrency` at once, in order of the items. The first error stops what has not
 * begun, waits for what has, and is thrown; so does an aborted signal.
 */
export async function together<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const own = new AbortController();
  const either = AbortSignal.any([signal, own.signal]);
  const left = items.values();
  const errors: unknown[] = [];
  const worker = async () => {
    for (const item of left) {
      if (either.aborted) return;
      try {
        await work(item, either);
      } catch (error) {
        errors.push(error);
        own.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(concurrency, items.length)) }, worker));
  signal.throwIfAborted();
  if (errors.length > 0) throw errors[0];
}
