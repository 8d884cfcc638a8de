// Owns `/v1/models`: what is served, in OpenAI's shape with our fields besides, and its changes while the server runs.
// A request names a model by its id alone; where its folder lies is the loader's affair.
import { Hono } from "hono";
import { EngineError } from "../../runtime/errors.ts";
import { isFineTuned } from "../../runtime/model-id.ts";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { ApiError, excerpt, modelNotFound } from "../openai/error.ts";
import { modelObject, provenanceObject } from "../openai/model.ts";

export function modelRoutes({ catalog, log, services }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const { loader } = catalog;

  app.get("/v1/models", (c) => c.json({ object: "list", data: catalog.list().map(({ info }) => modelObject(info)) }));

  // Before those with any id: an id may contain slashes, as on the hubs models come from. One that can be loaded has none.
  app.post("/v1/models/:id/load", async (c) => {
    const id = c.req.param("id");
    if (loader === undefined || (await loader.folderOf(id)) === null) throw modelNotFound(id);
    try {
      const info = await loader.load(id, c.req.raw.signal);
      return c.json({ ...modelObject(info), ...provenanceObject(info) });
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== "bad_model") throw error;
      // The sentence names folders, which are nobody's business but the operator's.
      log.warn("a model cannot be loaded", { id, reason: error.message });
      const message = `The model \`${excerpt(id)}\` cannot be loaded: its folder is broken. The server's log says how.`;
      throw new ApiError(400, message, { code: "model_unusable" }, { cause: error });
    }
  });

  app.get("/v1/models/:id{.+}", (c) => {
    const id = c.req.param("id");
    const model = catalog.get(id);
    if (model === undefined) throw modelNotFound(id);
    return c.json({ ...modelObject(model.info), ...provenanceObject(model.info) });
  });

  app.delete("/v1/models/:id{.+}", async (c) => {
    const id = c.req.param("id");
    const model = catalog.get(id);
    if (model === undefined) throw modelNotFound(id);
    if (!isFineTuned(id) || model.info.device === "remote") {
      const message = `The model \`${excerpt(id)}\` cannot be deleted: only models fine-tuned here can.`;
      throw new ApiError(403, message, { param: "model", code: "model_not_deletable" });
    }
    const job = await services.jobs.findPlaying(id);
    if (job !== null) {
      const message = `The model \`${excerpt(id)}\` plays in the self-play job '${job}': cancel or pause it before the model is deleted.`;
      throw new ApiError(409, message, { param: "model", code: "model_in_use" });
    }
    const tuning = await services.tuning.findTuningOf(id);
    if (tuning !== null) {
      const message = `The model \`${excerpt(id)}\` is needed by the fine-tuning job '${tuning}': cancel it before the model is deleted.`;
      throw new ApiError(409, message, { param: "model", code: "model_in_use" });
    }
    const loop = await services.loops.findLoopOf(id);
    if (loop !== null) {
      const message = `The model \`${excerpt(id)}\` is needed by the loop '${loop}': cancel it before the model is deleted.`;
      throw new ApiError(409, message, { param: "model", code: "model_in_use" });
    }
    if (loader === undefined || !(await loader.remove(id))) throw modelNotFound(id);
    return c.json({ id, object: "model", deleted: true });
  });

  app.all("/v1/models/:id/load", allowOnly("POST"));
  app.all("/v1/models", allowOnly("GET", "HEAD"));
  app.all("/v1/models/:id{.+}", allowOnly("GET", "HEAD", "DELETE"));
  return app;
}
