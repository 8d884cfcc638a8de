// Owns `GET /v1/selfplay/jobs/:id/quality`: a job's figures as far as it has come.
// It does not know how they are measured.
import { Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import type { QualityBook } from "../selfplay/quality/quality-book.ts";
import { toWireQuality } from "../selfplay/quality/quality-wire.ts";

const path = "/v1/selfplay/jobs/:id/quality";

export function selfplayQualityRoutes({ jobs }: Pick<AppDeps, "jobs">, quality: QualityBook): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get(path, async (c) => {
    const job = await jobs.retrieve(c.req.param("id"));
    return c.json(toWireQuality(job.id, await quality.measure(await jobs.database(), job)));
  });
  app.all(path, allowOnly("GET"));
  return app;
}
