// Owns how the events of a dialogue become an answer: gathered into one object, or told as a stream of frames.
// It knows the JSON of wire.ts and the frames of sse.ts, and nothing of sockets.
import { sseData, sseDone } from "../openai/sse.ts";
import type { Dialogue, DialogueEvent } from "./dialogue-types.ts";
import { toWireDialogue, toWireEvent, type WireOptions } from "./wire.ts";

/** The whole dialogue, once it has ended. Throws the signal's reason for one that was cancelled: nobody asked for half of it. */
export async function toAnswer(events: AsyncIterable<DialogueEvent>, options: WireOptions, signal: AbortSignal) {
  let dialogue: Dialogue | null = null;
  for await (const event of events) if (event.type === "end") dialogue = event.dialogue;
  if (dialogue === null || dialogue.stopReason === "cancelled") signal.throwIfAborted();
  if (dialogue === null) throw new Error("A dialogue was told without its end.");
  return toWireDialogue(dialogue, options);
}

/**
 * The dialogue as frames: every event as it comes, the whole dialogue last, then the end mark. One that breaks off still
 * gives what it has, and then throws, so that the stream ends in an error instead of the mark.
 */
export async function* toFrames(
  id: string,
  events: AsyncIterable<DialogueEvent>,
  options: WireOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for await (const event of events) {
    yield sseData(toWireEvent(id, event, options));
    if (event.type === "end" && event.dialogue.stopReason === "cancelled") signal.throwIfAborted();
  }
  yield sseDone;
}
