// Fine-tuning jobs as OpenAI's official client sees them: files looked through by the real program, trainings scripted.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Config } from "../../../server/config.ts";
import type { Pace } from "../../support/scripted-tuning-cli.ts";
import { refusal } from "../../support/refusal.ts";
import { chat, eventsOf, jobEnds, jobIs, stepIsTold, uploadChats } from "../../support/tuning-client.ts";
import {
  setPace,
  startedTrainings,
  tunedBefore,
  type TuningGateway,
  tuningGateway,
} from "../../support/tuning-gateway.ts";

const csv = `step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy
1,0.5,,,
2,0.333333,,1.333333,
3,0.25,,,
4,0.2,,1.2,
5,0.166667,,,
6,0.142857,,1.142857,
`;

// One for all: opening a database takes longer than most of them.
let gateway: TuningGateway;
let client: OpenAI;
let config: Config;
beforeAll(async () => {
  gateway = await tuningGateway();
  ({ client, config } = gateway);
});
afterAll(() => gateway.stop());
afterEach(() => expect(gateway.errors()).toEqual([]));

/** A job over three chats, trained at this pace. */
async function begin(pace: Partial<Pace> = {}, over: object = {}) {
  setPace(config, pace);
  return client.fineTuning.jobs.create({ model: "usergpt", training_file: await uploadChats(client), ...over });
}

const isStarted = (model: string | null) => startedTrainings(config).filter((id) => id === model).length;

it("a job goes from its file to a served model, and tells what happened on the way", async () => {
  setPace(config, { isPreparing: true });
  const [training, validation] = [await uploadChats(client), await uploadChats(client, [chat(9)])];
  const job = await client.fineTuning.jobs.create({
    model: "usergpt",
    training_file: training,
    validation_file: validation,
    suffix: "my-user",
    seed: 7,
    metadata: { team: "a" },
    method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2, learning_rate_multiplier: 0.5 } } },
  });
  expect(job).toEqual({
    id: expect.stringMatching(/^ftjob-[A-Za-z0-9]{24}$/),
    object: "fine_tuning.job",
    model: "usergpt",
    created_at: expect.any(Number),
    finished_at: null,
    fine_tuned_model: null,
    organization_id: "org-realchat",
    result_files: [],
    status: "validating_files",
    training_file: training,
    validation_file: validation,
    hyperparameters: { n_epochs: 2, batch_size: "auto", learning_rate_multiplier: 0.5 },
    trained_tokens: null,
    error: null,
    user_provided_suffix: "my-user",
    seed: 7,
    estimated_finish: null,
    integrations: [],
    metadata: { team: "a" },
    method: {
      type: "supervised",
      supervised: { hyperparameters: { n_epochs: 2, batch_size: "auto", learning_rate_multiplier: 0.5 } },
    },
    role: "user",
  });
  expect(Math.abs(job.created_at - Date.now() / 1000)).toBeLessThan(60);

  const done = await jobEnds(client, job.id);
  expect(done).toMatchObject({
    status: "succeeded",
    fine_tuned_model: expect.stringMatching(/^ft:usergpt:realchat:my-user:[A-Za-z0-9]{8}$/),
    // Of three examples a batch is all of them.
    hyperparameters: { n_epochs: 2, batch_size: 3, learning_rate_multiplier: 0.5 },
    trained_tokens: 200,
    error: null,
    estimated_finish: null,
  });
  expect(done.finished_at).toBeGreaterThanOrEqual(done.created_at);
  expect(gateway.loaded).toEqual([done.fine_tuned_model]);
  expect(await readdir(join(config.dataFolder, "models"))).toEqual([done.fine_tuned_model?.replaceAll(":", "%3A")]);
  // Nothing of the work is left.
  await expect.poll(() => existsSync(join(config.dataFolder, "tuning", job.id))).toBe(false);

  const events = await eventsOf(client, job.id);
  expect(events.map(({ message }) => message)).toEqual([
    `Created fine-tuning job: ${job.id}`,
    `Validating training file: ${training}`,
    `Validating validation file: ${validation}`,
    "Files validated, moving job to queued state",
    "Fine-tuning job started",
    "Step 1/6: training loss=0.50",
    "Step 2/6: training loss=0.33, validation loss=1.33",
    "Step 3/6: training loss=0.25",
    "Step 4/6: training loss=0.20, validation loss=1.20",
    "Step 5/6: training loss=0.17",
    "Step 6/6: training loss=0.14, validation loss=1.14",
    `New fine-tuned model created: ${done.fine_tuned_model}`,
    "The job has successfully completed",
  ]);
  expect(events[6]).toEqual({
    id: expect.stringMatching(/^ftevent-[A-Za-z0-9]{24}-7$/),
    object: "fine_tuning.job.event",
    created_at: expect.any(Number),
    level: "info",
    type: "metrics",
    message: "Step 2/6: training loss=0.33, validation loss=1.33",
    data: { step: 2, total_steps: 6, train_loss: 0.333333, valid_loss: 1.333333, full_valid_loss: 1.333333 },
  });

  const [results = ""] = done.result_files;
  expect(await client.files.retrieve(results)).toMatchObject({
    purpose: "fine-tune-results",
    filename: "step_metrics.csv",
  });
  expect(await (await client.files.content(results)).text()).toBe(csv);

  const { data: checkpoints } = await client.fineTuning.jobs.checkpoints.list(job.id);
  expect(checkpoints).toEqual([
    {
      id: expect.stringMatching(/^ftckpt-/),
      object: "fine_tuning.job.checkpoint",
      created_at: done.finished_at,
      fine_tuned_model_checkpoint: done.fine_tuned_model,
      fine_tuning_job_id: job.id,
      step_number: 5,
      metrics: { step: 5, train_loss: 0.166667 },
    },
  ]);
  expect(await gateway.metrics()).toContain('realchat_fine_tuning_jobs{status="succeeded"} 1');
});

