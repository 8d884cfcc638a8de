// Owns the way from checked fields to a simulated dialogue: defaults, judges by id, and which combinations make no sense.
// Every refusal names the field that would have to change. It does not know how a simulator plays.
import type { ChatModel } from "../../../runtime/chat-model.ts";
import type { ModelCatalog } from "../../model-catalog.ts";
import { ApiError, modelNotFound } from "../../openai/error.ts";
import { defaultGuardrails } from "../guardrails.ts";
import { defaultMaxTokens, type DialogueBody, invalid, toDialogueRequest } from "../request.ts";
import { simulatorModes } from "./catalog.ts";
import type { SimulationBody } from "./simulation-schema.ts";
import type {
  BestOf,
  Guardrails,
  SeedItem,
  SimulatedDialogueRequest,
  SimulationMode,
  SimulatorName,
  StopRules,
} from "./simulator.ts";

/** A request for one dialogue, wherever it stands: alone or in a job. */
export type SimulatedBody = DialogueBody & SimulationBody;

/** What a dialogue starts from, and the field of the request that brought it. */
export interface SeedSource {
  readonly item: SeedItem | null;
  readonly field: "prompt" | "seeds";
}

/** A dialogue and who simulates its user. */
export interface Simulation {
  readonly simulator: SimulatorName;
  readonly request: SimulatedDialogueRequest;
}

const defaultRetries = 2;

/** What a simulator is given, with every default filled in. Throws ApiError that names the field at fault. */
export function toSimulation(body: SimulatedBody, catalog: ModelCatalog, id: string, source: SeedSource): Simulation {
  const simulator = body.simulator ?? "learned";
  const mode = readMode(simulator, body, source);
  checkStart(simulator, mode, body, source);
  // Only the learned simulator is a model of the user's side; the others have an assistant's model play it.
  const userRole = simulator === "learned" ? "user" : "assistant";
  const plain = toDialogueRequest(body, catalog, id, userRole);
  const maxTokens = mode === "transcript" ? maxTokensOf(body) : plain.user.maxTokens;
  const stopRules = readStopRules(body, catalog);
  const request = {
    ...plain,
    user: { ...plain.user, maxTokens },
    mode,
    seedItem: source.item,
    guardrails: readGuardrails(body.guardrails),
    bestOf: readBestOf(body, catalog, mode),
    stopRules,
    past: [],
  };
  checkRounds(request);
  checkWindows(request, body);
  if (simulator === "prequery" && request.user.model.info.device === "remote") {
    throw invalid(
      "simulator",
      "`prequery` opens a user's turn in the model's own template, and a remote model's is not at hand.",
    );
  }
  return { simulator, request };
}

/** The same for a request that stands alone, with what it starts from in `prompt`. */
export function toPromptedSimulation(
  body: SimulatedBody & { readonly prompt?: string | null | undefined },
  catalog: ModelCatalog,
  id: string,
): Simulation {
  const { prompt = null } = body;
  const item = prompt === null ? null : { id: "prompt", row: 1, category: null, prompt, answer: null };
  return toSimulation(body, catalog, id, { item, field: "prompt" });
}

function readMode(simulator: SimulatorName, body: SimulatedBody, { item }: SeedSource): SimulationMode {
  const modes = simulatorModes[simulator];
  const isSeeded =
    simulator === "learned" && (item !== null || (body.messages ?? []).some(({ role }) => role !== "system"));
  const mode = body.mode ?? (isSeeded ? "seeded" : modes[0]);
  if (modes.includes(mode)) return mode;
  const known = modes.map((name) => `\`${name}\``).join(", ");
  throw invalid("mode", `the simulator \`${simulator}\` knows ${known}, not \`${mode}\`.`);
}

/** Whether there is what the mode starts from, and nothing that it would not look at. */
function checkStart(
  simulator: SimulatorName,
  mode: SimulationMode,
  body: SimulatedBody,
  { item, field }: SeedSource,
): void {
  const hasRounds = (body.messages ?? []).some(({ role }) => role !== "system");
  const isDeaf = (simulator === "learned" && mode === "free") || simulator === "prequery";
  if (isDeaf && item !== null) throw invalid(field, `${simulator} in mode \`${mode}\` starts from nothing.`);
  if (mode === "free" && simulator === "learned" && hasRounds) {
    throw invalid("mode", "a free dialogue starts from nothing, and 'messages' holds rounds already.");
  }
  if (mode === "seeded" && item === null && !hasRounds) {
    throw invalid(
      "mode",
      `a seeded dialogue starts from rounds in 'messages' or a question in '${field}'; there is neither.`,
    );
  }
  if (mode === "seeded" && item !== null && hasRounds) {
    throw invalid(field, "'messages' holds the rounds to start from already; give only one.");
  }
  if ((mode === "intent" || mode === "profile") && item === null && typeof body.system?.user !== "string") {
    throw invalid(
      "mode",
      `the user's model is to be told its ${mode}, in 'system.user' or '${field}'; there is neither.`,
    );
  }
  if (simulator === "roleplay" && item !== null && hasRounds) {
    throw invalid(field, "a topic is for the opener, and 'messages' holds one already; give only one.");
  }
  if (simulator === "selfchat" && item === null) throw invalid(field, "self-chat needs a topic.");
  if (mode === "transcript" && hasRounds) {
    throw invalid("messages", "a transcript is written in one go and cannot begin with given rounds.");
  }
}

