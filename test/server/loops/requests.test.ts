// What is refused before a loop begins, by the field that is at fault, and how loops are listed.
import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createLoop, type WireLoop } from "../../support/loop-client.ts";
import { refusal } from "../../support/refusal.ts";
import { uploadChats } from "../../support/tuning-client.ts";
import { setLoopPace, type TuningGateway, tuningGateway } from "../../support/tuning-gateway.ts";

let gateway: TuningGateway;
let client: OpenAI;
let file: string;
beforeAll(async () => {
  gateway = await tuningGateway({}, {}, ["usergpt", "realm"]);
  // Nothing is to come of them here.
  setLoopPace(gateway.config, { stepMs: 1e9 });
  ({ client } = gateway);
  file = await uploadChats(client);
});
afterAll(() => gateway.stop());
afterEach(() => expect(gateway.errors()).toEqual([]));

const create = (over: object) => createLoop(client, { rounds: 2, count: 10, heldout_files: [file], ...over });

describe("a loop is refused, by the field that is at fault:", () => {
  it.each([
    ["no rounds", { rounds: undefined }, "rounds", "missing_required_parameter"],
    ["no round", { rounds: 0 }, "rounds", "integer_below_min_value"],
    ["no dialogues", { count: undefined }, "count", "missing_required_parameter"],
    ["more dialogues than anybody reads", { count: 100_001 }, "count", "integer_above_max_value"],
    ["nothing to measure on", { heldout_files: undefined }, "heldout_files", "missing_required_parameter"],
    ["an empty list to measure on", { heldout_files: [] }, "heldout_files", "empty_array"],
    ["a file that is not there", { heldout_files: ["file-none"] }, "heldout_files[0]", "file_not_found"],
    ["a path for a file", { heldout_files: ["../secret"] }, "heldout_files[0]", "file_not_found"],
    ["a field that it does not know", { epochs: 2 }, "epochs", "unknown_parameter"],
    ["a model that is not served", { user: "gpt-4" }, "user", "model_not_found"],
    ["a model of the other role", { user: "realm" }, "user", "invalid_value"],
    ["a model without a folder", { user: "ft:usergpt:realchat:first:aaaaaaaa" }, "user", "model_not_available"],
    ["a role that nobody has", { role: "system" }, "role", "invalid_value"],
    ["a name that is a path", { name: "../x" }, "name", "invalid_value"],
    ["a share of everything", { holdout: 1 }, "holdout", "decimal_above_max_value"],
    ["a gate that there is not", { gate: { rule: "best" } }, "gate.rule", "invalid_value"],
    ["a filter rule that there is not", { filter: { without: ["taste"] } }, "filter.without[0]", "invalid_value"],
    ["a judge that is not served", { judge: { model: "gpt-4" } }, "judge.model", "model_not_found"],
    [
      "a judge without questions",
      { judge: { model: "realm", questions: 0 } },
      "judge.questions",
      "integer_below_min_value",
    ],
    ["a field that the trainer does not know", { training: { speed: 1 } }, "training.speed", "unknown_parameter"],
    ["a word for a number", { training: { lora_rank: "many" } }, "training.lora_rank", "invalid_value"],
    [
      "a number for a switch",
      { training: { gradient_checkpointing: 1 } },
      "training.gradient_checkpointing",
      "invalid_value",
    ],
    ["a switch for a number", { training: { epochs: true } }, "training.epochs", "invalid_value"],
    ["a field of the job that the loop decides", { selfplay: { count: 3 } }, "selfplay.count", "unknown_parameter"],
    ["a mode without what it starts from", { selfplay: { mode: "seeded" } }, "selfplay.mode", "invalid_value"],
    ["metadata that is no text", { metadata: { a: 1 } }, "metadata.a", "invalid_type"],
  ] as const)("%s", async (_name, over, param, code) => {
    expect(await refusal(create(over))).toMatchObject({ type: "invalid_request_error", param, code });
  });

  it("a file for another purpose", async () => {
    const form = new FormData();
    form.append("purpose", "batch");
    form.append("file", new Blob(["{}"]), "batch.jsonl");
    const { id } = await client.post<{ id: string }>("/files", { body: form });
    expect(await refusal(create({ heldout_files: [file, id] }))).toMatchObject({
      status: 400,
      param: "heldout_files[1]",
      code: "invalid_file_purpose",
    });
  });

  it("a name under which a round's model would meet one that is served", async () => {
    expect(await refusal(create({ name: "earlier", rounds: 2 }))).toMatchObject({
      status: 400,
      param: "name",
      message: "Invalid 'name': the model 'ft:usergpt:earlier-2' is served already.",
    });
    expect(await create({ name: "earlier", rounds: 1 })).toMatchObject({ status: "queued" });
  });

  it("and nothing is left of it", async () => {
    await refusal(create({ heldout_files: ["file-none"], name: "nothing-left" }));
    const { data } = await client.get<{ data: WireLoop[] }>("/loops");
    expect(data.map(({ name }) => name)).not.toContain("nothing-left");
  });
});

it("a loop says what it was asked for, with every default that was decided", async () => {
  const loop = await create({ name: "mine", metadata: { team: "a" }, training: { lr: 0.001, method: "lora" } });
  expect(loop).toMatchObject({
    id: expect.stringMatching(/^loop_[A-Za-z0-9]{24}$/),
    object: "loop",
    status: "queued",
    name: "mine",
    rounds: 2,
    round: 0,
    models: { user: "usergpt", assistant: "realm" },
    error: null,
    request: { rounds: 2, count: 10, seed: 1, user: "usergpt", training: { lr: 0.001, method: "lora" } },
    metadata: { team: "a" },
  });
});

it("newest first, page by page", async () => {
  const made: string[] = [];
  for (let index = 0; index < 3; index += 1) made.unshift((await create({})).id);
  type Page = { readonly data: readonly WireLoop[]; readonly has_more: boolean };
  const first = await client.get<Page>("/loops?limit=2");
  expect(first.data.map(({ id }) => id)).toEqual(made.slice(0, 2));
  expect(first.has_more).toBe(true);
  const second = await client.get<Page>(`/loops?limit=1&after=${made[1]}`);
  expect(second.data.map(({ id }) => id)).toEqual([made[2]]);
});

it("one that is not there is not found, whatever is asked of it", async () => {
  for (const path of ["", "/events", "/rounds", "/rounds/1"]) {
    expect(await refusal(client.get(`/loops/loop_none${path}`))).toMatchObject({ status: 404, code: "loop_not_found" });
  }
  for (const action of ["cancel", "pause", "resume"]) {
    expect(await refusal(client.post(`/loops/loop_none/${action}`))).toMatchObject({ status: 404 });
  }
  expect(await refusal(client.delete("/loops/loop_none"))).toMatchObject({ status: 404 });
});
