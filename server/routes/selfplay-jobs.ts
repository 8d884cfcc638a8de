// Owns `/v1/selfplay/jobs`: bodies and queries in, jobs, dialogues and events out.
// It knows neither tables nor how dialogues are played; the job service does.
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { ApiError } from "../openai/error.ts";
import { integerBound, validate } from "../openai/validation.ts";
import { jobSchema } from "../selfplay/jobs/job-schema.ts";
import { toWireJob, toWireJobDialogue } from "../selfplay/jobs/job-wire.ts";
import { findDialogue, listDialogues } from "../selfplay/store/dialogue-store.ts";
import { listJobs, tallyDialogues } from "../selfplay/store/job-store.ts";
import type { StoredJob } from "../selfplay/store/records.ts";

const path = "/v1/selfplay/jobs";

const pageLimit = z.coerce.number().int().min(1, integerBound).max(100, integerBound);
const listQuery = z.object({ limit: pageLimit.default(20), after: z.string().optional() });

export function selfplayJobRoutes({ config, jobs }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const wire = async (job: StoredJob) => toWireJob(job, await tallyDialogues(await jobs.database(), job.id));
  const find = (c: Context<AppEnv>) => jobs.retrieve(c.req.param("id") ?? "");

  app.post(path, async (c) => {
    const body = validate(jobSchema, await readJsonBody(c, config.maxBodyBytes));
    return c.json(await wire(await jobs.create(body)));
  });

  app.get(path, async (c) => {
    const { limit, after } = validate(listQuery, c.req.query());
    const database = await jobs.database();
    if (after !== undefined) await jobs.retrieve(after);
    const found = await listJobs(database, { limit: limit + 1, after: after ?? null });
    const data = await Promise.all(found.slice(0, limit).map(wire));
    return c.json(listOf(data, found.length > limit));
  });

  app.get(`${path}/:id`, async (c) => c.json(await wire(await find(c))));

  app.delete(`${path}/:id`, async (c) => {
    const id = c.req.param("id");
    await jobs.delete(id);
    return c.json({ id, object: "selfplay.job", deleted: true });
  });

  app.post(`${path}/:id/cancel`, async (c) => c.json(await wire(await jobs.cancel(c.req.param("id")))));
  app.post(`${path}/:id/pause`, async (c) => c.json(await wire(await jobs.pause(c.req.param("id")))));
  app.post(`${path}/:id/resume`, async (c) => c.json(await wire(await jobs.resume(c.req.param("id")))));

  app.get(`${path}/:id/dialogues`, async (c) => {
    const job = await find(c);
    const { limit, after } = validate(listQuery, c.req.query());
    const page = {
      after: after === undefined ? -1 : Number(after),
      limit: limit + 1,
      statuses: [],
      stopReasons: [],
      withoutFlags: [],
    };
    const found = await listDialogues(await jobs.database(), job.id, page);
    const data = found.slice(0, limit).map((stored) => toWireJobDialogue(job, stored, "openai"));
    return c.json(listOf(data, found.length > limit));
  });

  app.get(`${path}/:id/dialogues/:index`, async (c) => {
    const job = await find(c);
    return c.json(toWireJobDialogue(job, await findOne(c, job), "openai"));
  });

  async function findOne(c: Context<AppEnv>, job: StoredJob) {
    const text = c.req.param("index") ?? "";
    const index = /^\d{1,9}$/.test(text) ? Number(text) : -1;
    const stored = await findDialogue(await jobs.database(), job.id, index);
    if (stored !== null) return stored;
    const message = `The job '${job.id}' has dialogues 0 to ${job.count - 1}.`;
    throw new ApiError(404, message, { param: "index", code: "dialogue_not_found" });
  }

  app.all(path, allowOnly("GET", "POST"));
  app.all(`${path}/:id`, allowOnly("GET", "DELETE"));
  for (const action of ["cancel", "pause", "resume"]) app.all(`${path}/:id/${action}`, allowOnly("POST"));
  app.all(`${path}/:id/dialogues`, allowOnly("GET"));
  app.all(`${path}/:id/dialogues/:index`, allowOnly("GET"));
  return app;
}

/** As OpenAI's lists are. */
function listOf(data: readonly Readonly<Record<string, unknown>>[], hasMore: boolean) {
  return {
    object: "list",
    data,
    first_id: data[0]?.["id"] ?? null,
    last_id: data.at(-1)?.["id"] ?? null,
    has_more: hasMore,
  };
}
