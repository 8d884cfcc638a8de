// Owns `/v1/fine_tuning/jobs`: bodies and queries in, jobs, events and checkpoints out.
// It knows neither rows nor processes; the tuning service does.
import { type Context, Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { listOf } from "../openai/page.ts";
import { validate } from "../openai/validation.ts";
import { metadataFilter, pageQuery, tuningSchema } from "../tuning/tuning-schema.ts";
import { toWireEvent, toWireJob } from "../tuning/wire.ts";

const path = "/v1/fine_tuning/jobs";

const idOf = (c: Context<AppEnv>) => c.req.param("id") ?? "";

export function fineTuningRoutes({ config, services: { tuning } }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post(path, async (c) => {
    const body = validate(tuningSchema, await readJsonBody(c, config.maxBodyBytes));
    return c.json(toWireJob(await tuning.create(body)));
  });

  app.get(path, async (c) => {
    const query = c.req.query();
    const { limit, after = null } = validate(pageQuery, query);
    const found = await tuning.list({ limit: limit + 1, after, metadata: metadataFilter(query) });
    return c.json(listOf(found.slice(0, limit).map(toWireJob), found.length > limit));
  });

  app.get(`${path}/:id`, async (c) => c.json(toWireJob(await tuning.retrieve(idOf(c)))));
  app.post(`${path}/:id/cancel`, async (c) => c.json(toWireJob(await tuning.cancel(idOf(c)))));
  app.post(`${path}/:id/pause`, async (c) => c.json(toWireJob(await tuning.pause(idOf(c)))));
  app.post(`${path}/:id/resume`, async (c) => c.json(toWireJob(await tuning.resume(idOf(c)))));

  app.get(`${path}/:id/events`, async (c) => {
    const { limit, after } = validate(pageQuery, c.req.query());
    const id = idOf(c);
    const found = await tuning.events(id, limit + 1, after);
    const data = found.slice(0, limit).map((event) => toWireEvent(id, event));
    return c.json(listOf(data, found.length > limit));
  });

  app.get(`${path}/:id/checkpoints`, async (c) => {
    const { after } = validate(pageQuery, c.req.query());
    const found = await tuning.checkpoints(idOf(c));
    const place = found.findIndex(({ id }) => id === after);
    return c.json(listOf(found.slice(place + 1), false));
  });

  app.all(path, allowOnly("GET", "POST"));
  app.all(`${path}/:id`, allowOnly("GET"));
  for (const action of ["cancel", "pause", "resume"]) app.all(`${path}/:id/${action}`, allowOnly("POST"));
  for (const view of ["events", "checkpoints"]) app.all(`${path}/:id/${view}`, allowOnly("GET"));
  return app;
}
