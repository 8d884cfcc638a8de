// Owns the way from a checked request to what is stored and played: models with their hashes, sampling with every default filled in.
// A dialogue is always built from the plan, never from the request, so that a resumed one is told just what the first was.
import type { ChatModel, ModelRole } from "../../../runtime/chat-model.ts";
import type { ModelCatalog } from "../../model-catalog.ts";
import { ApiError } from "../../openai/error.ts";
import type { Turn } from "../dialogue-types.ts";
import type { LoadedSeeds } from "../seed-sets/load-seeds.ts";
import { randomRootSeed } from "../seeds.ts";
import type { SideSetup } from "../side.ts";
import { findSimulator } from "../simulators/catalog.ts";
import { prepared } from "../simulators/learned.ts";
import {
  checkSeedRounds,
  type SimulatedBody,
  type Simulation,
  toSimulation,
} from "../simulators/simulation-request.ts";
import type { SeedItem, SimulationMode, SimulatorName } from "../simulators/simulator.ts";
import type { Json, NewJob, StoredJob } from "../store/records.ts";
import type { RunnableDialogue } from "./dialogue-run.ts";
import type { JobBody } from "./job-schema.ts";

/** Which model it is, beyond its name: another one of that name may not go on with a dialogue. */
interface ModelPlan {
  readonly id: string;
  readonly model_hash: string;
  readonly template_hash: string;
}

export interface JobPlan {
  readonly simulator: SimulatorName;
  readonly mode: SimulationMode;
  /** Judges, where there are any, stand under `judge` and `stop_judge`. */
  readonly models: Readonly<Record<ModelRole, ModelPlan> & Partial<Record<"judge" | "stop_judge", ModelPlan>>>;
  /** The request of every single dialogue, its seed item left out. */
  readonly dialogue: SimulatedBody;
  /** What became of the rows of the seed set. */
  readonly seeds: Omit<LoadedSeeds, "items"> | null;
}

/** A job as it is stored; `seeds` start its dialogues, over and over where they are fewer. Throws ApiError that names the field. */
export function planJob(
  { seeds: seedsBody, ...body }: JobBody,
  catalog: ModelCatalog,
  id: string,
  seeds: LoadedSeeds | null,
): NewJob {
  const { concurrency, budget, metadata, count: _, ...dialogue } = body;
  const count = body.count ?? seeds?.items.length;
  if (count === undefined || count === null) {
    const message = "Missing required parameter: 'count'.";
    throw new ApiError(400, message, { param: "count", code: "missing_required_parameter" });
  }
  const first = simulate(dialogue, catalog, dialogueId(id, 0), seeds?.items[0] ?? null);
  checkSeedRounds(first.request, seeds?.items ?? []);
  const { user, assistant, bestOf, stopRules } = first.request;
  const plan: JobPlan = {
    simulator: first.simulator,
    mode: first.request.mode,
    models: {
      user: planModel(user.model),
      assistant: planModel(assistant.model),
      ...(bestOf === null ? {} : { judge: planModel(bestOf.judge.model) }),
      ...(stopRules.judge === null ? {} : { stop_judge: planModel(stopRules.judge.model) }),
    },
    dialogue: {
      ...dialogue,
      simulator: first.simulator,
      mode: first.request.mode,
      user: user.model.info.id,
      assistant: assistant.model.info.id,
      sampling: { user: planSampling(user), assistant: planSampling(assistant) },
    },
    seeds: seeds === null ? null : withoutItems(seeds),
  };
  return {
    id,
    seed: body.seed ?? randomRootSeed(),
    count,
    concurrency: concurrency ?? null,
    budgetTokens: budget?.tokens ?? null,
    budgetMoney: budget?.money ?? null,
    request:
      seedsBody === undefined || seedsBody === null ? body : { ...body, seeds: { ...seedsBody, text: undefined } },
    plan: plan as unknown as Json,
    metadata: metadata ?? null,
    seedItems:
      seeds === null
        ? []
        : Array.from({ length: count }, (_item, index) => seeds.items[index % seeds.items.length] as unknown as Json),
  };
}

/** The plan of a stored job. */
export const planOf = ({ plan }: Pick<StoredJob, "plan">) => plan as unknown as JobPlan;

/** Why this gateway cannot play a job, in a sentence; null when it can. */
export function obstacleOf(job: StoredJob, catalog: ModelCatalog): string | null {
  const { models } = planOf(job);
  for (const { id, model_hash: modelHash, template_hash: templateHash } of Object.values(models)) {
    const info = catalog.get(id)?.info;
    if (info === undefined) return `The model '${id}' is not served here.`;
    if (info.modelHash !== modelHash || info.templateHash !== templateHash) {
      return `The model '${id}' served here is another one than the job began with: its weights or template differ.`;
    }
  }
  return null;
}

/** Dialogue `index` of a job, ready to be played by the models of this gateway. */
export function toRunnable(
  job: StoredJob,
  index: number,
  seedItem: SeedItem | null,
  catalog: ModelCatalog,
  id = dialogueId(job.id, index),
): RunnableDialogue {
  const { dialogue } = planOf(job);
  const { simulator, request } = simulate(dialogue, catalog, id, seedItem);
  const own = { ...request, seed: job.seed, dialogueIndex: index };
  const { mode } = request;
  return {
    // As the loop is given it, for the record of a dialogue that is ended from outside.
    request: simulator === "learned" ? prepared(own) : own,
    given: givenTurns(mode, seedItem),
    play: (said, signal) => findSimulator(simulator).play({ ...own, ...said }, signal),
    provenance: { simulator, mode },
  };
}

/** Names a dialogue to clients and to the models' sessions. */
export const dialogueId = (jobId: string, index: number) => `${jobId.replace(/^job_/, "dlg_")}_${index}`;

function simulate(body: SimulatedBody, catalog: ModelCatalog, id: string, item: SeedItem | null): Simulation {
  return toSimulation(body, catalog, id, { item, field: "seeds" });
}

/** The turns that a seeded dialogue begins with: a whole round, or a question that the assistant answers anew. */
function givenTurns(mode: SimulationMode, seedItem: SeedItem | null): Turn[] {
  if (mode !== "seeded" || seedItem === null) return [];
  const { prompt, answer } = seedItem;
  const question: Turn = { role: "user", turn: 1, content: prompt, origin: null };
  return answer === null ? [question] : [question, { role: "assistant", turn: 1, content: answer, origin: null }];
}

function withoutItems({ rows, broken, brokenCount, dropped, available }: LoadedSeeds): JobPlan["seeds"] {
  return { rows, broken, brokenCount, dropped, available };
}

function planModel({ info }: ChatModel): ModelPlan {
  return { id: info.id, model_hash: info.modelHash, template_hash: info.templateHash };
}

/** As a request would say it: models may recommend something else tomorrow. */
function planSampling({ sampling, maxTokens, stop }: SideSetup) {
  return {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    repetition_penalty: sampling.repetitionPenalty,
    ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    stop: [...stop],
  };
}
