// Holds that a job of the gateway is read with everything that training needs, from the store it left and from the gateway.
import { rm } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { readSource } from "../../../training/sources/read-source.ts";
import { testConfig } from "../../support/app-harness.ts";
import { createJob, jobReaches } from "../../support/job-client.ts";
import { listen } from "../../support/listening.ts";
import { scriptedModel } from "../../support/scripted-model.ts";
import { never, readOne, readText, told } from "./source-files.ts";

test("a job's dialogues come with sampled ids, causes, samples passed over, seeds as context, and models", async () => {
  const config = testConfig();
  onTestFinished(() => rm(config.dataFolder, { recursive: true, force: true }));
  const user = scriptedModel({
    info: { id: "usergpt", role: "user", responseRole: "user" },
    reply: { pieces: ["what", " is", " rust"] },
  });
  const assistant = scriptedModel({
    reply: ({ choiceIndex }) => ({ pieces: [choiceIndex === 0 ? "metal" : "iron", " oxide"] }),
  });
  const judge = scriptedModel({ info: { id: "judge" }, reply: { pieces: ["[[2]]"] } });
  const server = await listen({ models: [user, assistant, judge], config });
  const { id } = await createJob(server.url, {
    count: 2,
    user: "usergpt",
    assistant: "realm",
    max_turns: 2,
    seed: 1,
    mode: "seeded",
    seeds: { format: "plain", text: '{"prompt":"hello","answer":"hi"}' },
    best_of: { n: 2, judge: "judge" },
  });
  await jobReaches(server.url, id);
  const read = (store: { data: string | null; url: string | null }) =>
    Array.fromAsync(readSource(`job:${id}`, { format: null, store }, never));
  const rows = await read({ data: null, url: server.url });
  expect(rows).toHaveLength(2);
  expect(rows[1]).toMatchObject({
    kind: "conversation",
    conversation: {
      origin: { file: id, row: 2 },
      isComplete: false,
      utterances: [
        { role: "user", content: "hello", isContext: true },
        { role: "assistant", content: "hi", isContext: true },
        { role: "user", content: "what is rust", cause: "end_token", tokenIds: expect.any(Array) },
        {
          role: "assistant",
          content: "iron oxide",
          cause: "end_token",
          tokenIds: expect.any(Array),
          rejected: [{ content: "metal oxide", tokenIds: expect.any(Array) }],
        },
      ],
      provenance: {
        format: "selfplay",
        job_id: id,
        stop_reason: "max_turns",
        models: { user: { model_hash: expect.any(String) }, assistant: { template_hash: expect.any(String) } },
      },
    },
  });
  await server.drain();
  expect(await read({ data: config.dataFolder, url: null })).toEqual(rows);
  await expect(
    Array.fromAsync(readSource("job:nobody", { format: null, store: { data: config.dataFolder, url: null } }, never)),
  ).rejects.toThrow(`There is no job 'nobody' in the data folder ${config.dataFolder}.`);
});

const record = {
  id: "dlg_1",
  object: "selfplay.dialogue",
  messages: [
    { role: "system", content: "S" },
    { role: "user", content: "a" },
  ],
  system: { user: "U", assistant: "S" },
  stop_reason: "end_token",
  trace: [{ role: "user", cause: "end_token", token_ids: [3, 4] }],
};

test("a record that ended by itself is complete and keeps both sides' system messages", async () => {
  expect(await readOne(record)).toMatchObject({
    isComplete: true,
    system: { user: "U", assistant: "S" },
    utterances: [{ role: "user", content: "a", cause: "end_token", tokenIds: [3, 4] }],
  });
});

test("a record without a whole round is left out and counted; one that contradicts itself is broken", async () => {
  const rows = [
    { ...record, messages: [] },
    { ...record, trace: [{ role: "assistant", cause: "end_token" }] },
    { ...record, trace: [] },
    { ...record, stop_reason: 5 },
  ];
  expect((await readText(rows.map((row) => JSON.stringify(row)).join("\n"))).map(told)).toEqual([
    "1: no whole round",
    "2: 'trace[0].role' is not that of the message.",
    "3: 'trace[0]' is missing.",
    "4: 'stop_reason' is not as in a self-play record: Invalid input: expected string, received number.",
  ]);
});
