// Shared by the tests of self-play: how two models are put to play, and how what they tell is collected.
import type { ChatModel } from "../../../runtime/chat-model.ts";
import type { ModelCatalog } from "../../../server/model-catalog.ts";
import type { Dialogue, DialogueEvent, DialogueRequest } from "../../../server/selfplay/dialogue-types.ts";
import { playDialogue } from "../../../server/selfplay/dialogue.ts";
import type { SideSetup } from "../../../server/selfplay/side.ts";

export function sideSetup(model: ChatModel, changes: Partial<SideSetup> = {}): SideSetup {
  return {
    model,
    sampling: {
      temperature: 0.7,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map(),
    },
    maxTokens: null,
    stop: [],
    system: null,
    ...changes,
  };
}

export function dialogueRequest(
  user: ChatModel,
  assistant: ChatModel,
  changes: Partial<DialogueRequest> = {},
): DialogueRequest {
  return {
    id: "dlg_test",
    seed: 7,
    dialogueIndex: 0,
    user: sideSetup(user),
    assistant: sideSetup(assistant),
    seedRounds: [],
    maxTurns: null,
    ...changes,
  };
}

export interface Told {
  readonly events: readonly DialogueEvent[];
  /** null when it failed before anything was told. */
  readonly dialogue: Dialogue | null;
  readonly failure: unknown;
}

/** Plays to the end, whatever the end is. */
export async function play(request: DialogueRequest, signal = new AbortController().signal): Promise<Told> {
  const events: DialogueEvent[] = [];
  let failure: unknown = null;
  try {
    for await (const event of playDialogue(request, signal)) events.push(event);
  } catch (error) {
    failure = error;
  }
  const last = events.at(-1);
  return { events, dialogue: last?.type === "end" ? last.dialogue : null, failure };
}

/** Plays a dialogue that must come to an ordinary end. */
export async function playWell(request: DialogueRequest): Promise<Dialogue> {
  const { dialogue, failure } = await play(request);
  if (failure !== null) throw failure;
  if (dialogue === null) throw new Error("The dialogue ended without an end event.");
  return dialogue;
}

/** `U: …` and `A: …` lines of what was kept. */
export function transcript(dialogue: Dialogue | null): string[] {
  return (dialogue?.turns ?? []).map((turn) => `${turn.role === "user" ? "U" : "A"}: ${turn.content}`);
}

/** A catalog of these models. */
export function catalogOf(...models: readonly ChatModel[]): ModelCatalog {
  return {
    list: () => models,
    get: (id) => models.find((model) => model.info.id === id),
    ready: () => ({ ready: true, models: [] }),
    close: async () => {},
  };
}