const run = async (lines: readonly string[], validation?: readonly string[]) => {
  const job = await begin(
    { isPreparing: true },
    {
      training_file: await uploadChats(client, lines),
      ...(validation === undefined ? {} : { validation_file: await uploadChats(client, validation) }),
    },
  );
  const ended = await jobEnds(client, job.id);
  await expect.poll(() => existsSync(join(config.dataFolder, "tuning", job.id))).toBe(false);
  const events = await eventsOf(client, job.id);
  expect(events.at(-1)).toMatchObject({ level: "error", message: ended.error?.message });
  return { ...ended, param: ended.error?.param };
};

describe("lines that cannot be trained on fail the job by name,", () => {
  it("several of them, and no more than fit into a sentence", async () => {
    const bad = [
      "no JSON",
      '{"prompt": "x", "completion": "y"}',
      chat(1),
      '{"messages": [{"role": "tool", "content": "x"}]}',
      '{"messages": [{"role": "user"}]}',
      // The user says nothing here.
      '{"messages": [{"role": "assistant", "content": "x"}]}',
      '{"messages": []}',
      '["x"]',
    ];
    expect(await run(bad)).toMatchObject({
      status: "failed",
      fine_tuned_model: null,
      trained_tokens: null,
      error: {
        code: "invalid_training_file",
        param: "training_file",
        message:
          "The job failed due to an invalid training file. Line 1: is not JSON. Line 2: 'messages' is missing. " +
          "Line 4: 'messages[0].role' is 'tool', which is no speaker's name. Line 5: 'messages[0].content' is missing. " +
          "Line 6: holds no message of the user to train on. And 2 more.",
      },
    });
  });

  it("in the validation file, too", async () => {
    expect(await run([chat(1)], [chat(1), "{"])).toMatchObject({
      error: {
        code: "invalid_validation_file",
        param: "validation_file",
        message: "The job failed due to an invalid validation file. Line 2: is not JSON.",
      },
    });
  });

  it("and so does a file that holds only messages of weight 0", async () => {
    const context = { role: "user", content: "I need a table.", weight: 0 };
    const line = JSON.stringify({ messages: [context, { role: "assistant", content: "Where?" }] });
    expect((await run([line])).error?.message).toContain("Line 1: holds no message of the user to train on.");
  });
});

