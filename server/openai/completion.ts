// Owns how the events of choices become an answer: gathered into one completion, or told as a stream of chunks.
// It knows the shapes of response.ts and the frames of sse.ts, and nothing of sockets.
import type { ChatUsage, ModelRole } from "../../runtime/chat-model.ts";
import type { ChoiceEvent } from "./choices.ts";
import {
  type AnswerHead,
  type ChunkPart,
  type FinishedChoice,
  chunk,
  completionObject,
  usageChunk,
} from "./response.ts";
import { sseData, sseDone } from "./sse.ts";

type ChoiceEvents = AsyncIterable<readonly ChoiceEvent[]>;

/** The whole completion, once every choice has ended. */
export async function toCompletion(events: ChoiceEvents, head: AnswerHead, role: ModelRole) {
  const texts = new Map<number, string>();
  const choices: FinishedChoice[] = [];
  const usages: ChatUsage[] = [];
  for await (const batch of events) {
    for (const { index, event } of batch) {
      if (event.type === "text") texts.set(index, (texts.get(index) ?? "") + event.text);
      if (event.type !== "end") continue;
      choices.push({ index, text: texts.get(index) ?? "", cause: event.cause });
      usages.push(event.usage);
    }
  }
  choices.sort((a, b) => a.index - b.index);
  return completionObject(head, role, choices, usages);
}

/** The completion as frames: per choice its role, its text as it comes, its end; then usage if asked for, then the end mark. */
export async function* toChunkFrames(
  events: ChoiceEvents,
  head: AnswerHead,
  role: ModelRole,
  hasUsage: boolean,
): AsyncGenerator<string> {
  const usages: ChatUsage[] = [];
  for await (const batch of events) {
    let frames = "";
    for (const { index, event } of batch) {
      let part: ChunkPart;
      if (event.type === "text") part = event;
      else if (event.type === "prompt") part = { type: "role", role };
      else {
        usages.push(event.usage);
        part = { type: "finish", cause: event.cause };
      }
      frames += sseData(chunk(head, index, part, hasUsage));
    }
    yield frames;
  }
  yield (hasUsage ? sseData(usageChunk(head, usages)) : "") + sseDone;
}
