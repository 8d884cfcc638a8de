// Owns `/v1/files`: uploads, pages, contents. It knows neither rows nor folders; the file service does.
import { Hono } from "hono";
import { z } from "zod";
import type { AppDeps, AppEnv } from "../app-env.ts";
import { toWireFile } from "../files/file-wire.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { listOf } from "../openai/page.ts";
import { integerBound, validate } from "../openai/validation.ts";

const path = "/v1/files";

/** OpenAI's own most and default. */
const maxPage = 10_000;

const filesQuery = z.object({
  limit: z.coerce.number().int().min(1, integerBound).max(maxPage, integerBound).default(maxPage),
  after: z.string().optional(),
  order: z.enum(["asc", "desc"]).default("desc"),
  purpose: z.string().optional(),
});

export function fileRoutes({ services: { files } }: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post(path, async (c) => c.json(toWireFile(await files.upload(c))));

  app.get(path, async (c) => {
    const { limit, after = null, order, purpose = null } = validate(filesQuery, c.req.query());
    const found = await files.list({ limit: limit + 1, after, order, purpose });
    return c.json(listOf(found.slice(0, limit).map(toWireFile), found.length > limit));
  });

  app.get(`${path}/:id`, async (c) => c.json(toWireFile(await files.retrieve(c.req.param("id")))));

  app.get(`${path}/:id/content`, async (c) => {
    const { id, bytes, filename } = await files.retrieve(c.req.param("id"));
    return c.body(await files.content(id), 200, {
      "content-type": "application/octet-stream",
      "content-length": String(bytes),
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(filename)}`,
      // Whatever was uploaded here is no page.
      "x-content-type-options": "nosniff",
    });
  });

  app.delete(`${path}/:id`, async (c) => {
    const id = c.req.param("id");
    await files.delete(id);
    return c.json({ id, object: "file", deleted: true });
  });

  app.all(path, allowOnly("GET", "POST"));
  app.all(`${path}/:id`, allowOnly("GET", "DELETE"));
  app.all(`${path}/:id/content`, allowOnly("GET"));
  return app;
}
