import { expect, it } from "vitest";
import { createHarness, readError } from "../../support/app-harness.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const shown = {
  object: "model",
  created: 1_700_000_000,
  owned_by: "tests",
  role: "assistant",
  context_window: 512,
  response_role: "assistant",
  device: "cpu",
  precision: "float32",
  model_hash: "0123456789abcdef",
  template_hash: "fedcba9876543210",
};

it("the list holds every model in the catalog's order", async () => {
  const models = [scriptedModel({ info: { id: "b" } }), scriptedModel({ info: { id: "a" } })];
  const response = await createHarness({ models }).send("GET", "/v1/models");
  expect(await response.json()).toEqual({
    object: "list",
    data: [
      { id: "b", ...shown },
      { id: "a", ...shown },
    ],
  });
});

it.each(["plain", "org/name", "org/name:latest", "with space", "ünïcode", "a%b", "models"])(
  "the model named %j is found by its id",
  async (id) => {
    const { send } = createHarness({ models: [scriptedModel({ info: { id } })] });
    const response = await send("GET", `/v1/models/${id.split("/").map(encodeURIComponent).join("/")}`);
    expect(await response.json()).toEqual({ id, ...shown });
  },
);

it("a slash of an id may be escaped or not", async () => {
  const { send } = createHarness({ models: [scriptedModel({ info: { id: "org/name" } })] });
  for (const path of ["/v1/models/org/name", "/v1/models/org%2Fname"]) {
    expect(await (await send("GET", path)).json()).toEqual({ id: "org/name", ...shown });
  }
});

it("an unknown model is a 404 in OpenAI's words", async () => {
  const { status, error } = await readError(await createHarness().send("GET", "/v1/models/org/other"));
  expect(status).toBe(404);
  expect(error).toMatchObject({ code: "model_not_found", message: expect.stringContaining("`org/other`") });
});
