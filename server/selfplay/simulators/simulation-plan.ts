// Owns how guard-rails, stop rules and the choice of answers are written down as JSON and read back: a job keeps them so that a
// dialogue resumed elsewhere, or later, is played by the very same rules. Judges are kept by id.
// It does not know stores or jobs.
import type { ModelCatalog } from "../../model-catalog.ts";
import { ApiError, modelNotFound } from "../../openai/error.ts";
import type { Guardrails, JudgeSetup, SimulatedDialogueRequest, StopRules } from "./simulator.ts";

interface JudgePlan extends Omit<JudgeSetup, "model"> {
  readonly model: string;
  /** Another model under the same id would be another judge. */
  readonly modelHash: string;
}

/** Plain JSON. */
export interface SimulationPlan {
  readonly guardrails: Guardrails | null;
  readonly bestOf: { readonly count: number; readonly judge: JudgePlan } | null;
  readonly stopRules: Omit<StopRules, "judge"> & { readonly judge: (JudgePlan & { readonly fromTurn: number }) | null };
}

type Rules = Pick<SimulatedDialogueRequest, "guardrails" | "bestOf" | "stopRules">;

/** The rules of a request, to be kept. */
export function toSimulationPlan({ guardrails, bestOf, stopRules }: Rules): SimulationPlan {
  const { judge } = stopRules;
  return {
    guardrails,
    bestOf: bestOf === null ? null : { count: bestOf.count, judge: toJudgePlan(bestOf.judge) },
    stopRules: {
      ...stopRules,
      judge: judge === null ? null : { ...toJudgePlan(judge), fromTurn: judge.fromTurn },
    },
  };
}

/** The rules that were kept, with this gateway's models as judges. Throws ApiError 404 for a judge that is not served. */
export function fromSimulationPlan({ guardrails, bestOf, stopRules }: SimulationPlan, catalog: ModelCatalog): Rules {
  const { judge } = stopRules;
  return {
    guardrails,
    bestOf: bestOf === null ? null : { count: bestOf.count, judge: toJudge(bestOf.judge, catalog) },
    stopRules: {
      ...stopRules,
      judge: judge === null ? null : { ...toJudge(judge, catalog), fromTurn: judge.fromTurn },
    },
  };
}

/** Every judge that the rules ask, for whoever checks whether a gateway can play by them. */
export function judgesOf({ bestOf, stopRules }: SimulationPlan): readonly JudgePlan[] {
  return [bestOf?.judge ?? null, stopRules.judge].filter((judge) => judge !== null);
}

function toJudgePlan({ model, retries }: JudgeSetup): JudgePlan {
  return { model: model.info.id, modelHash: model.info.modelHash, retries };
}

function toJudge({ model: id, retries }: JudgePlan, catalog: ModelCatalog): JudgeSetup {
  const model = catalog.get(id);
  if (model === undefined) throw new ApiError(404, modelNotFound(id).message, { code: "model_not_found" });
  return { model, retries };
}
