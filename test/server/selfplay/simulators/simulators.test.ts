// Every simulator behind the one interface: what its model is told, what becomes of the dialogue, and how it goes on after a stop.
import { expect, test } from "vitest";
import { drawBelow, turnSeed } from "../../../../server/selfplay/seeds.ts";
import { transcript } from "../play.ts";
import { SpellingModel } from "../spelling-model.ts";
import { noStopRules, seedItem, simulate, simulatedRequest } from "./simulate.ts";

const wide = 100_000;
const contents = (model: SpellingModel, call: number) =>
  model.requests[call]?.messages.map(({ role, content }) => `${role}: ${content}`);

test("learned, seeded with a round: the round is given, and the user's model asks on", async () => {
  const user = new SpellingModel("user", ["And then?"]);
  const assistant = new SpellingModel("assistant", ["The end."]);
  const request = simulatedRequest(user, assistant, {
    mode: "seeded",
    seedItem: seedItem("Tell.", "Once."),
    maxTurns: 2,
  });
  const { dialogue } = await simulate("learned", request);
  expect(transcript(dialogue)).toEqual(["U: Tell.", "A: Once.", "U: And then?", "A: The end."]);
  expect(dialogue.turns.map(({ origin }) => origin === null)).toEqual([true, true, false, false]);
});

test("learned, seeded with a lone question: the assistant answers it anew, the question counts as given", async () => {
  const user = new SpellingModel("user", ["And then?"]);
  const assistant = new SpellingModel("assistant", ["Once.", "The end."]);
  const request = simulatedRequest(user, assistant, { mode: "seeded", seedItem: seedItem("Tell."), maxTurns: 2 });
  const { dialogue } = await simulate("learned", request);
  expect(transcript(dialogue)).toEqual(["U: Tell.", "A: Once.", "U: And then?", "A: The end."]);
  expect(dialogue.turns.map(({ origin }) => origin?.seed ?? null)).toEqual([
    null,
    turnSeed(7, { dialogueIndex: 0, turn: 1, role: "assistant" }),
    turnSeed(7, { dialogueIndex: 0, turn: 2, role: "user" }),
    turnSeed(7, { dialogueIndex: 0, turn: 2, role: "assistant" }),
  ]);
});

test.each([
  ["a lone question", null],
  ["a round", "x".repeat(300)],
])("learned, seeded with %s beyond the window: the seed is too long, and nothing is thrown", async (_, answer) => {
  const user = new SpellingModel("user", ["?"], 200);
  const assistant = new SpellingModel("assistant", ["!"], 200);
  const request = simulatedRequest(user, assistant, { mode: "seeded", seedItem: seedItem("y".repeat(300), answer) });
  const { dialogue } = await simulate("learned", request);
  expect(dialogue.stopReason).toBe("seed_too_long");
  expect(dialogue.turns.filter(({ origin }) => origin !== null)).toEqual([]);
});

test.each(["intent", "profile"] as const)(
  "learned, %s: the text is the user's system message, and only theirs",
  async (mode) => {
    const user = new SpellingModel("user", ["A tent?"], wide);
    const assistant = new SpellingModel("assistant", ["Yes."]);
    const request = simulatedRequest(user, assistant, { mode, seedItem: seedItem("You want a tent."), maxTurns: 1 });
    const { dialogue } = await simulate("learned", request);
    expect(contents(user, 0)).toEqual(["system: You want a tent."]);
    expect(contents(assistant, 0)).toEqual(["user: A tent?"]);
    expect(dialogue.sides.user.system).toBe("You want a tent.");
  },
);

test("pre-query: the assistant's model is shown the dialogue as it is, and opens the user's turn", async () => {
  const model = new SpellingModel("assistant", ["Why?", "So.", "Oh?", "Yes."]);
  const { dialogue } = await simulate("prequery", simulatedRequest(model, model, { maxTurns: 2 }));
  expect(transcript(dialogue)).toEqual(["U: Why?", "A: So.", "U: Oh?", "A: Yes."]);
  expect(model.requests.map(({ writeAs }) => writeAs ?? null)).toEqual(["user", null, "user", null]);
  expect(contents(model, 0)).toEqual([]);
  expect(contents(model, 2)).toEqual(["user: Why?", "assistant: So."]);
  expect(model.requests[2]?.messages[0]?.tokenIds).toEqual(dialogue.turns[0]?.origin?.tokenIds);
});

test("role-play: the model is told the topic once, and after every answer to suppose that it is the user", async () => {
  const user = new SpellingModel("assistant", ["What is tea?", "And coffee?"], wide);
  const assistant = new SpellingModel("assistant", ["A leaf.", "A bean."], wide);
  const request = simulatedRequest(user, assistant, { seedItem: seedItem("hot drinks"), maxTurns: 2 });
  const { dialogue } = await simulate("roleplay", request);
  expect(transcript(dialogue)).toEqual(["U: What is tea?", "A: A leaf.", "U: And coffee?", "A: A bean."]);
  expect(contents(user, 0)).toEqual([expect.stringContaining("hot drinks")]);
  expect(contents(user, 1)?.slice(0, 2)).toEqual(["user: What is tea?", "assistant: A leaf."]);
  expect(contents(user, 1)?.at(-1)).toMatch(/^user: .*Suppose that you are the user/);
  expect(contents(assistant, 1)).toEqual(["user: What is tea?", "assistant: A leaf.", "user: And coffee?"]);
});

