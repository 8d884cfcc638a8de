// Owns the stream of a job's events: what is stored from any number on, then what comes, with the tokens of dialogues in play
// in between. Stored events have ids to go on from; tokens have none. It knows no sockets.
import type { JobService } from "./job-service.ts";
import { eventsAfter } from "../store/event-store.ts";
import { findJob, isEnded } from "../store/job-store.ts";
import { toWireJobEvent, toWireToken } from "./job-wire.ts";
import type { LiveToken } from "./live-hub.ts";

interface EventOptions {
  /** Number of the last event that is known already. */
  readonly after: number;
  readonly hasTokens: boolean;
}

const pageSize = 200;
/** Other gateways add events without telling us. */
const pollMs = 500;
/** A reader this slow misses tokens; they are all in the turn's end. */
const maxWaitingTokens = 10_000;

/** Frames of server-sent events until the job has ended and all is told, or `signal` aborts. The last frame is `[DONE]` if it has. */
export async function* jobEventFrames(
  jobs: JobService,
  jobId: string,
  { after, hasTokens }: EventOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const database = await jobs.database();
  const tokens: LiveToken[] = [];
  let woken = Promise.withResolvers<void>();
  const stop = jobs.hub.listen(jobId, (token) => {
    if (token !== null && hasTokens && tokens.length < maxWaitingTokens) tokens.push(token);
    woken.resolve();
  });
  const onAbort = () => woken.resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  /** The last turn told of a dialogue; tokens of it that come later say nothing new. */
  const told = new Map<number, number>();
  let last = after;
  try {
    while (!signal.aborted) {
      woken = Promise.withResolvers<void>();
      // Looked at before the events: what ends the job comes last.
      const job = await findJob(database, jobId);
      if (job === null) return;
      const events = await eventsAfter(database, jobId, last, pageSize);
      // Of what is said at other gateways, tokens and turns come on two ways.
      if (hasTokens && events.some(({ turn }) => turn !== null)) await jobs.hub.caughtUp();
      let news = tokens.splice(0).filter((token) => token.ordinal > (told.get(token.dialogueIndex) ?? -1));
      for (const event of events) {
        last = event.id;
        const { dialogueIndex, turn } = event;
        if (dialogueIndex !== null && turn !== null) {
          const isOf = (token: LiveToken) => token.dialogueIndex === dialogueIndex && token.ordinal <= turn.ordinal;
          for (const token of news.filter(isOf)) yield frame(null, "token", toWireToken(jobId, token));
          news = news.filter((token) => !isOf(token));
          told.set(dialogueIndex, turn.ordinal);
        }
        yield frame(event.id, event.type, toWireJobEvent(jobId, event));
      }
      for (const token of news) yield frame(null, "token", toWireToken(jobId, token));
      const isSettled = job.completed + job.failed + job.cancelled >= job.count;
      if (isEnded(job.status) && isSettled && events.length === 0 && job.lastEvent <= last) {
        yield "data: [DONE]\n\n";
        return;
      }
      if (events.length === 0 && tokens.length === 0 && !signal.aborted) {
        const timer = setTimeout(woken.resolve, pollMs);
        await woken.promise;
        clearTimeout(timer);
      }
    }
  } finally {
    stop();
    signal.removeEventListener("abort", onAbort);
  }
}

function frame(id: number | null, event: string, data: unknown): string {
  return `${id === null ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
