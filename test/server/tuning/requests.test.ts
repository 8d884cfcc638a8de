// What is refused before a job begins, in OpenAI's words, and how jobs are listed.
import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { refusal } from "../../support/refusal.ts";
import { chat, eventsOf, uploadChats } from "../../support/tuning-client.ts";
import { type TuningGateway, tuningGateway } from "../../support/tuning-gateway.ts";

let gateway: TuningGateway;
let client: OpenAI;
let file: string;
beforeAll(async () => {
  // Nothing is to come of them here.
  gateway = await tuningGateway({ steps: 1000, stepMs: 1000 });
  ({ client } = gateway);
  file = await uploadChats(client, [chat()]);
});
afterAll(() => gateway.stop());
afterEach(() => expect(gateway.errors()).toEqual([]));

const create = (over: object) =>
  client.fineTuning.jobs.create(Object.assign({ model: "usergpt", training_file: file }, over));

describe("a job is refused, by the field that is at fault:", () => {
  it.each([
    ["no model", { model: undefined }, "model", "missing_required_parameter"],
    ["no file", { training_file: undefined }, "training_file", "missing_required_parameter"],
    ["a model that is not served", { model: "gpt-4" }, "model", "model_not_available"],
    ["a model without a folder", { model: "realm" }, "model", "model_not_available"],
    ["a file that is not there", { training_file: "file-none" }, "training_file", "file_not_found"],
    ["a validation file that is not there", { validation_file: "file-none" }, "validation_file", "file_not_found"],
    ["another method", { method: { type: "dpo" } }, "method.type", "invalid_value"],
    ["settings of another method", { method: { type: "supervised", dpo: {} } }, "method.dpo", "unsupported_parameter"],
    ["an integration", { integrations: [{ type: "wandb" }] }, "integrations", "unsupported_parameter"],
    ["too many epochs", { hyperparameters: { n_epochs: 51 } }, "hyperparameters.n_epochs", "integer_above_max_value"],
    ["half a batch", { hyperparameters: { batch_size: 0.5 } }, "hyperparameters.batch_size", "invalid_type"],
    ["a word for a number", { hyperparameters: { n_epochs: "many" } }, "hyperparameters.n_epochs", "invalid_type"],
    [
      "a multiplier of nothing",
      { method: { type: "supervised", supervised: { hyperparameters: { learning_rate_multiplier: 0 } } } },
      "method.supervised.hyperparameters.learning_rate_multiplier",
      "decimal_below_min_value",
    ],
    [
      "hyperparameters twice",
      { hyperparameters: { n_epochs: 1 }, method: { type: "supervised", supervised: { hyperparameters: {} } } },
      "hyperparameters",
      null,
    ],
    ["a suffix that is no name", { suffix: "my model" }, "suffix", "invalid_value"],
    ["a suffix that is too long", { suffix: "x".repeat(65) }, "suffix", "string_above_max_length"],
    ["a seed below nothing", { seed: -1 }, "seed", "integer_below_min_value"],
    ["metadata that is no text", { metadata: { a: 1 } }, "metadata.a", "invalid_type"],
    ["no role", { role: "system" }, "role", "invalid_value"],
    ["a role that is not the model's", { role: "assistant" }, "role", "invalid_value"],
    [
      "adapters without rank",
      { method: { type: "supervised", supervised: { lora: { rank: 0 } } } },
      "method.supervised.lora.rank",
      "integer_below_min_value",
    ],
  ] as const)("%s", async (_name, over, param, code) => {
    expect(await refusal(create(over))).toMatchObject({ status: 400, type: "invalid_request_error", param, code });
  });

  it("a file for another purpose", async () => {
    const form = new FormData();
    form.append("purpose", "batch");
    form.append("file", new Blob(["{}"]), "batch.jsonl");
    const { id } = await client.post<{ id: string }>("/files", { body: form });
    expect(await refusal(create({ training_file: id }))).toMatchObject({
      status: 400,
      param: "training_file",
      code: "invalid_file_purpose",
      message: `The file '${id}' has the purpose 'batch'; 'training_file' must be one with the purpose 'fine-tune'.`,
    });
  });

  it("and nothing is left of it", async () => {
    await refusal(create({ training_file: "file-none", metadata: { nothing: "left" } }));
    const { data } = await client.fineTuning.jobs.list({ metadata: { nothing: "left" } });
    expect(data).toEqual([]);
  });
});