function readGuardrails(body: SimulatedBody["guardrails"]): Guardrails | null {
  if (body === undefined || body === null || body === false) return null;
  if (body === true) return defaultGuardrails;
  return {
    bannedFirstWords: body.first_words ?? defaultGuardrails.bannedFirstWords,
    minWords: body.min_words ?? defaultGuardrails.minWords,
    maxWords: body.max_words ?? defaultGuardrails.maxWords,
    hasRepeatCheck: body.repeat ?? defaultGuardrails.hasRepeatCheck,
    hasLeakCheck: body.leak ?? defaultGuardrails.hasLeakCheck,
    hasEmptyCheck: body.empty ?? defaultGuardrails.hasEmptyCheck,
    hasPolitenessCheck: body.polite ?? defaultGuardrails.hasPolitenessCheck,
    redraws: body.redraws ?? defaultGuardrails.redraws,
  };
}

function readStopRules({ stop }: SimulatedBody, catalog: ModelCatalog): StopRules {
  const judge = stop?.judge ?? null;
  return {
    hasEndToken: stop?.end_token ?? true,
    maxDialogueTokens: stop?.tokens ?? null,
    turnRange: stop?.turns ?? null,
    judge:
      judge === null
        ? null
        : {
            model: findJudge(catalog, "stop.judge.model", judge.model),
            retries: judge.retries ?? defaultRetries,
            fromTurn: judge.from_turn ?? 1,
          },
  };
}

function readBestOf({ best_of: bestOf }: SimulatedBody, catalog: ModelCatalog, mode: SimulationMode): BestOf | null {
  if (bestOf === undefined || bestOf === null) return null;
  if (mode === "transcript")
    throw invalid("best_of", "a transcript is written in one go; there are no answers to pick from.");
  const model = findJudge(catalog, "best_of.judge", bestOf.judge);
  return { count: bestOf.n, judge: { model, retries: bestOf.retries ?? defaultRetries } };
}

function findJudge(catalog: ModelCatalog, param: string, id: string): ChatModel {
  const model = catalog.get(id);
  if (model === undefined) throw new ApiError(404, modelNotFound(id).message, { param, code: "model_not_found" });
  if (model.info.role === "assistant") return model;
  throw invalid(param, `the model \`${id}\` writes the user's turns; only an assistant answers a judge's questions.`);
}

/** Rules that no dialogue could reach. */
function checkRounds(request: SimulatedDialogueRequest): void {
  const { maxTurns, stopRules } = request;
  const most = mostRounds(request);
  const least = stopRules.turnRange?.min ?? 1;
  if (maxTurns !== null && least > maxTurns) {
    throw invalid("stop.turns.min", `'max_turns' allows ${maxTurns} rounds, fewer than the ${least} asked for here.`);
  }
  if (stopRules.judge !== null && stopRules.judge.fromTurn > most) {
    throw invalid("stop.judge.from_turn", `a dialogue has ${most} rounds at most, so a judge would never be asked.`);
  }
}

/** Whether a dialogue may have more rounds than its seed brings, for a set of seeds as a whole. Throws ApiError that names the field. */
export function checkSeedRounds(request: SimulatedDialogueRequest, items: readonly SeedItem[]): void {
  if (request.mode !== "seeded" || items.every(({ answer }) => answer === null)) return;
  const reason = "a seed with its answer is 1 round already, and it counts; expected at least 2.";
  if (mostRounds(request) < 2) throw invalid(request.maxTurns === 1 ? "max_turns" : "stop.turns.max", reason);
  if (request.stopRules.turnRange?.min === 1) throw invalid("stop.turns.min", reason);
}

function mostRounds({ maxTurns, stopRules: { turnRange } }: SimulatedDialogueRequest): number {
  return Math.min(maxTurns ?? Number.POSITIVE_INFINITY, turnRange?.max ?? Number.POSITIVE_INFINITY);
}

/** A turn as long as asked for must fit into what the other side can take in. */
function checkWindows({ user, assistant }: SimulatedDialogueRequest, body: SimulatedBody): void {
  for (const [role, own, other] of [
    ["user", user, assistant],
    ["assistant", assistant, user],
  ] as const) {
    const asked = body.sampling?.[role]?.max_completion_tokens ?? body.sampling?.[role]?.max_tokens ?? null;
    const { id, contextWindow } = other.model.info;
    // The default is a bound and no wish: a job writes it down as if it had been asked for.
    if (asked === null || asked === defaultMaxTokens[role] || asked < contextWindow) continue;
    throw invalid(
      `sampling.${role}.max_tokens`,
      `a turn of ${asked} tokens by \`${own.model.info.id}\` would not fit into the window of \`${id}\`, which is ${contextWindow} tokens.`,
    );
  }
}

/** A transcript is as long as its window unless the request says otherwise; the usual bound is meant for one turn. */
function maxTokensOf({ sampling }: SimulatedBody): number | null {
  return sampling?.user?.max_completion_tokens ?? sampling?.user?.max_tokens ?? null;
}
