// Owns what a request for a loop comes to: which models begin, which flags the loop is started with, what its self-play jobs are asked
// for. Everything that can be found wrong at once is found here. It looks at no file and writes nothing.
import { isModelId } from "../../runtime/model-id.ts";
import type { ModelInfo, ModelRole } from "../../runtime/chat-model.ts";
import { acceptedName } from "../../training/loop/run.ts";
import { HANDED_ON } from "../../training/loop/loop-flags.ts";
import { parseLoopArguments } from "../../training/loop/options.ts";
import { FlagError } from "../../training/prepare/flags.ts";
import { RECIPE_FLAGS, recipeFlagProblem } from "../../training/train/recipe-flags.ts";
import type { Config } from "../config.ts";
import type { ModelCatalog } from "../model-catalog.ts";
import { ApiError, excerpt } from "../openai/error.ts";
import { randomLetters } from "../openai/ids.ts";
import { planJob, planOf } from "../selfplay/jobs/job-plan.ts";
import { loadSeeds } from "../selfplay/seed-sets/load-seeds.ts";
import { fieldOf, type LoopBody, selfplayFields } from "./loop-schema.ts";
import type { NewLoop } from "./records.ts";

export interface PlanDeps {
  readonly catalog: ModelCatalog;
  readonly config: Pick<Config, "seedFolder" | "device">;
  /** Whether a served model has a folder here. */
  readonly isLocal: (modelId: string) => Promise<boolean>;
}

/** Throws ApiError that names the field. */
export async function planLoop(body: LoopBody, { catalog, config, isLocal }: PlanDeps): Promise<NewLoop> {
  const id = `loop_${randomLetters()}`;
  const name = body.name ?? randomLetters(8);
  const seed = body.seed ?? 1;
  const played = await planRound(body, seed, catalog, config);
  const models = {
    user: await localModel("user", played.user?.id, catalog, isLocal),
    assistant: await localModel("assistant", played.assistant?.id, catalog, isLocal),
  };
  assertNamesFree(body, name, models, catalog);
  assertJudge(body, catalog);
  const flags = flagsOf(body, name, seed, config.device);
  try {
    parseLoopArguments(flags);
  } catch (error) {
    if (error instanceof FlagError) throw new ApiError(400, `Invalid request: ${error.message}.`);
    throw error;
  }
  const { metadata = null, ...request } = body;
  const begins = {
    user: { id: models.user.id, hash: models.user.modelHash },
    assistant: { id: models.assistant.id, hash: models.assistant.modelHash },
  };
  return {
    id,
    name,
    rounds: body.rounds,
    heldoutFiles: body.heldout_files,
    plan: {
      request: { ...request, user: begins.user.id, assistant: begins.assistant.id, seed, name },
      arguments: flags,
      selfplay: body.selfplay ?? {},
      begins,
    },
    metadata: metadata ?? null,
  };
}

