import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createApp } from "../../../server/app.ts";
import { createLifecycle } from "../../../server/lifecycle.ts";
import { createServices } from "../../../server/services.ts";
import { writeHumanLikeness } from "../../../training/measures/human-likeness.ts";
import { trainHumanLikeness } from "../../../training/measures/human-training.ts";
import { captureLog, scriptedCatalog, testConfig, testMetrics } from "../../support/app-harness.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

type Body = Readonly<Record<string, unknown>>;

/** A gateway with a store of its own, over a user that always asks the same and an assistant that always says the same. */
function setUp() {
  const judge = scriptedModel({
    info: { id: "judge" },
    reply: (_, index) => ({
      pieces: [index === 1 ? "no idea" : '{"complexity": 7, "relevancy": 9, "logicality": 10}'],
    }),
  });
  const user = scriptedModel({
    info: { id: "usergpt", role: "user", responseRole: "user" },
    reply: { pieces: ["what", " is", " rust"] },
  });
  const assistant = scriptedModel({ reply: { pieces: ["iron", " oxide"] } });
  const [catalog, config, { log, takeErrors }] = [
    scriptedCatalog([user, assistant, judge]),
    testConfig(),
    captureLog(),
  ];
  const metrics = testMetrics();
  metrics.describe([user.info, assistant.info, judge.info]);
  const services = createServices({ catalog, config, log, metrics });
  const app = createApp({ catalog, config, lifecycle: createLifecycle(), log, metrics, services });
  onTestFinished(async () => {
    await services.drain(AbortSignal.abort());
    await services.close();
    await rm(config.dataFolder, { recursive: true, force: true });
  });
  const send = async (method: string, path: string, body?: object): Promise<{ status: number; json: Body }> => {
    const headers = { "content-type": "application/json" };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await app.request(path, { method, headers, ...sent });
    return { status: response.status, json: (await response.json()) as Body };
  };
  return { send, judge, folder: config.dataFolder, takeErrors };
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

it("the quality of no job is a 404, and it cannot be deleted", async () => {
  const { send } = setUp();
  expect(await send("GET", "/v1/selfplay/jobs/none/quality")).toMatchObject({
    status: 404,
    json: { error: { code: "job_not_found" } },
  });
  expect((await send("DELETE", "/v1/selfplay/jobs/none/quality")).status).toBe(405);
});

it("a classifier in the data folder measures human-likeness", async () => {
  const { send, folder } = setUp();
  const questions = Array.from({ length: 100 }, (_, index) => ({
    text: index % 2 === 0 ? `what is rust number ${index}` : `Please explain concept ${index}.`,
    isHuman: index % 2 === 0,
    source: `${index}`,
  }));
  await mkdir(folder, { recursive: true });
  const model = writeHumanLikeness(trainHumanLikeness("toy", questions));
  await writeFile(join(folder, "human-likeness.json"), JSON.stringify(model));
  const { json: job } = await send("POST", "/v1/selfplay/jobs", {
    count: 1,
    user: "usergpt",
    assistant: "realm",
    max_turns: 1,
  });
  const path = `/v1/selfplay/jobs/${String(job["id"])}`;
  await expect.poll(async () => (await send("GET", path)).json["status"], { timeout: 20_000 }).toBe("completed");
  expect((await send("GET", `${path}/quality`)).json).toMatchObject({
    human_likeness: { questions: 1, ratio: 1, classifier: { name: "toy", is_split_by_source: true } },
    table5: { human_ratio: 1 },
  });
});

it("without one the classifier that comes with the gateway does, and null in its place switches it off", async () => {
  const { send, folder } = setUp();
  const measure = async (): Promise<Body> => {
    const models = { user: "usergpt", assistant: "realm" };
    const { json: job } = await send("POST", "/v1/selfplay/jobs", { ...models, count: 1, max_turns: 1 });
    const path = `/v1/selfplay/jobs/${String(job["id"])}`;
    await expect.poll(async () => (await send("GET", path)).json["status"], { timeout: 20_000 }).toBe("completed");
    return (await send("GET", `${path}/quality`)).json;
  };
  const classifier = { name: "service-dialogues/1", auc: 0.968_697_904_879_103_1, floor: 0.073_136_427_566_807_31 };
  expect(await measure()).toMatchObject({ human_likeness: { questions: 1, ratio: 1, classifier } });
  await writeFile(join(folder, "human-likeness.json"), "null");
  expect(await measure()).toMatchObject({ human_likeness: { ratio: null, classifier: null } });
});

it("a classifier that cannot be read is named in the log", async () => {
  const { send, folder, takeErrors } = setUp();
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "human-likeness.json"), '{"format":"other"}');
  const { json: job } = await send("POST", "/v1/selfplay/jobs", {
    count: 1,
    user: "usergpt",
    assistant: "realm",
    max_turns: 1,
  });
  const path = `/v1/selfplay/jobs/${String(job["id"])}`;
  await expect.poll(async () => (await send("GET", path)).json["status"], { timeout: 20_000 }).toBe("completed");
  expect((await send("GET", `${path}/quality`)).status).toBe(500);
  expect(JSON.stringify(takeErrors())).toContain('human-likeness.json: Not a human-likeness model: \\"format\\"');
});

it("a judge marks a sample once, duplicates left out, and its marks are kept beside the dialogues", async () => {
  const { send, judge } = setUp();
  const { json: job } = await send("POST", "/v1/selfplay/jobs", {
    count: 4,
    user: "usergpt",
    assistant: "realm",
    max_turns: 1,
  });
  const path = `/v1/selfplay/jobs/${String(job["id"])}`;
  await expect.poll(async () => (await send("GET", path)).json["status"], { timeout: 20_000 }).toBe("completed");
  const first = await send("POST", `${path}/quality`, { judge: "judge", sample: 3 });
  const marks = { complexity: 7, relevancy: 9, logicality: 10 };
  expect(first.json).toMatchObject({
    table5: marks,
    judges: [{ judge: expect.stringMatching(/^judge [0-9a-f]{64}$/), scored: 1, criteria: { complexity: { n: 1 } } }],
  });
  // The same again costs nothing, another seed asks again; its first reply cannot be read.
  await send("POST", `${path}/quality`, { judge: "judge", sample: 3 });
  expect(judge.calls).toHaveLength(1);
  const second = await send("POST", `${path}/quality`, { judge: "judge", sample: 3, seed: 1 });
  expect(judge.calls).toHaveLength(3);
  expect(second.json).toMatchObject({
    judges: [{ scored: 2, criteria: { complexity: { n: 1, mean: 7, disagreement: 0, judged_twice: 1 } } }],
  });
  const { json: page } = await send("GET", `${path}/dialogues?unique=true`);
  expect(page["data"]).toMatchObject([
    { quality: { exact_duplicate: false, judgements: [{ scores: marks }, { seed: 1 }] } },
  ]);
});

it.each([
  [{}, 400, "judge"],
  [{ judge: "judge", sample: 0 }, 400, "sample"],
  [{ judge: "judge", rubric: "x" }, 400, "rubric"],
  [{ judge: "nobody" }, 404, "judge"],
])("a judgement that cannot be had is refused with its field: %o", async (body, status, param) => {
  const { send } = setUp();
  const { json: job } = await send("POST", "/v1/selfplay/jobs", {
    count: 1,
    user: "usergpt",
    assistant: "realm",
    max_turns: 1,
  });
  const path = `/v1/selfplay/jobs/${String(job["id"])}/quality`;
  expect(await send("POST", path, body)).toMatchObject({ status, json: { error: { param } } });
});
