import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChatRequest, EngineObserver } from "../../runtime/chat-model.ts";
import { loadModel, type LoadOptions, type OpenEngine } from "../../runtime/load-model.ts";
import { decodeText } from "../../runtime/text/text-stream.ts";
import { loadTokenizer } from "../../runtime/text/tokenizer.ts";
import { tinyVocabSize, writeModelFolder } from "../support/model-folder.ts";
import { createScriptedEngine } from "../support/scripted-engine.ts";
import { tiny, tinyTemplate } from "../support/tokenizers.ts";

const never = new AbortController().signal;
const observer: EngineObserver = { onStep: () => {}, onSequenceEnd: () => {}, onState: () => {} };
const options: LoadOptions = {
  settings: {
    device: "cpu",
    threads: 1,
    isSpinning: true,
    libraryPath: null,
    slots: 2,
    contextWindow: null,
    prefillChunkTokens: 64,
    maxWaitingRequests: 8,
    maxWaitingTokens: 10_000,
  },
  batchInvariant: "auto",
  onDeviceFallback: () => {},
};

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "load-model-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Opens scripted engines, and remembers with what. */
function scriptedOpen() {
  const opened: Parameters<OpenEngine>[] = [];
  const open: OpenEngine = async (...given) => {
    opened.push(given);
    const engine = createScriptedEngine({ contextWindow: 48, vocabSize: tinyVocabSize, script: [tiny.end] });
    return { engine, device: "cpu" };
  };
  return { open, opened };
}

const greedy = (messages: ChatRequest["messages"]): ChatRequest => ({
  messages,
  sampling: {
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: new Map(),
    seed: 0,
  },
  choiceIndex: 0,
  maxTokens: 40,
  stop: [],
  mustSpeak: true,
});

const config = (fields: object) => JSON.stringify({ bos_token: "<|begin|>", ...fields });

it("what is known of a model comes from its folder, its window from the engine", async () => {
  const folder = await writeModelFolder(join(root, "known"), { manifest: { responseRole: "user" } });
  const { open, opened } = scriptedOpen();
  const model = await loadModel(folder, options, observer, never, open);
  expect(model.info).toEqual({
    id: "tiny",
    role: "user",
    contextWindow: 48,
    createdAtS: Date.UTC(2026, 0, 2, 3, 4, 5) / 1000,
    ownedBy: "realchat",
    device: "cpu",
    precision: "int8",
    modelHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    templateHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    responseRole: "user",
    vocabSize: tinyVocabSize,
    recommendedSampling: { temperature: 0.8, topP: 0.95, topK: 0, minP: 0 },
    provenance: { source: "written by a test", licence: "Apache-2.0" },
  });
  expect(opened[0]?.slice(0, 1)).toEqual([folder]);
  expect(opened[0]?.[3]).toBe(observer);
});

it.each([
  ["auto", undefined, 2, false],
  ["auto", true, 2, true],
  ["auto", true, 1, false],
  ["on", false, 2, true],
  ["off", true, 2, false],
] as const)(
  "batch invariance %s with the manifest's %s and %i slots is %s",
  async (batchInvariant, stated, slots, expected) => {
    const manifest = stated === undefined ? {} : { batchInvariant: stated };
    const folder = await writeModelFolder(join(root, `invariant-${batchInvariant}-${stated}-${slots}`), { manifest });
    const { open, opened } = scriptedOpen();
    await loadModel(
      folder,
      { ...options, batchInvariant, settings: { ...options.settings, slots } },
      observer,
      never,
      open,
    );
    expect(opened[0]?.[2]).toMatchObject({ isBatchInvariant: expected, slots });
  },
);

it("a template in a file of its own comes before the one in tokenizer_config.json", async () => {
  const files = { "chat_template.jinja": tinyTemplate("user").replaceAll("{% endfor %}", "\r\n{% endfor %}") };
  const folder = await writeModelFolder(join(root, "separate"), { files, opens: "assistant" });
  const model = await loadModel(folder, options, observer, never, scriptedOpen().open);
  const plain = await writeModelFolder(join(root, "plain"), {
    files: { "chat_template.jinja": (files["chat_template.jinja"] ?? "").replaceAll("\r\n", "\n") },
  });
  const same = await loadModel(plain, options, observer, never, scriptedOpen().open);
  expect(model.info.templateHash).toBe(same.info.templateHash);
  expect(model.info.modelHash).not.toBe(same.info.modelHash);
});

