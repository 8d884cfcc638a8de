// Simulators, guard-rails and the like as a client of `POST /v1/selfplay/dialogues` sees them.
import { expect, test } from "vitest";
import { createHarness, readChunks, readError } from "../../../support/app-harness.ts";
import { scriptedModel } from "../../../support/scripted-model.ts";

const said = (text: string) => ({ pieces: text.split(/(?<= )/) });

function open() {
  const questions = ["As an AI, no.", "Why is the sky blue?"];
  const realm = scriptedModel({
    info: { contextWindow: 4096 },
    reply: ({ writeAs, messages, choiceIndex }) => {
      if (messages[0]?.content.includes("[[1]]") === true) return said("[[2]]");
      return said(writeAs === "user" ? (questions.shift() ?? "And then?") : `Answer ${choiceIndex}.`);
    },
  });
  const harness = createHarness({ models: [scriptedModel({ info: { id: "usergpt", role: "user" } }), realm] });
  const post = (body: object) =>
    harness.send("POST", "/v1/selfplay/dialogues", JSON.stringify(body), { "content-type": "application/json" });
  return { post, realm };
}

const body = {
  simulator: "prequery",
  guardrails: { min_words: 2 },
  best_of: { n: 2, judge: "realm" },
  max_turns: 1,
};

test("the answer names simulator and mode, what guard-rails refused, and how an answer was picked", async () => {
  const { post } = open();
  const response = await post(body);
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    simulator: "prequery",
    mode: "free",
    models: { user: { id: "realm" }, assistant: { id: "realm" } },
    messages: [
      { role: "user", content: "Why is the sky blue?" },
      { role: "assistant", content: "Answer 1." },
    ],
    discarded: [{ role: "user", content: "As an AI, no.", rejection: "reasoning_leak" }],
    trace: [
      { role: "user" },
      { role: "assistant", choice: { picked: 1, picked_by: "judge", rejected: [{ index: 0, content: "Answer 0." }] } },
    ],
  });
});

test("the stream tells a refused question as one, and ends in the same dialogue", async () => {
  const { post } = open();
  const chunks = await readChunks(await post({ ...body, stream: true }));
  const refused = chunks.filter((chunk) => "rejection" in chunk).map(({ type, rejection }) => [type, rejection]);
  expect(refused).toEqual([
    ["turn_end", "reasoning_leak"],
    ["turn_discarded", "reasoning_leak"],
  ]);
  expect(chunks.at(-1)).toMatchObject({ object: "selfplay.dialogue", simulator: "prequery", stop_reason: "max_turns" });
});

test("a request that contradicts itself reaches no model", async () => {
  const { post, realm } = open();
  const { status, error } = await readError(await post({ ...body, simulator: "oracle" }));
  expect([status, error.param, error.code]).toEqual([400, "simulator", "invalid_value"]);
  expect(error.message).toContain("'learned', 'selfchat', 'roleplay', 'prequery'");
  expect((await readError(await post({ ...body, prompt: "tea" }))).error.param).toBe("prompt");
  expect(realm.calls).toEqual([]);
});
