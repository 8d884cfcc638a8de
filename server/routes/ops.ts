// Owns what operators ask: is it alive, can it answer, what does it do. Open to everybody who reaches the port.
import { Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";

/** `/health`, `/ready` and `/metrics`. */
export function opsRoutes({ catalog, lifecycle, metrics }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  // Liveness: that this is answered at all. A restart cures nothing that readiness shows.
  app.get("/health", (c) => c.json({ status: "ok" }));

  app.get("/ready", (c) => {
    const { ready, models } = catalog.ready();
    const isReady = ready && !lifecycle.isDraining;
    const status = lifecycle.isDraining ? "draining" : ready ? "ready" : "not_ready";
    return c.json({ status, models }, isReady ? 200 : 503);
  });

  app.get("/metrics", async (c) => c.body(await metrics.render(), 200, { "content-type": metrics.contentType }));

  for (const path of ["/health", "/ready", "/metrics"]) app.all(path, allowOnly("GET", "HEAD"));
  return app;
}
