// Owns how one self-play request is counted: the dialogue and its turns, one outcome per model, gaps between pieces of text,
// a line for its log entry. It only watches what the dialogue tells; tokens are counted by the engine.
import type { ModelInfo } from "../../runtime/chat-model.ts";
import type { Metrics, RequestOutcome } from "../metrics.ts";
import { isAbort, rejectionReason } from "../request-meter.ts";
import type { Dialogue, DialogueEvent, DialogueRequest, StopReason } from "./dialogue-types.ts";

type LogFields = Record<string, string | number | boolean | null>;

const outcomes: Readonly<Record<StopReason, RequestOutcome>> = {
  window: "length",
  max_turns: "stop",
  end_token: "stop",
  empty_turn: "stop",
  guardrails_exhausted: "stop",
  seed_too_long: "length",
  judge: "stop",
  budget: "length",
  cancelled: "abort",
  error: "error",
};

/** Hands a dialogue's events on as they come and counts what they come to. `onEnd` is called once, however it ends. */
export async function* meterDialogue(
  events: AsyncIterable<DialogueEvent>,
  { user, assistant }: DialogueRequest,
  metrics: Metrics,
  logFields: LogFields,
  onEnd: () => void,
): AsyncGenerator<DialogueEvent> {
  const models = { user: user.model.info, assistant: assistant.model.info };
  let textAtMs: number | null = null;
  let hasBegun = false;
  let stopReason: StopReason = "cancelled"; // unless something else is told: the client hung up between two events
  logFields["user"] = models.user.id;
  logFields["assistant"] = models.assistant.id;
  try {
    for await (const event of events) {
      if (!hasBegun) metrics.dialogueStarted();
      hasBegun = true;
      if (event.type === "token") {
        const nowMs = performance.now();
        if (textAtMs !== null) metrics.textGap(models[event.role], nowMs - textAtMs);
        textAtMs = nowMs;
      } else if (event.type === "turn_end") {
        textAtMs = null;
      } else if (event.type === "end") {
        stopReason = event.dialogue.stopReason;
        countTurns(metrics, event.dialogue, logFields);
      }
      yield event;
    }
  } catch (error) {
    if (!hasBegun) countRefusal(metrics, Object.values(models), error);
    throw error;
  } finally {
    if (hasBegun) {
      logFields["outcome"] = stopReason;
      metrics.dialogueEnded(stopReason);
      for (const model of Object.values(models)) metrics.requestEnded(model, "selfplay", outcomes[stopReason]);
    }
    onEnd();
  }
}

/** The first prompt was not taken: the request, the queue or the device is at fault, and there was no dialogue. */
function countRefusal(metrics: Metrics, models: readonly ModelInfo[], error: unknown): void {
  const reason = rejectionReason(error);
  for (const model of models) {
    if (reason !== null) metrics.requestRejected(model, "selfplay", reason);
    metrics.requestEnded(model, "selfplay", reason !== null ? "rejected" : isAbort(error) ? "abort" : "error");
  }
}

function countTurns(metrics: Metrics, { turns, discarded, usage }: Dialogue, logFields: LogFields): void {
  for (const { role, origin } of turns) if (origin !== null) metrics.turnKept(role);
  for (const { role } of discarded) metrics.turnDiscarded(role);
  logFields["turns"] = turns.at(-1)?.turn ?? 0;
  logFields["promptTokens"] = usage.user.promptTokens + usage.assistant.promptTokens;
  logFields["completionTokens"] = usage.user.completionTokens + usage.assistant.completionTokens;
}
