// From a request to a simulation: defaults, and every combination that makes no sense refused by the field that would have to change.
import { expect, test } from "vitest";
import { ApiError } from "../../../../server/openai/error.ts";
import { validate } from "../../../../server/openai/validation.ts";
import { selfplaySchema } from "../../../../server/selfplay/schema.ts";
import { checkSeedRounds, toPromptedSimulation } from "../../../../server/selfplay/simulators/simulation-request.ts";
import { scriptedModel } from "../../../support/scripted-model.ts";
import { catalogOf } from "../play.ts";
import { seedItem } from "./simulate.ts";

const catalog = catalogOf(
  scriptedModel({ info: { id: "usergpt", role: "user", contextWindow: 512 } }),
  scriptedModel({ info: { id: "realm", role: "assistant", contextWindow: 1024 } }),
  scriptedModel({ info: { id: "cloud", role: "assistant", device: "remote" } }),
);
const simulation = (body: object) => toPromptedSimulation(validate(selfplaySchema, body), catalog, "dlg_1");
const players = (body: object) => {
  const { user, assistant } = simulation(body).request;
  return [user.model.info.id, assistant.model.info.id];
};
const round = [
  { role: "user", content: "Why?" },
  { role: "assistant", content: "So." },
];

test("without a word about it the simulator is the learned one, free, and nothing is checked", () => {
  const { simulator, request } = simulation({});
  expect([simulator, request.mode, request.seedItem, request.guardrails, request.bestOf]).toEqual([
    "learned",
    "free",
    null,
    null,
    null,
  ]);
  expect(request.stopRules).toEqual({ hasEndToken: true, judge: null, maxDialogueTokens: null, turnRange: null });
});

test.each([
  [{ messages: round }, "seeded"],
  [{ prompt: "Why?" }, "seeded"],
  [{ messages: [{ role: "system", content: "Be brief." }] }, "free"],
  [{ mode: "intent", prompt: "A tent." }, "intent"],
  [{ mode: "profile", system: { user: "Old." } }, "profile"],
  [{ simulator: "selfchat", prompt: "tea" }, "transcript"],
  [{ simulator: "selfchat", mode: "turnwise", prompt: "tea" }, "turnwise"],
  [{ simulator: "roleplay" }, "free"],
  [{ simulator: "roleplay", prompt: "tea" }, "free"],
  [{ simulator: "prequery" }, "free"],
  [{ simulator: "prequery", messages: round }, "free"],
])("%j is played in mode %s", (body, mode) => {
  expect(simulation(body).request.mode).toBe(mode);
});

test("the user is played by the user's model, or where an assistant plays it, by the assistant's unless told otherwise", () => {
  expect(players({})).toEqual(["usergpt", "realm"]);
  expect(players({ simulator: "prequery" })).toEqual(["realm", "realm"]);
  expect(players({ simulator: "roleplay", assistant: "cloud" })).toEqual(["cloud", "cloud"]);
  expect(players({ simulator: "roleplay", user: "cloud" })).toEqual(["cloud", "realm"]);
});

test("a question is bounded whoever asks it; a transcript is not", () => {
  expect(simulation({ simulator: "roleplay" }).request.user.maxTokens).toBe(512);
  expect(simulation({ simulator: "selfchat", prompt: "tea" }).request.user.maxTokens).toBeNull();
  const bounded = { simulator: "selfchat", prompt: "tea", sampling: { user: { max_tokens: 900 } } };
  expect(simulation(bounded).request.user.maxTokens).toBe(900);
});

test("guard-rails: true is the usual ones, an object changes what it names, false is none", () => {
  expect(simulation({ guardrails: false }).request.guardrails).toBeNull();
  expect(simulation({ guardrails: true }).request.guardrails).toEqual(
    simulation({ guardrails: {} }).request.guardrails,
  );
  const guardrails = { first_words: ["I", "You", "Here"], min_words: 3, max_words: 25, repeat: false, redraws: 9 };
  expect(simulation({ guardrails }).request.guardrails).toEqual({
    bannedFirstWords: ["I", "You", "Here"],
    minWords: 3,
    maxWords: 25,
    hasRepeatCheck: false,
    hasLeakCheck: true,
    hasEmptyCheck: true,
    hasPolitenessCheck: false,
    redraws: 9,
  });
});

test("stop rules and best-of are filled in, judges found by id", () => {
  const judge = { model: "realm", from_turn: 3, retries: 1 };
  const { request } = simulation({
    best_of: { n: 3, judge: "cloud" },
    stop: { end_token: false, tokens: 900, turns: { min: 2, max: 4 }, judge },
  });
  expect(request.stopRules).toEqual({
    hasEndToken: false,
    maxDialogueTokens: 900,
    turnRange: { min: 2, max: 4 },
    judge: { model: catalog.get("realm"), fromTurn: 3, retries: 1 },
  });
  expect(request.bestOf).toEqual({ count: 3, judge: { model: catalog.get("cloud"), retries: 2 } });
});

