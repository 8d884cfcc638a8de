import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createApp } from "../../../server/app.ts";
import { createLifecycle } from "../../../server/lifecycle.ts";
import { JobService } from "../../../server/selfplay/jobs/job-service.ts";
import { writeHumanLikeness } from "../../../server/selfplay/quality/human-likeness.ts";
import { trainHumanLikeness } from "../../../server/selfplay/quality/human-training.ts";
import { captureLog, scriptedCatalog, testConfig, testMetrics } from "../../support/app-harness.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

type Body = Readonly<Record<string, unknown>>;

/** A gateway with a store of its own, over a user that always asks the same and an assistant that always says the same. */
function setUp() {
  const user = scriptedModel({
    info: { id: "usergpt", role: "user", responseRole: "user" },
    reply: { pieces: ["what", " is", " rust"] },
  });
  const assistant = scriptedModel({ reply: { pieces: ["iron", " oxide"] } });
  const [catalog, config, { log, takeErrors }] = [scriptedCatalog([user, assistant]), testConfig(), captureLog()];
  const metrics = testMetrics();
  metrics.describe([user.info, assistant.info]);
  const jobs = new JobService({ catalog, config, log, metrics });
  const app = createApp({ catalog, config, jobs, lifecycle: createLifecycle(), log, metrics });
  onTestFinished(async () => {
    await jobs.drain(AbortSignal.abort());
    await jobs.close();
    await rm(config.dataFolder, { recursive: true, force: true });
  });
  const send = async (method: string, path: string, body?: object): Promise<{ status: number; json: Body }> => {
    const headers = { "content-type": "application/json" };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await app.request(path, { method, headers, ...sent });
    return { status: response.status, json: (await response.json()) as Body };
  };
  return { send, folder: config.dataFolder, takeErrors };
}

it("a job's quality is measured over its finished dialogues, and duplicates are marked on them", async () => {
  const { send } = setUp();
  const { json: job } = await send("POST", "/v1/selfplay/jobs", {
    count: 3,
    user: "usergpt",
    assistant: "realm",
    max_turns: 2,
    seed: 1,
    guardrails: null,
  });
  const path = `/v1/selfplay/jobs/${String(job["id"])}`;
  await expect.poll(async () => (await send("GET", path)).json["status"], { timeout: 20_000 }).toBe("completed");
  const { status, json } = await send("GET", `${path}/quality`);
  expect(status).toBe(200);
  expect(json).toMatchObject({
    object: "selfplay.quality",
    job_id: job["id"],
    dialogues: { seen: 3, kept: 1, exact_duplicates: 2 },
    table5: { dialogues: 1, turns: 2, utterance_tokens: (2 * 12 + 2 * 10) / 4, mtld: 3 },
    tokens: { tokenizer: "utf-8 bytes" },
    stop_reasons: { max_turns: 3 },
    rates: { opener_collisions: { count: 2, of: 3, rate: 2 / 3 }, verbatim_repeats: { count: 3, of: 6 } },
    alarms: [],
  });
  const { json: page } = await send("GET", `${path}/dialogues`);
  expect((page["data"] as Body[]).map(({ quality }) => (quality as Body)["exact_duplicate"])).toEqual([
    false,
    true,
    true,
  ]);
  expect((await send("GET", `${path}/quality`)).json).toEqual(json);
  const { json: unique } = await send("GET", `${path}/dialogues?unique=true`);
  expect((unique["data"] as Body[]).map(({ index }) => index)).toEqual([0]);
});

it("the quality of no job is a 404, and it can only be asked for", async () => {
  const { send } = setUp();
  expect(await send("GET", "/v1/selfplay/jobs/none/quality")).toMatchObject({
    status: 404,
    json: { error: { code: "job_not_found" } },
  });
  expect((await send("POST", "/v1/selfplay/jobs/none/quality", {})).status).toBe(405);
});

it("a classifier in the data folder measures human-likeness; a broken one is named in the log", async () => {
  const { send, folder, takeErrors } = setUp();
  const { json: job } = await send("POST", "/v1/selfplay/jobs", {
    count: 1,
    user: "usergpt",
    assistant: "realm",
    max_turns: 1,
  });
  const path = `/v1/selfplay/jobs/${String(job["id"])}`;
  await expect.poll(async () => (await send("GET", path)).json["status"], { timeout: 20_000 }).toBe("completed");
  const file = join(folder, "human-likeness.json");
  await writeFile(file, '{"format":"other"}');
  expect((await send("GET", `${path}/quality`)).status).toBe(500);
  expect(JSON.stringify(takeErrors())).toContain('human-likeness.json: Not a human-likeness model: \\"format\\"');
  const questions = Array.from({ length: 100 }, (_, index) => ({
    text: index % 2 === 0 ? `what is rust number ${index}` : `Please explain concept ${index}.`,
    isHuman: index % 2 === 0,
    source: `${index}`,
  }));
  await writeFile(file, JSON.stringify(writeHumanLikeness(trainHumanLikeness("toy", questions))));
  expect((await send("GET", `${path}/quality`)).json).toMatchObject({
    human_likeness: { questions: 1, ratio: 1, classifier: { name: "toy", is_split_by_source: true } },
    table5: { human_ratio: 1 },
  });
});