test("role-play: courtesy alone is drawn anew, whether or not guard-rails were asked for", async () => {
  const user = new SpellingModel("assistant", ["Thank you so much, that's very helpful!", "How hot?"], wide);
  const assistant = new SpellingModel("assistant", ["Very."], wide);
  const { dialogue } = await simulate("roleplay", simulatedRequest(user, assistant, { maxTurns: 1 }));
  expect(transcript(dialogue)).toEqual(["U: How hot?", "A: Very."]);
  expect(dialogue.discarded.map(({ rejection }) => rejection)).toEqual(["over_polite"]);
});

const script = "\n[Human] What is tea?\n[AI] A leaf.\n[Human] And coffee?\n[AI] A bean.\n[Human] And";

test("self-chat in one go: one call writes all turns, the last human line is dropped, the end is the model's", async () => {
  const model = new SpellingModel("assistant", [script], wide);
  const request = simulatedRequest(model, model, { mode: "transcript", seedItem: seedItem("hot drinks") });
  const { dialogue, events } = await simulate("selfchat", request);
  expect(transcript(dialogue)).toEqual(["U: What is tea?", "A: A leaf.", "U: And coffee?", "A: A bean."]);
  expect(model.requests).toHaveLength(1);
  expect(contents(model, 0)?.[0]).toContain("hot drinks");
  expect(dialogue.stopReason).toBe("end_token");
  expect(dialogue.usage.user.completionTokens + dialogue.usage.assistant.completionTokens).toBe(script.length + 1);
  expect(events.filter(({ type }) => type === "turn_start")).toHaveLength(5);
});

test("self-chat in one go: what holds no round is an empty dialogue", async () => {
  const model = new SpellingModel("assistant", ["I cannot do that."], wide);
  const request = simulatedRequest(model, model, { mode: "transcript", seedItem: seedItem("hot drinks") });
  const { dialogue } = await simulate("selfchat", request);
  expect([dialogue.stopReason, dialogue.turns]).toEqual(["empty_turn", []]);
});

test("self-chat turn by turn: the human's line is asked for with the transcript so far, the assistant sees an ordinary chat", async () => {
  const user = new SpellingModel("assistant", [{ text: " What is tea?\n", cause: "stop_string" }, "And coffee?"], wide);
  const assistant = new SpellingModel("assistant", ["A leaf.", "A bean."], wide);
  const request = simulatedRequest(user, assistant, { mode: "turnwise", seedItem: seedItem("drinks"), maxTurns: 2 });
  const { dialogue } = await simulate("selfchat", request);
  expect(transcript(dialogue)).toEqual(["U: What is tea?", "A: A leaf.", "U: And coffee?", "A: A bean."]);
  expect(user.requests.map(({ stop }) => stop)).toEqual([["[AI]"], ["[AI]"]]);
  expect(contents(user, 0)?.[0]).toMatch(/\[AI\] Hi! How can I help you\?\n\[Human\] $/);
  expect(contents(user, 1)?.[0]).toMatch(/\[Human\] What is tea\?\n\[AI\] A leaf\.\n\[Human\] $/);
  expect(contents(assistant, 1)).toEqual(["user: What is tea?", "assistant: A leaf.", "user: And coffee?"]);
});

test.each([
  ["learned", "free"],
  ["learned", "seeded"],
  ["prequery", "free"],
  ["roleplay", "free"],
  ["selfchat", "turnwise"],
  ["selfchat", "transcript"],
] as const)("%s, %s: resumed after any turn, the dialogue is the one that never stopped", async (name, mode) => {
  // Replies depend on the prompt and the seed alone, as a model's do.
  const reply = (request: { readonly sampling: { readonly seed: number }; readonly messages: readonly unknown[] }) =>
    mode === "transcript" ? script : `${request.messages.length} ${request.sampling.seed % 1000}?`;
  const fresh = () => [new SpellingModel("user", reply, wide), new SpellingModel("assistant", reply, wide)] as const;
  const item = name === "prequery" || mode === "free" ? null : seedItem("Tell.");
  const request = { mode, seedItem: item, maxTurns: mode === "transcript" ? null : 3 };
  const whole = await simulate(name, simulatedRequest(...fresh(), request));
  expect(whole.dialogue.turns.length).toBeGreaterThan(2);
  for (let kept = 1; kept < whole.dialogue.turns.length; kept += 1) {
    const past = whole.dialogue.turns.slice(0, kept);
    const resumed = await simulate(name, simulatedRequest(...fresh(), { ...request, past }));
    expect(transcript(resumed.dialogue)).toEqual(transcript(whole.dialogue));
    expect(resumed.dialogue.stopReason).toBe(whole.dialogue.stopReason);
  }
});

test("a range of rounds: each dialogue has as many as its seed draws, and all of the range come up", async () => {
  const counts = new Set<number>();
  for (let dialogueIndex = 0; dialogueIndex < 30; dialogueIndex += 1) {
    const model = new SpellingModel("assistant", () => "Well?", wide);
    const stopRules = { ...noStopRules, turnRange: { min: 2, max: 4 } };
    const { dialogue } = await simulate("prequery", simulatedRequest(model, model, { dialogueIndex, stopRules }));
    expect(dialogue.turns.at(-1)?.turn).toBe(2 + drawBelow(3, 7, "turns", dialogueIndex));
    counts.add(dialogue.turns.at(-1)?.turn ?? 0);
  }
  expect([...counts].toSorted((a, b) => a - b)).toEqual([2, 3, 4]);
});
