// Owns `/v1/selfplay/jobs`: bodies and queries in, jobs, dialogues, data sets and events out.
// It knows neither tables nor how dialogues are played; the job service does.
import { type Context, Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { ApiError } from "../openai/error.ts";
import { listOf } from "../openai/page.ts";
import { sseResponse } from "../openai/sse.ts";
import { validate } from "../openai/validation.ts";
import { reportError } from "../report-error.ts";
import { openRequestScope } from "../request-scope.ts";
import { exportResponse } from "../selfplay/jobs/export-response.ts";
import { jobEventFrames } from "../selfplay/jobs/job-events.ts";
import { dialoguesQuery, eventsQuery, jobsQuery, readAfterIndex } from "../selfplay/jobs/job-queries.ts";
import { jobSchema } from "../selfplay/jobs/job-schema.ts";
import { toWireJob, toWireJobDialogue } from "../selfplay/jobs/job-wire.ts";
import { replayDialogue } from "../selfplay/jobs/replay.ts";
import { findDialogue, listDialogues } from "../selfplay/store/dialogue-store.ts";
import { listJobs, tallyDialogues } from "../selfplay/store/job-store.ts";
import type { StoredJob } from "../selfplay/store/records.ts";
import { toWireDialogue } from "../selfplay/wire.ts";

const path = "/v1/selfplay/jobs";

export function selfplayJobRoutes({ catalog, config, lifecycle, log, services: { jobs } }: AppDeps): Hono<AppEnv> {
  const { quality } = jobs;
  const app = new Hono<AppEnv>();
  const wire = async (job: StoredJob) => toWireJob(job, await tallyDialogues(await jobs.database(), job.id));
  const find = (c: Context<AppEnv>) => jobs.retrieve(c.req.param("id") ?? "");

  app.post(path, async (c) => {
    const body = validate(jobSchema, await readJsonBody(c, config.maxBodyBytes));
    return c.json(await wire(await jobs.create(body)));
  });

  app.get(path, async (c) => {
    const { limit, after } = validate(jobsQuery, c.req.query());
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

  app.get(`${path}/:id/events`, async (c) => {
    const job = await find(c);
    const { after, tokens } = validate(eventsQuery, c.req.query());
    const last = c.req.header("last-event-id");
    const from = last !== undefined && /^\d{1,15}$/.test(last) ? Number(last) : after;
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    // A server that drains lets go of its listeners: they go on elsewhere from the last event they saw.
    const signal = AbortSignal.any([scope.signal, jobs.drainSignal]);
    return sseResponse(c, jobEventFrames(jobs, job.id, { after: from, hasTokens: tokens }, signal), {
      keepAliveMs: config.sseKeepAliveS * 1000,
      cancel: scope.cancel,
      describeError: (error) => reportError(error, c, log).body,
    });
  });

  app.get(`${path}/:id/dialogues`, async (c) => {
    const job = await find(c);
    const { limit, after, format, as, filter, unique } = validate(dialoguesQuery, c.req.query());
    const database = await jobs.database();
    // Which of them repeat others is known once they are measured.
    if (unique === "true") await quality.measure(database, job);
    const accepts = c.req.header("accept") ?? "";
    const kind = as ?? (accepts.includes("application/jsonl") ? "jsonl" : null);
    if (kind !== null && kind !== "json") {
      const isPacked = (c.req.header("accept-encoding") ?? "").includes("gzip");
      return exportResponse(database, job, { filter, format, kind, isPacked });
    }
    const page = { ...filter, after: readAfterIndex(after), limit: limit + 1 };
    const found = await listDialogues(database, job.id, page);
    const data = found.slice(0, limit).map((stored) => toWireJobDialogue(job, stored, format));
    return c.json(listOf(data, found.length > limit));
  });

  app.get(`${path}/:id/dialogues/:index`, async (c) => {
    const job = await find(c);
    const { format } = validate(dialoguesQuery, c.req.query());
    return c.json(toWireJobDialogue(job, await findOne(c, job), format));
  });

  app.post(`${path}/:id/dialogues/:index/replay`, async (c) => {
    const job = await find(c);
    const stored = await findOne(c, job);
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    try {
      const { difference, dialogue } = await replayDialogue(job, stored, catalog, scope.signal);
      const createdAtS = Math.floor(Date.now() / 1000);
      return c.json({
        object: "selfplay.replay",
        job_id: job.id,
        index: stored.index,
        identical: difference === null,
        difference,
        dialogue: toWireDialogue(dialogue, { format: "openai", createdAtS, hasTokenIds: true }),
      });
    } finally {
      scope.close();
    }
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
  for (const view of ["events", "dialogues", "dialogues/:index"]) app.all(`${path}/:id/${view}`, allowOnly("GET"));
  app.all(`${path}/:id/dialogues/:index/replay`, allowOnly("POST"));
  return app;
}
