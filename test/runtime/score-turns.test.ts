import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ChatMessage, ChatModel, ModelInfo, ModelRole } from "../../runtime/chat-model.ts";
import { createLocalModel } from "../../runtime/local-model.ts";
import { loadModel } from "../../runtime/load-model.ts";
import { createChatTemplate } from "../../runtime/text/chat-template.ts";
import { MODELS_FOLDER } from "../support/engine.ts";
import { createScriptedEngine, type ScriptedEngine } from "../support/scripted-engine.ts";
import { lettersOf, tiny, tinyControls, tinyTemplate, tinyTokenizer } from "../support/tokenizers.ts";

const never = new AbortController().signal;

function setUp(
  role: ModelRole,
  contextWindow = 64,
  source = tinyTemplate(role),
): { engine: ScriptedEngine; model: ChatModel } {
  const engine = createScriptedEngine({ contextWindow });
  const specialTokens = { bos_token: "<|begin|>" };
  const template = createChatTemplate({ source, specialTokens, controlTokens: tinyControls, role });
  const parts = { tokenizer: tinyTokenizer(), template, stopIds: [tiny.end, tiny.bye], endOfConversationId: tiny.bye };
  return { engine, model: createLocalModel({ ...parts, info: { id: "tiny", role } as ModelInfo, engine }) };
}

const messages: readonly ChatMessage[] = [
  { role: "user", content: "ab" },
  { role: "assistant", content: "cde" },
  { role: "user", content: "f" },
];

describe("what is scored are the turns of the model's role, each with the token that ends it:", () => {
  it("a user's", async () => {
    const { engine, model } = setUp("user");
    const scores = await model.score?.(messages, never);
    expect(scores?.map(({ messageIndex, tokenIds }) => ({ messageIndex, tokenIds }))).toEqual([
      { messageIndex: 0, tokenIds: [...lettersOf("ab"), tiny.end] },
      { messageIndex: 2, tokenIds: [...lettersOf("f"), tiny.end] },
    ]);
    // begin, user, a, b, end, assistant, c, d, e, end, user, f, end
    expect(engine.scored[0]?.positions).toEqual([2, 3, 4, 11, 12]);
    expect(engine.scored[0]?.ids).toHaveLength(13);
    expect(scores?.[1]?.logProbabilities).toEqual([...lettersOf("f"), tiny.end].map((id) => -id));
  });

  it("an assistant's, and nothing behind its last one", async () => {
    const { engine, model } = setUp("assistant");
    const scores = await model.score?.(messages, never);
    expect(scores).toMatchObject([{ messageIndex: 1, tokenIds: [...lettersOf("cde"), tiny.end] }]);
    expect(engine.scored[0]?.ids).toHaveLength(10);
  });

  it("with the ids it sampled, where they are known", async () => {
    const { model } = setUp("user");
    const [hi] = tinyTokenizer().encode([{ type: "plain", text: "hi" }]);
    const sampled = lettersOf("hi");
    expect([hi]).not.toEqual(sampled);
    const scores = await model.score?.([{ role: "user", content: "hi", tokenIds: sampled }], never);
    expect(scores?.[0]?.tokenIds).toEqual([...sampled, tiny.end]);
    const encoded = await model.score?.([{ role: "user", content: "hi" }], never);
    expect(encoded?.[0]?.tokenIds).toEqual([hi, tiny.end]);
  });

  it("without an end where the template writes none", async () => {
    const open =
      "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|user|>' }}{% endif %}";
    const { model } = setUp("user", 64, open);
    expect((await model.score?.(messages, never))?.map(({ tokenIds }) => tokenIds)).toEqual([
      lettersOf("ab"),
      lettersOf("f"),
    ]);
  });
});

it("a dialogue without a turn of the role needs no engine", async () => {
  const { engine, model } = setUp("assistant");
  expect(await model.score?.([{ role: "user", content: "ab" }], never)).toEqual([]);
  expect(await model.score?.([], never)).toEqual([]);
  expect(engine.scored).toEqual([]);
});

it("a dialogue longer than the window is refused with both lengths", async () => {
  const { model } = setUp("user", 12);
  await expect(model.score?.(messages, never)).rejects.toThrow(
    "The dialogue has 13 tokens; the model's window has 12.",
  );
  await expect(setUp("user", 13).model.score?.(messages, never)).resolves.toHaveLength(2);
});

it("the embedded user simulator finds a real opener more probable than its words shuffled", async () => {
  const settings = {
    device: "cpu",
    threads: 1,
    isSpinning: true,
    libraryPath: null,
    slots: 2,
    contextWindow: null,
    prefillChunkTokens: 64,
    maxWaitingRequests: 4,
    maxWaitingTokens: 4096,
  } as const;
  const observer = { onStep() {}, onSequenceEnd() {}, onState() {} };
  const model = await loadModel(
    join(MODELS_FOLDER, "usergpt"),
    { settings, batchInvariant: "auto", onDeviceFallback() {} },
    observer,
    never,
  );
  try {
    const meanOf = async (content: string): Promise<number> => {
      const [score] = (await model.score?.([{ role: "user", content }], never)) ?? [];
      const values = score?.logProbabilities ?? [];
      expect(values.every((value) => value < 0)).toBe(true);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    expect(await meanOf("I would like to find a place to eat in San Jose.")).toBeGreaterThan(
      (await meanOf("Jose to a like I eat in place San find to would.")) + 1,
    );
  } finally {
    await model.close();
  }
});
