// Opens a real engine on a model of the seed pair, with invariants checked after every step and everything recorded.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EngineSequenceEnd, EngineState, EngineStep } from "../../runtime/chat-model.ts";
import type { Decoder } from "../../runtime/engine/decoder.ts";
import { openDecoder } from "../../runtime/engine/decoder.ts";
import type { SequenceEvent, SequenceRequest } from "../../runtime/engine-api.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import type { EngineOptions } from "../../runtime/engine/engine.ts";
import type { Manifest } from "../../runtime/manifest.ts";
import { chooseDevice } from "../../runtime/ort/device.ts";
import type { DeviceName } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";
import { greedy } from "./sampling.ts";

/** The pair that tests run on: small, quick, and as fixed as their golden values. */
export const MODELS_FOLDER = join(import.meta.dirname, "..", "fixtures", "seed-pair");

export interface TestEngine {
  readonly engine: Engine;
  readonly steps: EngineStep[];
  readonly ends: EngineSequenceEnd[];
  readonly states: EngineState[];
  /** One digest of the best 64 logits for every row a token was drawn from. */
  readonly drawn: Set<string>;
  readonly violations: string[];
}

export async function openTestEngine(
  overrides: Partial<EngineOptions> = {},
  place: { id?: string; device?: DeviceName } = {},
): Promise<TestEngine> {
  const folder = join(MODELS_FOLDER, place.id ?? "usergpt");
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as Manifest;
  const environment = openEnvironment({ threads: 1 });
  const options = {
    modelId: manifest.id,
    contextWindow: manifest.contextWindow,
    vocabSize: manifest.network.vocabSize,
    slots: 8,
    prefillChunkTokens: 64,
    isBatchInvariant: true,
    maxWaitingRequests: 64,
    maxWaitingTokens: 100_000,
    ...overrides,
  };
  const decoder = await openDecoder(
    environment,
    chooseDevice(environment.api, place.device ?? "cpu", "float32", () => {}),
    {
      folder,
      manifest,
      slots: options.slots,
      maxTokens: options.contextWindow,
      prefillChunkTokens: options.prefillChunkTokens,
    },
  );
  const steps: EngineStep[] = [];
  const ends: EngineSequenceEnd[] = [];
  const states: EngineState[] = [];
  const drawn = new Set<string>();
  const violations: string[] = [];
  const engine: Engine = new Engine(environment, recordDraws(decoder, drawn), {
    ...options,
    observer: {
      onStep: (_, step) => steps.push(step),
      onSequenceEnd: (_, end) => ends.push(end),
      onState(_, state) {
        states.push(state);
        // The first report comes from inside the constructor.
        if (states.length > 1) violations.push(...engine.checkInvariants());
      },
    },
  });
  return { engine, steps, ends, states, drawn, violations };
}

function recordDraws(decoder: Decoder, drawn: Set<string>): Decoder {
  const { head } = decoder;
  return {
    ...decoder,
    head: {
      ...head,
      async top(temperatures, count) {
        const tops = await head.top(temperatures, count);
        for (const top of tops) drawn.add(digest(Float32Array.from(top.logits)));
        return tops;
      },
    },
  };
}

function digest(values: Float32Array): string {
  return createHash("sha256").update(values).digest("base64");
}

export function requestOf(promptIds: readonly number[], changes: Partial<SequenceRequest> = {}): SequenceRequest {
  return {
    promptIds,
    sampling: greedy,
    choiceIndex: 0,
    maxTokens: 20,
    stopIds: new Set(),
    bannedFirstIds: new Set(),
    ...changes,
  };
}

export interface Collected {
  readonly ids: readonly number[];
  readonly cachedTokens: number | null;
  readonly end: (SequenceEvent & { type: "end" }) | null;
}

/** Runs a request to its end. */
export async function collect(
  engine: Engine,
  request: SequenceRequest,
  signal: AbortSignal = new AbortController().signal,
): Promise<Collected> {
  const ids: number[] = [];
  let cachedTokens: number | null = null;
  let end: Collected["end"] = null;
  for await (const event of engine.generate(request, signal)) {
    if (event.type === "token") ids.push(event.id);
    if (event.type === "prompt") cachedTokens = event.cachedTokens;
    if (event.type === "end") end = event;
  }
  return { ids, cachedTokens, end };
}