it("what OpenAI's older clients send means the same", async () => {
  const hyperparameters = { n_epochs: 3, batch_size: 4, learning_rate_multiplier: 2 } as const;
  const job = await create({ hyperparameters, integrations: null, suffix: null, seed: null });
  expect(job.hyperparameters).toEqual(hyperparameters);
  expect(job.method).toEqual({ type: "supervised", supervised: { hyperparameters } });
  expect(job.seed).toBeGreaterThanOrEqual(0);
});

it("our own fields are kept: whose turns are trained, and adapters", async () => {
  const lora = { rank: 8 };
  const job = await create({ role: "user", method: { type: "supervised", supervised: { lora } } });
  expect(job).toMatchObject({ role: "user", method: { supervised: { lora: { rank: 8, alpha: 16 } } } });
});

describe("jobs are listed", () => {
  it("newest first, page by page, and by their metadata", async () => {
    const made: string[] = [];
    for (const metadata of [{ list: "a", n: "1" }, { list: "a", n: "2" }, { list: "b" }]) {
      made.push((await create({ metadata })).id);
    }
    const ids = async (metadata: Record<string, string> | null) => {
      const found: string[] = [];
      for await (const { id } of client.fineTuning.jobs.list({ limit: 1, metadata })) found.push(id);
      return found;
    };
    const [first, second, third] = made;
    expect(await ids({ list: "a" })).toEqual([second, first]);
    expect(await ids({ list: "a", n: "1" })).toEqual([first]);
    expect(await ids({ list: "c" })).toEqual([]);
    const all: string[] = [];
    for await (const { id } of client.fineTuning.jobs.list({ limit: 2 })) all.push(id);
    expect(all.slice(0, 3)).toEqual([third, second, first]);
    const bare = await create({});
    const { data } = await client.get<{ data: { id: string }[] }>("/fine_tuning/jobs?metadata=null&limit=1");
    expect(data.map(({ id }) => id)).toEqual([bare.id]);
  });

  it("and one that does not exist is told as OpenAI tells it", async () => {
    const expected = {
      status: 404,
      type: "invalid_request_error",
      message: "Could not find fine tune: ftjob-none",
      param: "fine_tune_id",
      code: "fine_tune_not_found",
    };
    const { jobs } = client.fineTuning;
    expect(await refusal(jobs.retrieve("ftjob-none"))).toEqual(expected);
    expect(await refusal(jobs.cancel("ftjob-none"))).toEqual(expected);
    expect(await refusal(jobs.listEvents("ftjob-none"))).toEqual(expected);
    expect(await refusal(jobs.checkpoints.list("ftjob-none"))).toEqual(expected);
    expect(await refusal(jobs.list({ after: "ftjob-none" }))).toEqual(expected);
    expect(await refusal(jobs.list({ limit: 101 }))).toMatchObject({ status: 400, param: "limit" });
    expect(await refusal(client.get("/fine_tuning/jobs/%00"))).toMatchObject({ status: 404 });
    expect(await refusal(client.delete("/fine_tuning/jobs/ftjob-none"))).toMatchObject({ status: 405 });
  });

  it("and events of another job are no place to go on from", async () => {
    const { id } = await create({});
    const [event] = await eventsOf(client, id);
    expect(event?.message).toBe(`Created fine-tuning job: ${id}`);
    const other = await create({});
    const { jobs } = client.fineTuning;
    expect(await refusal(jobs.listEvents(other.id, { after: event?.id ?? "" }))).toMatchObject({
      status: 400,
      param: "after",
    });
  });
});
