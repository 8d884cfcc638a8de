// Owns the stream of a loop's events: what is stored from any number on, then what comes. It knows no sockets.
import { setTimeout as sleep } from "node:timers/promises";
import { eventsAfter } from "../work/event-rows.ts";
import { findLoop } from "./loop-rows.ts";
import type { LoopService } from "./loop-service.ts";
import { toWireLoopEvent } from "./loop-wire.ts";
import { hasEnded, loopTables } from "./records.ts";

const pageSize = 200;
/** The worker, here or at another gateway, adds events without telling us. */
const pollMs = 500;

/** Frames of server-sent events until the loop has ended and all is told, or `signal` aborts. The last frame is `[DONE]` if it has. */
export async function* loopEventFrames(
  loops: LoopService,
  loopId: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const database = await loops.database();
  let last = after;
  while (!signal.aborted) {
    // Looked at before the events: what ends the loop comes last.
    const loop = await findLoop(database, loopId);
    if (loop === null) return;
    const events = await eventsAfter(database, loopTables, loopId, { limit: pageSize, after: last, type: null });
    for (const event of events) {
      last = event.id;
      yield `id: ${event.id}\nevent: loop.event\ndata: ${JSON.stringify(toWireLoopEvent(loopId, event))}\n\n`;
    }
    if (events.length > 0) continue;
    if (hasEnded(loop.status) && loop.lastEvent <= last) {
      yield "data: [DONE]\n\n";
      return;
    }
    await sleep(pollMs, null, { signal }).catch(() => {});
  }
}
