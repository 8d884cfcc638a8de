// Owns `generation_config.json`: how the makers of a model recommend to sample from it.
// It does not apply anything: a request says itself how it is sampled.
import { join } from "node:path";
import type { ModelInfo } from "./chat-model.ts";
import { FieldReader, readOptionalJsonObject } from "./importer/json.ts";

export const generationConfigName = "generation_config.json";

export type RecommendedSampling = ModelInfo["recommendedSampling"];

/** Plain sampling from the whole distribution: what holds where nothing is recommended. */
const plainSampling: RecommendedSampling = { temperature: 1, topP: 1, topK: 0, minP: 0 };

/** Reads a folder's recommendation; null when there is no such file. `do_sample: false` means greedy. */
export async function readRecommendedSampling(folder: string): Promise<RecommendedSampling | null> {
  const content = await readOptionalJsonObject(join(folder, generationConfigName));
  return content === null ? null : recommendedSampling(new FieldReader(content, generationConfigName));
}

/** What is recommended where a model folder says nothing. */
export const orPlainSampling = (recommended: RecommendedSampling | null) => recommended ?? plainSampling;

function recommendedSampling(reader: FieldReader): RecommendedSampling {
  const within = (field: string, fallback: number, lowest: number, highest: number) => {
    const value = reader.has(field) ? reader.raw(field) : fallback;
    if (typeof value === "number" && value >= lowest && value <= highest) return value;
    throw reader.error(field, `must be a number from ${lowest} to ${highest}, found ${JSON.stringify(value)}`);
  };
  const temperature = within("temperature", plainSampling.temperature, 0, 100);
  return {
    temperature: reader.boolean("do_sample", true) ? temperature : 0,
    topP: within("top_p", plainSampling.topP, 0, 1),
    topK: within("top_k", plainSampling.topK, 0, Number.MAX_SAFE_INTEGER),
    minP: within("min_p", plainSampling.minP, 0, 1),
  };
}
