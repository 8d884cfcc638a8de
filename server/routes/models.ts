// Owns `GET /v1/models` and `GET /v1/models/{id}`: what is served, in OpenAI's shape with our fields besides.
import { Hono } from "hono";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { modelNotFound } from "../openai/error.ts";
import { modelObject } from "../openai/response.ts";

export function modelRoutes({ catalog }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/v1/models", (c) => c.json({ object: "list", data: catalog.list().map(({ info }) => modelObject(info)) }));

  // An id may contain slashes, as on the hubs models come from.
  app.get("/v1/models/:id{.+}", (c) => {
    const id = c.req.param("id");
    const model = catalog.get(id);
    if (model === undefined) throw modelNotFound(id);
    return c.json(modelObject(model.info));
  });

  for (const path of ["/v1/models", "/v1/models/:id{.+}"]) app.all(path, allowOnly("GET", "HEAD"));
  return app;
}
