// Shared by the tests of simulators: how a simulated dialogue is asked for, and how it is played to its end.
import type { ChatModel } from "../../../../runtime/chat-model.ts";
import type { Dialogue, DialogueEvent } from "../../../../server/selfplay/dialogue-types.ts";
import { findSimulator } from "../../../../server/selfplay/simulators/catalog.ts";
import type {
  SeedItem,
  SimulatedDialogueRequest,
  SimulatorName,
  StopRules,
} from "../../../../server/selfplay/simulators/simulator.ts";
import { dialogueRequest } from "../play.ts";

export const noStopRules: StopRules = { hasEndToken: true, judge: null, maxDialogueTokens: null, turnRange: null };

export function seedItem(prompt: string, answer: string | null = null): SeedItem {
  return { id: "1", row: 1, category: null, prompt, answer };
}

export function simulatedRequest(
  user: ChatModel,
  assistant: ChatModel,
  changes: Partial<SimulatedDialogueRequest> = {},
): SimulatedDialogueRequest {
  return {
    ...dialogueRequest(user, assistant),
    mode: "free",
    seedItem: null,
    guardrails: null,
    bestOf: null,
    stopRules: noStopRules,
    past: [],
    ...changes,
  };
}

export interface Simulated {
  readonly events: readonly DialogueEvent[];
  readonly dialogue: Dialogue;
}

/** Plays a dialogue that must come to an ordinary end. */
export async function simulate(name: SimulatorName, request: SimulatedDialogueRequest): Promise<Simulated> {
  const events: DialogueEvent[] = [];
  for await (const event of findSimulator(name).play(request, new AbortController().signal)) events.push(event);
  const last = events.at(-1);
  if (last?.type !== "end") throw new Error("The dialogue ended without an end event.");
  return { events, dialogue: last.dialogue };
}