it("of several named templates the default is taken", async () => {
  const named = [
    { name: "tool_use", template: "{{ nothing }}" },
    { name: "default", template: tinyTemplate("user") },
  ];
  const several = config({ bos_token: { content: "<|begin|>" }, chat_template: named });
  const folder = await writeModelFolder(join(root, "named"), { files: { "tokenizer_config.json": several } });
  await expect(loadModel(folder, options, observer, never, scriptedOpen().open)).resolves.toBeDefined();
});

describe("a folder that cannot be served is refused before its engine is opened", () => {
  it.each([
    [
      "role",
      { role: "user", opens: "assistant" },
      `The chat template opens the assistant's turn, but the manifest says that the model's role is "user".`,
    ],
    ["tokenizer", { files: { "tokenizer.json": null } }, "tokenizer.json: missing"],
    [
      "vocabulary",
      { manifest: { network: { layers: 1, heads: 2, kvHeads: 1, headDim: 16, hiddenSize: 32, vocabSize: 100 } } },
      "tokenizer.json: has ids up to 267, and the network knows 100 tokens",
    ],
    [
      "no-template",
      { files: { "tokenizer_config.json": config({}) } },
      "tokenizer_config.json: field chat_template is missing",
    ],
    [
      "bad-template",
      { files: { "tokenizer_config.json": config({ chat_template: "{% if %}" }) } },
      "The chat template cannot be read",
    ],
    ["json", { files: { "tokenizer_config.json": "[" } }, "tokenizer_config.json: not valid JSON"],
    [
      "generation",
      { files: { "generation_config.json": `{"temperature":"hot"}` } },
      "generation_config.json: field temperature must be",
    ],
    [
      "decoder",
      { files: { "tokenizer.json": `{"model":{"type":"BPE","vocab":{},"merges":[]}}` } },
      "tokenizer.json: decoder is missing",
    ],
  ] as const)("%s", async (name, folderOptions, sentence) => {
    const folder = await writeModelFolder(join(root, `refused-${name}`), folderOptions);
    const { open, opened } = scriptedOpen();
    await expect(loadModel(folder, options, observer, never, open)).rejects.toMatchObject({
      code: "bad_model",
      message: expect.stringContaining(`${folder}: ${sentence}`),
    });
    expect(opened).toEqual([]);
  });

  it("for a text file that its manifest does not vouch for", async () => {
    const folder = await writeModelFolder(join(root, "unlisted"));
    await writeFile(join(folder, "chat_template.jinja"), tinyTemplate("user"));
    await expect(loadModel(folder, options, observer, never, scriptedOpen().open)).rejects.toThrow(
      `${folder}: manifest.json: field files does not list chat_template.jinja`,
    );
  });

  it("for a file that was changed", async () => {
    const folder = await writeModelFolder(join(root, "changed"));
    await writeFile(join(folder, "tokenizer.json"), "{}");
    await expect(loadModel(folder, options, observer, never, scriptedOpen().open)).rejects.toThrow(
      /tokenizer\.json: has 2 bytes/,
    );
  });
});

describe("the embedded pair", () => {
  const models = fileURLToPath(new URL("../../models", import.meta.url));

  it.each(["usergpt", "realm"])("%s talks: its text is that of its ids", async (id) => {
    const model = await loadModel(join(models, id), options, observer, never);
    try {
      const tokenizer = await loadTokenizer(join(models, id));
      const messages = id === "realm" ? [{ role: "user" as const, content: "I want to book a hotel." }] : [];
      let text = "";
      let tokenIds: readonly number[] = [];
      for await (const event of model.generate(greedy(messages), never)) {
        if (event.type === "text") text += event.text;
        if (event.type === "end") tokenIds = event.tokenIds;
      }
      expect(decodeText(tokenizer, tokenIds)).toBe(text);
      expect(text).toMatch(/^[A-Z].*[a-z]/);
    } finally {
      await model.close();
    }
  });
});