describe("what is done to a job:", () => {
  it("a paused one leaves a checkpoint and goes on from there when it is resumed, and comes to the same", async () => {
    const { id } = await begin({ stepMs: 250 });
    await stepIsTold(client, id, 3);
    expect(await client.fineTuning.jobs.pause(id)).toMatchObject({ status: "paused", estimated_finish: null });
    const { length } = startedTrainings(config);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(startedTrainings(config)).toHaveLength(length);
    expect((await client.fineTuning.jobs.resume(id)).status).toBe("queued");
    const done = await jobEnds(client, id);
    expect(done.status).toBe("succeeded");
    expect(await (await client.files.content(done.result_files[0] ?? "")).text()).toBe(csv);
    const messages = (await eventsOf(client, id)).map(({ message }) => message);
    expect(messages).toEqual(expect.arrayContaining(["Fine-tuning job paused", "Fine-tuning job resumed"]));
    expect(messages.filter((message) => message.startsWith("Step "))).toHaveLength(6);
    expect(messages).toContainEqual(expect.stringMatching(/^Fine-tuning job goes on from step [3-6]$/));
  });

  it("a cancelled one ends its process and leaves nothing, and the next one gets its turn", async () => {
    const file = await uploadChats(client);
    const first = await begin({ stepMs: 50, steps: 1000 }, { training_file: file });
    const second = await client.fineTuning.jobs.create({ model: "usergpt", training_file: file });
    const running = await jobIs(client, first.id, ({ status }) => status === "running");
    expect(running.fine_tuned_model).toBeNull();
    await stepIsTold(client, first.id, 2);
    expect((await client.fineTuning.jobs.retrieve(first.id)).estimated_finish).toBeGreaterThan(Date.now() / 1000);
    // Looked through already, and waiting.
    await jobIs(client, second.id, ({ status }) => status === "queued");
    expect(await refusal(client.files.delete(file))).toMatchObject({ status: 409, code: "file_in_use" });
    setPace(config, {});
    expect((await client.fineTuning.jobs.cancel(first.id)).status).toBe("cancelled");
    expect((await jobEnds(client, second.id)).status).toBe("succeeded");
    expect(existsSync(join(config.dataFolder, "tuning", first.id))).toBe(false);
    expect(gateway.removed.at(-1)).toMatch(/^ft:usergpt:realchat::/);
    expect((await client.fineTuning.jobs.retrieve(first.id)).finished_at).not.toBeNull();
    // Nobody needs the file any more.
    expect(await client.files.delete(file)).toMatchObject({ deleted: true });
    const { data } = await client.fineTuning.jobs.checkpoints.list(first.id);
    expect(data).toEqual([]);
  });

  it("what it tunes cannot be deleted before it has ended, and the result keeps the name of the first base", async () => {
    const first = await begin({ stepMs: 50, steps: 1000 }, { model: tunedBefore, suffix: "second" });
    await stepIsTold(client, first.id, 1);
    expect(await refusal(client.models.delete(tunedBefore))).toMatchObject({
      status: 409,
      param: "model",
      code: "model_in_use",
      message: `The model \`${tunedBefore}\` is needed by the fine-tuning job '${first.id}': cancel it before the model is deleted.`,
    });
    await client.fineTuning.jobs.cancel(first.id);
    const { id } = await begin({}, { model: tunedBefore, suffix: "second" });
    expect((await jobEnds(client, id)).fine_tuned_model).toMatch(/^ft:usergpt:realchat:second:[A-Za-z0-9]{8}$/);
    expect(await client.models.delete(tunedBefore)).toMatchObject({ deleted: true });
  });

  it("one that has ended cannot be ended, paused or resumed", async () => {
    const { id } = await begin();
    await jobEnds(client, id);
    for (const action of ["cancel", "pause", "resume"] as const) {
      expect(await refusal(client.fineTuning.jobs[action](id))).toMatchObject({ status: 400, code: "job_status" });
    }
  });

  it("one is paused before it began, and is looked through when it is resumed", async () => {
    const { id } = await begin({ stepMs: 20, steps: 500 });
    expect((await client.fineTuning.jobs.pause(id)).status).toBe("paused");
    expect(["queued", "validating_files"]).toContain((await client.fineTuning.jobs.resume(id)).status);
    await jobIs(client, id, ({ status }) => status === "running");
    await client.fineTuning.jobs.cancel(id);
  });
});

describe("a training that goes wrong", () => {
  it("is taken up again from its checkpoint when its process vanishes, and comes to the same", async () => {
    const { id } = await begin({ crashes: [3] });
    const done = await jobEnds(client, id);
    expect(done.status).toBe("succeeded");
    expect(isStarted(done.fine_tuned_model)).toBe(2);
    expect(await (await client.files.content(done.result_files[0] ?? "")).text()).toBe(csv);
    expect(await eventsOf(client, id)).toContainEqual(
      expect.objectContaining({
        level: "warn",
        message: "The training broke off and is taken up again: out of memory",
      }),
    );
  });

  it("fails when its process vanishes again and again without coming forward", async () => {
    const { id } = await begin({ crashes: [1, 1, 1, 1], checkpointEvery: 100 });
    expect(await jobEnds(client, id)).toMatchObject({
      status: "failed",
      error: { code: "training_failed", param: null, message: expect.stringContaining("out of memory") },
    });
  });

  it("fails with the trainer's own sentence", async () => {
    const { length } = gateway.loaded;
    const { id } = await begin({ failsAt: 2 });
    expect(await jobEnds(client, id)).toMatchObject({
      status: "failed",
      fine_tuned_model: null,
      result_files: [],
      error: { code: "training_failed", message: "the loss is no number any more", param: null },
    });
    expect(gateway.loaded).toHaveLength(length);
  });

  it("fails where its model cannot be served", async () => {
    const { id } = await begin({}, { suffix: "unloadable" });
    expect((await jobEnds(client, id)).error).toEqual({
      code: "model_not_loaded",
      message: "The fine-tuned model cannot be served: The model folder is broken.",
      param: null,
    });
  });
});
