import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { orPlainSampling, readRecommendedSampling } from "../../runtime/generation-config.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "generation-config-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const read = async (content: unknown) => {
  await writeFile(join(folder, "generation_config.json"), JSON.stringify(content));
  return readRecommendedSampling(folder);
};

it("what is not recommended is plain sampling", async () => {
  expect(await readRecommendedSampling(join(folder, "nowhere"))).toBeNull();
  expect(orPlainSampling(null)).toEqual({ temperature: 1, topP: 1, topK: 0, minP: 0 });
  expect(await read({ eos_token_id: 4 })).toEqual({ temperature: 1, topP: 1, topK: 0, minP: 0 });
});

it("a recommendation is taken as it is", async () => {
  expect(await read({ temperature: 0.8, top_p: 0.95, top_k: 40, min_p: 0.05, do_sample: true })).toEqual({
    temperature: 0.8,
    topP: 0.95,
    topK: 40,
    minP: 0.05,
  });
});

it("do_sample: false means greedy, whatever the temperature", async () => {
  expect(await read({ do_sample: false, temperature: 0.7 })).toMatchObject({ temperature: 0 });
});

it.each([
  [{ temperature: "hot" }, "temperature"],
  [{ temperature: -1 }, "temperature"],
  [{ top_p: 2 }, "top_p"],
  [{ do_sample: "yes" }, "do_sample"],
])("nonsense is refused with the name of the field: %j", async (content, field) => {
  await expect(read(content)).rejects.toThrow(`generation_config.json: field ${field} must be`);
});
