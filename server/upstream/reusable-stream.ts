// Owns that a connection outlives the stream it carried: the official client hangs up as soon as it has read `[DONE]`, a moment
// before the answer is over, and the next request would have to connect (and shake hands) anew.
// It knows bytes, neither events nor what they say.

const endMark = /(?:^|\n)data: ?\[DONE\]\s*$/;
const markLength = 32;
/** How long the end of an answer may take after its last word. */
const drainLimitMs = 1000;

/** Fetches so that the caller's abort hangs up only where the stream has not come to its end mark; then what is left is read. */
export async function fetchReusable(input: Parameters<typeof fetch>[0], init: RequestInit): Promise<Response> {
  const own = new AbortController();
  const { signal: caller } = init;
  let isMarked = false;
  const hangUp = () => {
    if (!isMarked) own.abort(caller?.reason);
  };
  caller?.addEventListener("abort", hangUp, { once: true });
  if (caller?.aborted === true) hangUp();
  const response = await fetch(input, { ...init, signal: own.signal });
  const isStream = /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "");
  if (!isStream || response.body === null) return response;

  const reader = response.body.getReader();
  const decoder = new TextDecoder("latin1");
  let tail = "";
  const drain = async () => {
    const timer = setTimeout(() => own.abort(), drainLimitMs);
    try {
      while (!(await reader.read()).done);
    } catch {
      // The answer was complete; only the connection is lost.
    }
    clearTimeout(timer);
  };
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        tail = (tail + decoder.decode(value.subarray(-markLength))).slice(-markLength);
        isMarked ||= endMark.test(tail);
        controller.enqueue(value);
      },
      async cancel(reason) {
        if (isMarked) void drain();
        else await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status: response.status, headers: response.headers });
}
