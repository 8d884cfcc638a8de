import { afterEach, expect, it } from "vitest";
import { collect, openTestEngine, requestOf, type TestEngine } from "../../support/engine.ts";

let test: TestEngine | null = null;
afterEach(async () => {
  await test?.engine.close();
});

it("a request that comes while the engine is about to sleep is served, whatever the moment", async () => {
  test = await openTestEngine();
  const { engine, violations } = test;
  for (let ticks = 0; ticks < 12; ticks += 1) {
    // Idle; then woken by a request that is gone at once.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const controller = new AbortController();
    const gone = collect(engine, requestOf([0, 11], { maxTokens: 1 }), controller.signal).catch(() => null);
    controller.abort();
    for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
    const served = collect(engine, requestOf([0, 500 + ticks], { maxTokens: 1 }));
    const late = new Promise<null>((resolve) => setTimeout(resolve, 2000, null));
    expect(await Promise.race([served, late])).toMatchObject({ end: { reason: "max_tokens" } });
    expect(await gone).toBeNull();
  }
  expect(violations).toEqual([]);
});
