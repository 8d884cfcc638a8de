import { expect, it } from "vitest";
import { chooseDevice } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";
import { collect, openTestEngine, requestOf } from "../support/engine.ts";

// Keys and values that live in device memory, on any machine with a Vulkan driver; SwiftShader is one in software.
function hasWebGpu(): boolean {
  const environment = openEnvironment({ threads: 2 });
  try {
    chooseDevice(environment.api, "webgpu", "float32", () => {});
    return true;
  } catch (error) {
    console.log(`left out: ${(error as Error).message}`);
    return false;
  } finally {
    environment.release();
  }
}

it.runIf(hasWebGpu())(
  "device memory gives the CPU's tokens, with reuse and cancellation",
  { timeout: 280_000 },
  async () => {
    const cpu = await openTestEngine();
    const gpu = await openTestEngine({ slots: 2, isBatchInvariant: false }, { device: "webgpu" });
    const prompts = [[0, 2], [0, 3, 300, 400, 500, 4, 2], Array.from({ length: 70 }, (_, index) => 10 + index * 7)];
    const requests = prompts.map((prompt) => requestOf(prompt, { maxTokens: 6 }));
    const expected = await Promise.all(requests.map((request) => collect(cpu.engine, request)));
    const got = await Promise.all(requests.map((request) => collect(gpu.engine, request)));
    expect(got.map(({ ids }) => ids)).toEqual(expected.map(({ ids }) => ids));
    // Continue the third conversation: its slot lives on in device memory.
    const longer = requestOf([...prompts[2]!, ...expected[2]!.ids, 4, 2], { maxTokens: 4 });
    const continued = await collect(gpu.engine, longer);
    expect(continued.ids).toEqual((await collect(cpu.engine, longer)).ids);
    expect(continued.cachedTokens).toBe(75);
    // A request that needs the whole row of logits copies it out.
    const biased = requestOf([0, 2], {
      maxTokens: 2,
      sampling: { ...longer.sampling, logitBias: new Map([[100, 90]]) },
    });
    expect((await collect(gpu.engine, biased)).ids).toEqual([100, 100]);
    for await (const event of gpu.engine.generate(requestOf([0, 2]), new AbortController().signal)) {
      if (event.type === "token") break;
    }
    await Promise.all([cpu.engine.close(), gpu.engine.close()]);
    expect(gpu.violations).toEqual([]);
    expect(gpu.states.at(-1)).toMatchObject({ running: 0, usedSlots: 0 });
  },
);