/** The models of a round's self-play job. As every round will ask: what it would refuse is refused now. */
async function planRound(
  { user, assistant, count, max_turns: maxTurns, selfplay }: LoopBody,
  seed: number,
  catalog: ModelCatalog,
  { seedFolder }: PlanDeps["config"],
) {
  const seeds = selfplay?.seeds ?? null;
  try {
    const loaded = seeds === null ? null : await loadSeeds(seeds, seedFolder, seed);
    const body = { ...selfplay, user, assistant, count, seed, max_turns: maxTurns };
    return planOf(planJob(body, catalog, "loop", loaded)).models;
  } catch (error) {
    if (!(error instanceof ApiError) || error.body.param === null) throw error;
    const [field = ""] = error.body.param.split(/[.[]/);
    if (!(field in selfplayFields)) throw error;
    const param = `selfplay.${error.body.param}`;
    throw new ApiError(error.status, error.message, { ...error.body, param }, { cause: error });
  }
}

async function localModel(
  role: ModelRole,
  id: string | undefined,
  catalog: ModelCatalog,
  isLocal: PlanDeps["isLocal"],
): Promise<ModelInfo> {
  const info = id === undefined ? undefined : catalog.get(id)?.info;
  if (info === undefined || !(await isLocal(info.id))) {
    const message = `The model '${excerpt(id ?? "")}' has no folder here and cannot be trained.`;
    throw new ApiError(400, message, { param: role, code: "model_not_available" });
  }
  if (info.role === role) return info;
  const message = `The model '${info.id}' writes the ${info.role}'s turns.`;
  throw new ApiError(400, message, { param: role, code: "invalid_value" });
}

function assertJudge({ judge = null }: LoopBody, catalog: ModelCatalog): void {
  if (judge === null || catalog.get(judge.model) !== undefined) return;
  const message = `The model '${excerpt(judge.model)}' does not exist.`;
  throw new ApiError(404, message, { param: "judge.model", code: "model_not_found" });
}

function assertNamesFree(
  { rounds, role = null }: LoopBody,
  name: string,
  models: Readonly<Record<ModelRole, ModelInfo>>,
  catalog: ModelCatalog,
): void {
  const roles: readonly ModelRole[] = role === null || role === "both" ? ["user", "assistant"] : [role];
  for (const each of roles) {
    for (let round = 1; round <= rounds; round += 1) {
      const id = acceptedName(models[each].id, name, round);
      const problem = isModelId(id) ? (catalog.get(id) === undefined ? null : "is served already") : "is no model id";
      if (problem === null) continue;
      throw new ApiError(400, `Invalid 'name': the model '${excerpt(id)}' ${problem}.`, {
        param: "name",
        code: "invalid_value",
      });
    }
  }
}

/** Flags of `npm run loop` without those that say where things are. */
function flagsOf(body: LoopBody, name: string, seed: number, device: Config["device"]): string[] {
  const { filter, gate, holdout } = body;
  const given: Readonly<Record<string, string | number | null | undefined>> = {
    rounds: body.rounds,
    count: body.count,
    role: body.role,
    "heldout-limit": body.heldout_limit,
    name,
    seed,
    "max-turns": body.max_turns,
    "stop-reasons": filter?.stop_reasons.join(","),
    "least-rounds": filter?.least_rounds,
    "least-characters": filter?.least_characters,
    "most-characters": filter?.most_characters,
    gate: gate?.rule,
    margin: gate?.margin,
    "least-pairs": gate?.least_pairs,
    judge: body.judge?.model,
    "judge-questions": body.judge?.questions,
    holdout,
    device: device === "webgpu" ? "cpu" : device,
  };
  const own = Object.entries(given).flatMap(([flag, value]) =>
    value === null || value === undefined ? [] : [`--${flag}=${value}`],
  );
  return [
    ...own,
    ...body.heldout_files.map((file) => `--heldout=${file}`),
    ...(filter?.without ?? []).map((rule) => `--without=${rule}`),
    ...(body.learn_end === true ? ["--learn-end"] : []),
    ...HANDED_ON.flatMap((flag) => trainingFlag(flag, body.training?.[fieldOf(flag)])),
  ];
}

function trainingFlag(flag: (typeof HANDED_ON)[number], value: string | number | boolean | null | undefined): string[] {
  if (value === undefined || value === null) return [];
  const isSwitch = RECIPE_FLAGS[flag]?.kind === "switch";
  const refuse = (problem: string) => {
    const param = `training.${fieldOf(flag)}`;
    return new ApiError(400, `Invalid '${param}': it ${problem}.`, { param, code: "invalid_value" });
  };
  if (isSwitch !== (typeof value === "boolean")) throw refuse(isSwitch ? "must be true or false" : "is no boolean");
  if (isSwitch) return value === true ? [`--${flag}`] : [];
  const problem = recipeFlagProblem(flag, String(value));
  if (problem !== null) throw refuse(problem);
  return [`--${flag}=${String(value)}`];
}
