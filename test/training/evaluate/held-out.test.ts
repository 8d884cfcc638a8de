import { describe, expect, it } from "vitest";
import type { ModelInfo, ModelRole } from "../../../runtime/chat-model.ts";
import { createLocalModel } from "../../../runtime/local-model.ts";
import { createChatTemplate } from "../../../runtime/text/chat-template.ts";
import { heldOutFigures } from "../../../training/evaluate/held-out.ts";
import { scoreDialogue } from "../../../training/evaluate/score-dialogue.ts";
import type { Conversation, Utterance } from "../../../training/conversation.ts";
import { scriptedModel } from "../../support/scripted-model.ts";
import { createScriptedEngine } from "../../support/scripted-engine.ts";
import { lettersOf, tiny, tinyControls, tinyTemplate, tinyTokenizer } from "../../support/tokenizers.ts";

const never = new AbortController().signal;

/** Every id has minus itself as log-probability, whatever comes before. */
function tinyModel(role: ModelRole, contextWindow: number) {
  const engine = createScriptedEngine({ contextWindow });
  const specialTokens = { bos_token: "<|begin|>" };
  const template = createChatTemplate({
    source: tinyTemplate(role),
    specialTokens,
    controlTokens: tinyControls,
    role,
  });
  const parts = { tokenizer: tinyTokenizer(), template, stopIds: [tiny.end], endOfConversationId: null };
  return createLocalModel({ ...parts, info: { id: "tiny", role } as ModelInfo, engine });
}

const say = (role: ModelRole, content: string, isContext = false): Utterance => ({
  role,
  content,
  ...(isContext ? { isContext } : {}),
});
const conversation = (...utterances: readonly Utterance[]): Conversation => ({
  id: "c",
  group: "c",
  origin: { file: "f", row: 1 },
  system: { user: null, assistant: null },
  utterances,
  isComplete: true,
  provenance: {},
});
const nats = (...texts: readonly string[]) =>
  texts.flatMap((text) => lettersOf(text).concat(tiny.end)).reduce((sum, id) => sum + id, 0);

const dialogue = conversation(
  say("user", "abc"),
  say("assistant", "de"),
  say("user", "fé"),
  say("assistant", "zx"),
  say("user", "b"),
);

describe("a dialogue's score is the sum over one role's turns", () => {
  it.each(["user", "assistant"] as const)("whichever role the %s model has", async (role) => {
    const model = tinyModel(role, 64);
    expect(await scoreDialogue(model, dialogue, "user", never)).toEqual({
      nats: nats("abc", "fé", "b"),
      tokens: 4 + 4 + 2,
      bytes: 3 + 3 + 1,
      turns: 3,
      windows: 1,
      leftOutTurns: 0,
    });
    const assistant = await scoreDialogue(model, dialogue, "assistant", never);
    expect(assistant).toMatchObject({ nats: nats("de", "zx"), tokens: 6, bytes: 4, turns: 2 });
  });

  it.each([64, 20, 16, 12, 11])("each turn once, in windows of %d tokens", async (window) => {
    const user = await scoreDialogue(tinyModel("user", window), dialogue, "user", never);
    expect(user).toMatchObject({ nats: nats("abc", "fé", "b"), turns: 3, leftOutTurns: 0 });
    expect(user.windows > 1).toBe(window < 21);
    const assistant = await scoreDialogue(tinyModel("assistant", window), dialogue, "assistant", never);
    expect(assistant).toMatchObject({ nats: nats("de", "zx"), turns: 2, leftOutTurns: 0 });
  });

  it("without what only gives context, and with turns counted that no window holds", async () => {
    const repeated = conversation(say("user", "abc", true), say("assistant", "de"), say("user", "f"));
    expect(await scoreDialogue(tinyModel("user", 64), repeated, "user", never)).toMatchObject({ turns: 1, bytes: 1 });
    const long = conversation(say("user", "a"), say("assistant", "b"), say("user", "cdfgjkl"), say("assistant", "m"));
    expect(await scoreDialogue(tinyModel("user", 8), long, "user", never)).toMatchObject({
      nats: nats("a"),
      turns: 1,
      leftOutTurns: 1,
    });
    const answer = conversation(say("user", "a"), say("assistant", "cdfgjkl"));
    expect(await scoreDialogue(tinyModel("assistant", 11), answer, "assistant", never)).toMatchObject({
      turns: 0,
      leftOutTurns: 1,
    });
  });

  it("that a model elsewhere cannot give", async () => {
    const model = scriptedModel({ info: { id: "tiny" } });
    await expect(scoreDialogue(model, dialogue, "user", never)).rejects.toThrow(
      "tiny cannot tell how probable a text is.",
    );
  });
});

const score = (sum: number, tokens: number, bytes: number) => ({
  nats: sum,
  tokens,
  bytes,
  turns: 1,
  windows: 1,
  leftOutTurns: 0,
});

describe("held-out figures", () => {
  it("are of all tokens together, long dialogues counting more", () => {
    const figures = heldOutFigures([score(2, 1, 4), score(10, 11, 20), score(0, 0, 0)], 1);
    expect(figures).toMatchObject({ dialogues: 2, turns: 2, tokens: 12, bytes: 24 });
    expect(figures.natsPerToken?.value).toBeCloseTo(1, 12);
    expect(figures.perplexity?.value).toBeCloseTo(Math.E, 12);
    expect(figures.bitsPerByte?.value).toBeCloseTo(12 / Math.LN2 / 24, 12);
  });

  it("lie in an interval that is the same for the same seed, and narrows with more dialogues", () => {
    const some = Array.from({ length: 20 }, (_, index) => score(10 + (index % 5), 10, 40));
    const figures = heldOutFigures(some, 3);
    const { low, value, high } = figures.bitsPerByte!;
    expect(low).toBeLessThan(value);
    expect(high).toBeGreaterThan(value);
    expect(heldOutFigures(some, 3)).toEqual(figures);
    const many = heldOutFigures([...some, ...some, ...some, ...some], 3).bitsPerByte!;
    expect((many.high - many.low) / (high - low)).toBeCloseTo(0.5, 1);
    // The standard error of the mean of 20 values of this spread, 1.96 times to either side.
    const expected = (2 * 1.96 * Math.sqrt(2 / 20)) / Math.LN2 / 40;
    expect(Math.abs((high - low) / expected - 1)).toBeLessThan(0.15);
  });

  it("are null where there is nothing", () => {
    expect(heldOutFigures([], 1)).toMatchObject({ dialogues: 0, bitsPerByte: null, perplexity: null });
  });
});
