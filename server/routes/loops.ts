// Owns `/v1/loops`: bodies and queries in, loops, events, rounds and reports out.
// It knows neither rows nor processes; the loop service does.
import { type Context, Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { loopEventFrames } from "../loops/loop-event-frames.ts";
import { eventsQuery, loopSchema, pageQuery, reportQuery } from "../loops/loop-schema.ts";
import { toWireLoop, toWireRound } from "../loops/loop-wire.ts";
import type { ReportKind } from "../loops/records.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { listOf } from "../openai/page.ts";
import { sseResponse } from "../openai/sse.ts";
import { validate } from "../openai/validation.ts";
import { reportError } from "../report-error.ts";
import { openRequestScope } from "../request-scope.ts";

const path = "/v1/loops";

const idOf = (c: Context<AppEnv>) => c.req.param("id") ?? "";

const contentTypes: Readonly<Record<ReportKind, string>> = {
  json: "application/json; charset=utf-8",
  markdown: "text/markdown; charset=utf-8",
  html: "text/html; charset=utf-8",
};

/** A page of plots and tables, with words that models wrote: nothing in it runs, loads or is sent anywhere. */
const reportPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

export function loopRoutes({ config, lifecycle, log, services: { loops } }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post(path, async (c) => {
    const body = validate(loopSchema, await readJsonBody(c, config.maxBodyBytes));
    return c.json(toWireLoop(await loops.create(body)));
  });

  app.get(path, async (c) => {
    const { limit, after = null } = validate(pageQuery, c.req.query());
    const found = await loops.list({ limit: limit + 1, after });
    return c.json(listOf(found.slice(0, limit).map(toWireLoop), found.length > limit));
  });

  app.get(`${path}/:id`, async (c) => c.json(toWireLoop(await loops.retrieve(idOf(c)))));

  app.delete(`${path}/:id`, async (c) => {
    const id = idOf(c);
    await loops.delete(id);
    return c.json({ id, object: "loop", deleted: true });
  });

  app.post(`${path}/:id/cancel`, async (c) => c.json(toWireLoop(await loops.cancel(idOf(c)))));
  app.post(`${path}/:id/pause`, async (c) => c.json(toWireLoop(await loops.pause(idOf(c)))));
  app.post(`${path}/:id/resume`, async (c) => c.json(toWireLoop(await loops.resume(idOf(c)))));

  app.get(`${path}/:id/events`, async (c) => {
    const { id } = await loops.retrieve(idOf(c));
    const { after } = validate(eventsQuery, c.req.query());
    const last = c.req.header("last-event-id");
    const from = last !== undefined && /^\d{1,15}$/.test(last) ? Number(last) : after;
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    // A server that drains lets go of its listeners: they go on elsewhere from the last event they saw.
    const signal = AbortSignal.any([scope.signal, loops.drainSignal]);
    return sseResponse(c, loopEventFrames(loops, id, from, signal), {
      keepAliveMs: config.sseKeepAliveS * 1000,
      cancel: scope.cancel,
      describeError: (error) => reportError(error, c, log).body,
    });
  });

  app.get(`${path}/:id/rounds`, async (c) => {
    const id = idOf(c);
    const found = await loops.rounds(id);
    return c.json(
      listOf(
        found.map((round) => toWireRound(id, round)),
        false,
      ),
    );
  });

  app.get(`${path}/:id/rounds/:round`, async (c) => {
    const { as } = validate(reportQuery, c.req.query());
    const report = await loops.report(idOf(c), c.req.param("round"), as);
    return c.body(report, 200, {
      "content-type": contentTypes[as],
      ...(as === "html" ? { "content-security-policy": reportPolicy } : {}),
    });
  });

  app.all(path, allowOnly("GET", "POST"));
  app.all(`${path}/:id`, allowOnly("GET", "DELETE"));
  for (const action of ["cancel", "pause", "resume"]) app.all(`${path}/:id/${action}`, allowOnly("POST"));
  for (const view of ["events", "rounds", "rounds/:round"]) app.all(`${path}/:id/${view}`, allowOnly("GET"));
  return app;
}
