// Owns the wire form of server-sent events: frames, keep-alive comments, errors inside a stream, the end of it.
// It pulls from its source only when the socket takes more, and knows nothing of what the frames say.
import type { Context } from "hono";
import type { AppEnv } from "../app-env.ts";
import type { ErrorBody } from "./error.ts";

/** One event. */
export const sseData = (payload: unknown) => `data: ${JSON.stringify(payload)}\n\n`;
/** What OpenAI's clients take for the end of a stream that went well. */
export const sseDone = "data: [DONE]\n\n";
/** A line that every client ignores and every proxy takes for life. */
const keepAliveComment = ": keep-alive\n\n";

const headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  // Asks proxies such as nginx not to collect events.
  "x-accel-buffering": "no",
};

interface SseOptions {
  /** Silence after which a comment line is sent; 0 for never. */
  readonly keepAliveMs: number;
  /** Called once when the client goes away before the end; must make the source end. */
  readonly cancel: () => void;
  /** What the client is told of an error that the source throws after the answer has begun. */
  readonly describeError: (error: unknown) => ErrorBody;
}

const silence = Symbol("silence");

/**
 * Answers with the frames of `source` (one string may hold several). Waits for the first frame, so that an error before
 * it is thrown and gets a status of its own; but no longer than the keep-alive interval.
 */
export async function sseResponse(
  c: Context<AppEnv>,
  source: AsyncGenerator<string>,
  { keepAliveMs, cancel, describeError }: SseOptions,
): Promise<Response> {
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<string>> | undefined = source.next();
  await withinSilence(next, keepAliveMs);

  const end = Promise.withResolvers<void>();
  c.set("streamEnd", end.promise);
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          next ??= source.next();
          const frame = await withinSilence(next, keepAliveMs);
          if (frame === silence) return controller.enqueue(encoder.encode(keepAliveComment));
          next = undefined;
          if (frame.done !== true) return controller.enqueue(encoder.encode(frame.value));
        } catch (error) {
          controller.enqueue(encoder.encode(sseData({ error: describeError(error) })));
        }
        controller.close();
        end.resolve();
      },
      cancel() {
        cancel();
        // A frame nobody waits for any more may still fail; that it was cancelled is no news.
        next?.catch(() => {});
        void source.return(undefined).then(
          () => end.resolve(),
          () => end.resolve(),
        );
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(stream, { headers });
}

/** What was promised, or `silence` when it takes longer than that. */
async function withinSilence<T>(promise: Promise<T>, limitMs: number): Promise<T | typeof silence> {
  if (limitMs === 0) return promise;
  const timeout = Promise.withResolvers<typeof silence>();
  const timer = setTimeout(() => timeout.resolve(silence), limitMs);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
