// Owns running the choices of one request side by side and handing on what they say, in the order they say it.
// It knows no JSON and no HTTP. What it holds back for a slow reader is at most one context window per choice.
import type { ChatEvent, ChatModel, ChatRequest } from "../../runtime/chat-model.ts";

export interface ChoiceEvent {
  readonly index: number;
  readonly event: ChatEvent;
  /** When the model told it, on the clock of performance.now(). */
  readonly atMs: number;
}

/**
 * Yields whatever has come since the last look. Throws the signal's reason as soon as it aborts, and the first error of
 * any choice: in place of everything if nothing has been handed on yet, else after what came before it. Leaving the loop
 * early cancels every choice.
 */
export async function* runChoices(
  model: ChatModel,
  requests: readonly ChatRequest[],
  signal: AbortSignal,
): AsyncGenerator<readonly ChoiceEvent[]> {
  const own = new AbortController();
  let arrived: ChoiceEvent[] = [];
  let running = requests.length;
  let hasBegun = false;
  let failure: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;

  const run = async (request: ChatRequest) => {
    const index = request.choiceIndex;
    try {
      for await (const event of model.generate(request, own.signal)) {
        arrived.push({ index, event, atMs: performance.now() });
        wake?.();
      }
    } catch (error) {
      failure ??= { error };
    }
    running -= 1;
    wake?.();
  };
  const onAbort = () => {
    own.abort(signal.reason);
    wake?.();
  };

  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    for (const request of requests) void run(request);
    for (;;) {
      signal.throwIfAborted();
      if (failure !== undefined && (!hasBegun || arrived.length === 0)) throw failure.error;
      if (arrived.length > 0) {
        hasBegun = true;
        const batch = arrived;
        arrived = [];
        yield batch;
      } else if (running === 0) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (running > 0) own.abort();
  }
}
