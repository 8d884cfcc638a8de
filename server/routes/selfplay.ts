// Owns `POST /v1/selfplay/dialogues`: from a body to two models at play, and from what they say to one answer or a stream.
// It knows neither the rules of a dialogue nor tokens nor devices.
import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { sseResponse } from "../openai/sse.ts";
import { validate } from "../openai/validation.ts";
import { reportError } from "../report-error.ts";
import { openRequestScope } from "../request-scope.ts";
import { toAnswer, toFrames } from "../selfplay/answer.ts";
import { meterDialogue } from "../selfplay/meter.ts";
import { selfplaySchema } from "../selfplay/schema.ts";
import { findSimulator } from "../selfplay/simulators/catalog.ts";
import { toPromptedSimulation } from "../selfplay/simulators/simulation-request.ts";

const path = "/v1/selfplay/dialogues";

export function selfplayRoutes({ catalog, config, lifecycle, log, metrics }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post(path, async (c) => {
    const body = validate(selfplaySchema, await readJsonBody(c, config.maxBodyBytes));
    const id = `dlg_${randomUUID().replaceAll("-", "")}`;
    const { simulator, request } = toPromptedSimulation(body, catalog, id);
    const options = {
      format: body.format ?? "openai",
      createdAtS: Math.floor(Date.now() / 1000),
      hasTokenIds: body.return_token_ids ?? false,
      simulation: { simulator, mode: request.mode },
    };
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    const played = findSimulator(simulator).play(request, scope.signal);
    const events = meterDialogue(played, request, metrics, c.var.logFields, scope.close);
    if (body.stream !== true) return c.json(await toAnswer(events, options, scope.signal));
    return sseResponse(c, toFrames(id, events, options, scope.signal), {
      keepAliveMs: config.sseKeepAliveS * 1000,
      cancel: scope.cancel,
      describeError: (error) => reportError(error, c, log).body,
    });
  });

  app.all(path, allowOnly("POST"));
  return app;
}