test("the usual bound of a question is no contradiction, however small the other's window", () => {
  const small = catalogOf(
    scriptedModel({ info: { id: "usergpt", role: "user", contextWindow: 256 } }),
    scriptedModel({ info: { id: "realm", role: "assistant", contextWindow: 256 } }),
  );
  const { request } = toPromptedSimulation({}, small, "dlg_1");
  const written = { sampling: { user: { max_tokens: request.user.maxTokens } } };
  expect(toPromptedSimulation(written, small, "dlg_1").request.user.maxTokens).toBe(512);
});

test.each([
  [{ max_turns: 1 }, "max_turns"],
  [{ stop: { turns: { min: 1, max: 1 } } }, "stop.turns.max"],
  [{ stop: { turns: { min: 1, max: 3 } } }, "stop.turns.min"],
])("%j leaves no round to add to a seed with its answer, though to a lone question", (body, param) => {
  const { request } = simulation({ ...body, prompt: "Why?" });
  const items = [seedItem("Why?"), seedItem("How?")];
  expect(() => checkSeedRounds(request, items)).not.toThrow();
  expect(() => checkSeedRounds(request, [...items, seedItem("Who?", "Bob.")])).toThrow(
    expect.objectContaining({ status: 400, body: expect.objectContaining({ param }) }),
  );
});

test.each([
  [{ simulator: "oracle" }, "simulator"],
  [{ mode: "dream" }, "mode"],
  [{ mode: "transcript" }, "mode"],
  [{ simulator: "selfchat", mode: "free", prompt: "tea" }, "mode"],
  [{ mode: "seeded" }, "mode"],
  [{ mode: "intent" }, "mode"],
  [{ mode: "profile" }, "mode"],
  [{ mode: "free", messages: round }, "mode"],
  [{ mode: "free", prompt: "tea" }, "prompt"],
  [{ simulator: "prequery", prompt: "tea" }, "prompt"],
  [{ simulator: "selfchat" }, "prompt"],
  [{ mode: "seeded", messages: round, prompt: "tea" }, "prompt"],
  [{ simulator: "selfchat", prompt: "tea", messages: round }, "messages"],
  [{ simulator: "roleplay", messages: round, prompt: "tea" }, "prompt"],
  [{ prompt: "" }, "prompt"],
  [{ simulator: "roleplay", user: "usergpt" }, "user"],
  [{ user: "realm" }, "user"],
  [{ simulator: "prequery", user: "cloud" }, "simulator"],
  [{ guardrails: { min_words: 9, max_words: 3 } }, "guardrails.min_words"],
  [{ guardrails: { first_words: ["two words"] } }, "guardrails.first_words[0]"],
  [{ guardrails: { redraws: -1 } }, "guardrails.redraws"],
  [{ guardrails: { sober: true } }, "guardrails.sober"],
  [{ guardrails: "strict" }, "guardrails"],
  [{ stop: { turns: { min: 5, max: 2 } } }, "stop.turns.min"],
  [{ stop: { turns: { min: 5 } } }, "stop.turns.max"],
  [{ stop: { turns: { min: 5, max: 9 } }, max_turns: 3 }, "stop.turns.min"],
  [{ stop: { tokens: 0 } }, "stop.tokens"],
  [{ stop: { judge: { model: "usergpt" } } }, "stop.judge.model"],
  [{ stop: { judge: { model: "realm", from_turn: 4 } }, max_turns: 3 }, "stop.judge.from_turn"],
  [{ stop: { judge: {} } }, "stop.judge.model"],
  [{ stop: { whim: true } }, "stop.whim"],
  [{ best_of: { n: 1, judge: "realm" } }, "best_of.n"],
  [{ best_of: { n: 2 } }, "best_of.judge"],
  [{ best_of: { n: 2, judge: "usergpt" } }, "best_of.judge"],
  [{ simulator: "selfchat", prompt: "tea", best_of: { n: 2, judge: "realm" } }, "best_of"],
  [{ sampling: { assistant: { max_tokens: 512 } } }, "sampling.assistant.max_tokens"],
  [{ sampling: { user: { max_completion_tokens: 1024 } } }, "sampling.user.max_tokens"],
])("%j is a 400 that names %s", (body, param) => {
  const refused = () => simulation(body);
  expect(refused).toThrow(ApiError);
  expect(refused).toThrow(expect.objectContaining({ status: 400, body: expect.objectContaining({ param }) }));
});

test.each([
  [{ stop: { judge: { model: "nobody" } } }, "stop.judge.model"],
  [{ best_of: { n: 2, judge: "nobody" } }, "best_of.judge"],
  [{ simulator: "roleplay", user: "nobody" }, "user"],
])("%j asks for a model that is not there: a 404 that names %s", (body, param) => {
  expect(() => simulation(body)).toThrow(
    expect.objectContaining({ status: 404, body: expect.objectContaining({ param, code: "model_not_found" }) }),
  );
});
