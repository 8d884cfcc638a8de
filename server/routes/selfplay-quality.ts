// Owns `/v1/selfplay/jobs/:id/quality`: a job's figures as far as it has come, and having a sample of it judged or scored.
// It does not know how figures are measured nor how models are asked.
import { Hono } from "hono";
import { z } from "zod";
import type { ChatModel } from "../../runtime/chat-model.ts";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { ApiError, modelNotFound } from "../openai/error.ts";
import { integerBound, validate } from "../openai/validation.ts";
import { openRequestScope } from "../request-scope.ts";
import { invalid } from "../selfplay/request.ts";
import { DEFAULT_SCORED } from "../selfplay/quality/quality-book.ts";
import { isScorer, type Scorer } from "../selfplay/quality/score-sample.ts";
import { toWireQuality } from "../selfplay/quality/quality-wire.ts";

const path = "/v1/selfplay/jobs/:id/quality";

const whole = (min: number, max: number) => z.number().int().min(min, integerBound).max(max, integerBound);

const mostSampled = 10_000;

const measureSchema = z
  .object({
    /** A served model, local or not. */
    judge: z.string().optional(),
    rubric: z.enum(["paper-3", "repository-4"]).default("paper-3"),
    /** Dialogues that are to have marks. */
    sample: whole(1, mostSampled).default(20),
    seed: whole(0, Number.MAX_SAFE_INTEGER).default(0),
    /** A served model of the user's side that scores the user turns of the first dialogues. */
    perplexity: z.object({ model: z.string(), sample: whole(1, mostSampled).default(DEFAULT_SCORED) }).optional(),
  })
  .superRefine(({ judge, perplexity }, context) => {
    if (judge !== undefined || perplexity !== undefined) return;
    context.addIssue({ code: "custom", path: ["judge"], message: "name a judge, or a model in 'perplexity'." });
  });

/** How often a reply that cannot be read is asked for again. */
const JUDGE_RETRIES = 3;

export function selfplayQualityRoutes({ catalog, config, lifecycle, services: { jobs } }: AppDeps): Hono<AppEnv> {
  const { quality } = jobs;
  const app = new Hono<AppEnv>();
  const find = (param: string, id: string): ChatModel => {
    const model = catalog.get(id);
    if (model !== undefined) return model;
    throw new ApiError(404, modelNotFound(id).message, { param, code: "model_not_found" });
  };
  const findScorer = (id: string): Scorer => {
    const model = find("perplexity.model", id);
    if (isScorer(model)) return model;
    throw invalid("perplexity.model", `the model \`${id}\` does not score users' turns; a local user model does.`);
  };

  app.get(path, async (c) => {
    const job = await jobs.retrieve(c.req.param("id"));
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    try {
      return c.json(toWireQuality(job.id, await quality.figures(await jobs.database(), job, scope.signal)));
    } finally {
      scope.close();
    }
  });
  app.post(path, async (c) => {
    const job = await jobs.retrieve(c.req.param("id"));
    const body = validate(measureSchema, await readJsonBody(c, config.maxBodyBytes));
    const { judge, perplexity, ...request } = body;
    const setup = judge === undefined ? null : { model: find("judge", judge), retries: JUDGE_RETRIES };
    const scorer = perplexity === undefined ? null : findScorer(perplexity.model);
    const database = await jobs.database();
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    try {
      if (setup !== null) await quality.judge(database, job, { ...request, setup }, scope.signal);
      if (scorer !== null && perplexity !== undefined) {
        await quality.score(database, job, { model: scorer, sample: perplexity.sample }, scope.signal);
      }
      return c.json(toWireQuality(job.id, await quality.measure(database, job)));
    } finally {
      scope.close();
    }
  });
  app.all(path, allowOnly("GET", "POST"));
  return app;
}
