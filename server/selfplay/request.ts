// Owns the way from a checked self-play request to what the loop plays: models by id, seed rounds, who is told what, and defaults.
// Sampling defaults are each model's own recommendation; what the request says goes before it.
import type { ChatMessage, ChatModel, ModelInfo, ModelRole } from "../../runtime/chat-model.ts";
import type { ModelCatalog } from "../model-catalog.ts";
import { ApiError, modelNotFound } from "../openai/error.ts";
import type { DialogueRequest, SeedRound } from "./dialogue-types.ts";
import type { SamplingBody, SelfplayBody } from "./schema.ts";
import { randomRootSeed } from "./seeds.ts";
import type { SideSetup } from "./side.ts";

/** The embedded pair. */
const defaultModelIds: Readonly<Record<ModelRole, string>> = { user: "usergpt", assistant: "realm" };

/** A question that runs this long is taken as it is; an answer may run until its window is full. */
export const defaultMaxTokens: Readonly<Record<ModelRole, number | null>> = { user: 512, assistant: null };

/** The fields of a request that bear on two models at play. */
export type DialogueBody = Pick<
  SelfplayBody,
  "user" | "assistant" | "messages" | "system" | "seed" | "max_turns" | "sampling"
>;

/**
 * What the loop needs, with every default filled in; `userRole` is the role of models that may play the user. Throws ApiError
 * that names the field at fault.
 */
export function toDialogueRequest(
  body: DialogueBody,
  catalog: ModelCatalog,
  id: string,
  userRole: ModelRole = "user",
): DialogueRequest {
  const { system: seedSystem, rounds } = readSeed(body.messages ?? []);
  if (seedSystem !== null && typeof body.system?.assistant === "string") {
    throw invalid(
      "system.assistant",
      "'messages' begins with a system message, which is the assistant's; give only one.",
    );
  }
  const maxTurns = body.max_turns ?? null;
  if (maxTurns !== null && maxTurns <= rounds.length) {
    const count = rounds.length === 1 ? "1 round" : `${rounds.length} rounds`;
    throw invalid(
      "max_turns",
      `'messages' holds ${count} already, and they count; expected at least ${rounds.length + 1}.`,
    );
  }
  const side = (role: ModelRole, system: string | null): SideSetup => {
    const wanted = role === "user" ? userRole : role;
    const modelId = body[role] ?? body[wanted] ?? defaultModelIds[wanted];
    const model = findModel(catalog, role, modelId, wanted);
    return { model, system, ...readSampling(model.info, body.sampling?.[role] ?? {}, role) };
  };
  return {
    id,
    seed: body.seed ?? randomRootSeed(),
    dialogueIndex: 0,
    user: side("user", body.system?.user ?? null),
    assistant: side("assistant", body.system?.assistant ?? seedSystem),
    seedRounds: rounds,
    maxTurns,
  };
}

function findModel(catalog: ModelCatalog, field: ModelRole, id: string, role: ModelRole = field): ChatModel {
  const model = catalog.get(id);
  if (model === undefined) {
    throw new ApiError(404, modelNotFound(id).message, { param: field, code: "model_not_found" });
  }
  if (model.info.role !== role) {
    const turns = { user: "the user's turns", assistant: "the assistant's turns" };
    const wanted =
      field === role ? `${turns[role]} are to be written` : "an assistant's model is to play the user: see `simulator`";
    throw invalid(field, `the model \`${id}\` writes ${turns[model.info.role]}, and here ${wanted}.`);
  }
  return model;
}

/** Splits messages into a leading system message and whole rounds. */
function readSeed(messages: readonly ChatMessage[]): { system: string | null; rounds: readonly SeedRound[] } {
  const system = messages[0]?.role === "system" ? messages[0].content : null;
  const first = system === null ? 0 : 1;
  for (const [index, message] of messages.entries()) {
    if (index < first) continue;
    const expected = (index - first) % 2 === 0 ? "user" : "assistant";
    if (message.role !== expected) {
      const rule =
        message.role === "system"
          ? "a system message may only be the first"
          : `a seed is made of rounds, a user's message and then an assistant's; expected '${expected}'`;
      throw invalid(`messages[${index}].role`, `${rule}, but got '${message.role}'.`);
    }
    if (message.content.trim() === "")
      throw invalid(`messages[${index}].content`, "a turn of a seed may not be empty.");
  }
  const turns = messages.slice(first);
  if (turns.length % 2 === 1) {
    throw invalid("messages", "a seed is made of whole rounds, so the last message must be the assistant's.");
  }
  const rounds: SeedRound[] = [];
  for (let index = 0; index < turns.length; index += 2) {
    rounds.push({ user: turns[index]?.content ?? "", assistant: turns[index + 1]?.content ?? "" });
  }
  return { system, rounds };
}

function readSampling(
  info: ModelInfo,
  body: SamplingBody,
  role: ModelRole = info.role,
): Pick<SideSetup, "sampling" | "maxTokens" | "stop"> {
  const { recommendedSampling: own } = info;
  const stop = typeof body.stop === "string" ? [body.stop] : (body.stop ?? []);
  return {
    sampling: {
      temperature: body.temperature ?? own.temperature,
      topP: body.top_p ?? own.topP,
      // Some clients write "off" as -1.
      topK: Math.max(0, body.top_k ?? own.topK),
      minP: body.min_p ?? own.minP,
      presencePenalty: body.presence_penalty ?? 0,
      frequencyPenalty: body.frequency_penalty ?? 0,
      repetitionPenalty: body.repetition_penalty ?? 1,
      logitBias: new Map(),
    },
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? defaultMaxTokens[role],
    // As in chat completions, an empty stop string asks for nothing.
    stop: stop.filter((text) => text !== ""),
  };
}

/** 400 for a field whose value cannot be. */
export function invalid(param: string, reason: string): ApiError {
  return new ApiError(400, `Invalid '${param}': ${reason}`, { param, code: "invalid_value" });
}
