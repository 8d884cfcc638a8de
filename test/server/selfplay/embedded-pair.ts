// Shared by the tests that let two real models, the seed pair, talk: opens them as the gateway does and counts what they compute.
import type { EngineObserver, EngineStep } from "../../../runtime/chat-model.ts";
import { type Config, readConfig } from "../../../server/config.ts";
import type { ModelCatalog } from "../../../server/model-catalog.ts";
import { openRegistry } from "../../../server/registry.ts";
import { MODELS_FOLDER } from "../../support/engine.ts";

export interface EmbeddedPair {
  readonly catalog: ModelCatalog;
  /** Tokens the network has computed for a model since the start, by the kind of run. */
  computedTokens(modelId: string, kind: EngineStep["kind"]): number;
}

/** Answers do not depend on what runs beside them: a run of one row or of one prompt token is made one of two. */
export async function openEmbeddedPair(
  changes: Partial<Pick<Config, "slotsPerModel" | "contextWindowCap">>,
): Promise<EmbeddedPair> {
  const computed = new Map<string, number>();
  const observer: EngineObserver = {
    onStep(modelId, { kind, tokens }) {
      const key = `${modelId} ${kind}`;
      computed.set(key, (computed.get(key) ?? 0) + tokens);
    },
    onSequenceEnd() {},
    onState() {},
  };
  const config = {
    ...readConfig(["--device", "cpu", "--batch-invariant", "on", "--models", MODELS_FOLDER], {}),
    ...changes,
  };
  const catalog = await openRegistry(config, observer, new AbortController().signal);
  return { catalog, computedTokens: (modelId, kind) => computed.get(`${modelId} ${kind}`) ?? 0 };
}
