// Owns the app: which middleware runs in which order, which routes there are, the one place where errors become answers.
// It never listens: server/main.ts does, and tests call it directly.
import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { AppDeps, AppEnv } from "./app-env.ts";
import { admission } from "./middleware/admission.ts";
import { auth } from "./middleware/auth.ts";
import { requestId } from "./middleware/request-id.ts";
import { requestLog } from "./middleware/request-log.ts";
import { unknownUrl } from "./openai/error.ts";
import { reportError } from "./report-error.ts";
import { chatRoutes } from "./routes/chat.ts";
import { fileRoutes } from "./routes/files.ts";
import { fineTuningRoutes } from "./routes/fine-tuning.ts";
import { loopRoutes } from "./routes/loops.ts";
import { modelRoutes } from "./routes/models.ts";
import { opsRoutes } from "./routes/ops.ts";
import { selfplayJobRoutes } from "./routes/selfplay-jobs.ts";
import { selfplayQualityRoutes } from "./routes/selfplay-quality.ts";
import { selfplayRoutes } from "./routes/selfplay.ts";

/** Every endpoint of the server over the given models. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const { config, lifecycle, log, metrics } = deps;
  const app = new Hono<AppEnv>();

  app.use(requestId());
  app.use(requestLog(log, metrics));
  // Before auth: a browser asks without a key whether it may ask with one.
  if (config.corsOrigins.length > 0) {
    app.use(
      "/v1/*",
      cors({
        origin: config.corsOrigins.includes("*") ? "*" : [...config.corsOrigins],
        allowMethods: ["GET", "POST", "DELETE"],
        exposeHeaders: ["x-request-id", "retry-after", "retry-after-ms"],
        maxAge: 600,
      }),
    );
  }
  app.use("/v1/*", auth(config.apiKeys));
  app.use("/v1/*", admission(lifecycle));

  app.route("/", opsRoutes(deps));
  app.route("/", modelRoutes(deps));
  app.route("/", chatRoutes(deps));
  app.route("/", fileRoutes(deps));
  app.route("/", fineTuningRoutes(deps));
  app.route("/", loopRoutes(deps));
  app.route("/", selfplayRoutes(deps));
  app.route("/", selfplayJobRoutes(deps));
  app.route("/", selfplayQualityRoutes(deps));

  const answer = (error: unknown, c: Context<AppEnv>) => {
    const { status, body, headers } = reportError(error, c, log);
    return c.json({ error: body }, status as ContentfulStatusCode, { ...headers });
  };
  // Not thrown: an error from here would pass by every middleware.
  app.notFound((c) => answer(unknownUrl(c.req.method, c.req.path), c));
  app.onError(answer);
  return app;
}
