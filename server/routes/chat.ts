// Owns `POST /v1/chat/completions`: from a body to a model's choices, and from their events to one answer or a stream.
// It knows no tokens and no devices: only ChatModel.
import { Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { readJsonBody } from "../openai/body.ts";
import { planChatCompletion } from "../openai/chat-request.ts";
import { runChoices } from "../openai/choices.ts";
import { toChunkFrames, toCompletion } from "../openai/completion.ts";
import { modelNotFound } from "../openai/error.ts";
import { newAnswerHead } from "../openai/response.ts";
import { chatCompletionSchema } from "../openai/schema.ts";
import { sseResponse } from "../openai/sse.ts";
import { validate } from "../openai/validation.ts";
import { reportError } from "../report-error.ts";
import { openRequestMeter } from "../request-meter.ts";
import { openRequestScope } from "../request-scope.ts";

const path = "/v1/chat/completions";

export function chatRoutes({ catalog, config, lifecycle, log, metrics }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post(path, async (c) => {
    const body = validate(chatCompletionSchema, await readJsonBody(c, config.maxBodyBytes));
    const model = catalog.get(body.model);
    if (model === undefined) throw modelNotFound(body.model);

    const meter = openRequestMeter(metrics, model.info, "chat_completions", c.var.logFields);
    const { requests, responseRole } = meter.check(() => planChatCompletion(body, model.info, config.maxChoices));
    const scope = openRequestScope(c.req.raw.signal, lifecycle);
    const events = meter.watch(runChoices(model, requests, scope.signal), scope.close);
    const head = newAnswerHead(model.info);
    if (!body.isStreamed) return c.json(await toCompletion(events, head, responseRole));
    return sseResponse(c, toChunkFrames(events, head, responseRole, body.includeUsage), {
      keepAliveMs: config.sseKeepAliveS * 1000,
      cancel: scope.cancel,
      describeError: (error) => reportError(error, c, log).body,
    });
  });

  app.all(path, allowOnly("POST"));
  return app;
}
