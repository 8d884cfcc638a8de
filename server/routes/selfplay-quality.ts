// Owns `/v1/selfplay/jobs/:id/quality`: a job's figures as far as it has come, and having a sample of it judged.
// It does not know how figures are measured nor how judges are asked.
import { Hono } from "hono";
import { z } from "zod";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { ApiError, modelNotFound } from "../openai/error.ts";
import { integerBound, validate } from "../openai/validation.ts";
import { openRequestScope } from "../request-scope.ts";
import type { QualityBook } from "../selfplay/quality/quality-book.ts";
import { toWireQuality } from "../selfplay/quality/quality-wire.ts";

const path = "/v1/selfplay/jobs/:id/quality";

const judgeSchema = z.object({
  /** A served model, local or not. */
  judge: z.string(),
  rubric: z.enum(["paper-3", "repository-4"]).default("paper-3"),
  /** Dialogues that are to have marks. */
  sample: z.number().int().min(1, integerBound).max(10_000, integerBound).default(20),
  seed: z.number().int().min(0, integerBound).max(Number.MAX_SAFE_INTEGER, integerBound).default(0),
});

/** How often a reply that cannot be read is asked for again. */
const JUDGE_RETRIES = 3;

export function selfplayQualityRoutes(
  { catalog, config, jobs, lifecycle }: Pick<AppDeps, "catalog" | "config" | "jobs" | "lifecycle">,
  quality: QualityBook,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get(path, async (c) => {
    const job = await jobs.retrieve(c.req.param("id"));
    return c.json(toWireQuality(job.id, await quality.measure(await jobs.database(), job)));
  });
  app.post(path, async (c) => {
    const job = await jobs.retrieve(c.req.param("id"));
    const { judge, ...request } = validate(judgeSchema, await readJsonBody(c, config.maxBodyBytes));
    const model = catalog.get(judge);
    if (model === undefined) {
      throw new ApiError(404, modelNotFound(judge).message, { param: "judge", code: "model_not_found" });
    }
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    try {
      const setup = { model, retries: JUDGE_RETRIES };
      const snapshot = await quality.judge(await jobs.database(), job, { ...request, setup }, scope.signal);
      return c.json(toWireQuality(job.id, snapshot));
    } finally {
      scope.close();
    }
  });
  app.all(path, allowOnly("GET", "POST"));
  return app;
}
