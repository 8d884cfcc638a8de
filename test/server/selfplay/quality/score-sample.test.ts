// What a job's own user model finds of its user turns, over the repository's own pair.
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ChatMessage } from "../../../../runtime/chat-model.ts";
import { createApp } from "../../../../server/app.ts";
import { createLifecycle } from "../../../../server/lifecycle.ts";
import { createLog } from "../../../../server/log.ts";
import { createServices } from "../../../../server/services.ts";
import { testConfig, testMetrics } from "../../../support/app-harness.ts";
import { type EmbeddedPair, openEmbeddedPair } from "../embedded-pair.ts";

interface Answer {
  readonly id: string;
  readonly status: string;
  readonly error: { readonly param: string };
  readonly user_turn_perplexity: readonly Readonly<Record<string, unknown>>[];
  readonly data: readonly Dialogue[];
}

interface Dialogue {
  readonly messages: readonly ChatMessage[];
  readonly system: { readonly user: string };
  readonly trace: readonly { readonly token_ids: readonly number[]; readonly cause: string }[];
  readonly quality: { readonly user_turn_scores?: readonly object[] };
}

const config = testConfig();
let pair: EmbeddedPair;
beforeAll(async () => {
  pair = await openEmbeddedPair({ slotsPerModel: 4 });
});
afterAll(async () => {
  await pair.catalog.close();
  await rm(config.dataFolder, { recursive: true, force: true });
});

/** A gateway on the test's data folder, to be closed before the next is opened. */
function gateway() {
  const [log, metrics] = [createLog("silent"), testMetrics()];
  metrics.describe(pair.catalog.list().map(({ info }) => info));
  const services = createServices({ catalog: pair.catalog, config, log, metrics });
  const app = createApp({ catalog: pair.catalog, config, lifecycle: createLifecycle(), log, metrics, services });
  return {
    async send(method: string, path: string, body?: object): Promise<Answer> {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const headers = { "content-type": "application/json" };
      return (await (await app.request(path, { method, headers, ...sent })).json()) as Answer;
    },
    async close() {
      await services.drain(AbortSignal.abort());
      await services.close();
    },
  };
}

it("is exp of minus the mean log-probability that the model gives when asked, computed once and kept for other gateways", async () => {
  const first = gateway();
  const seeds = { format: "plain", text: "I want to know why the sky is blue.\nI look for a good book." };
  const body = { count: 4, seed: 11, max_turns: 2, mode: "intent", seeds, sampling: { user: { max_tokens: 24 } } };
  const { id } = await first.send("POST", "/v1/selfplay/jobs", body);
  const path = `/v1/selfplay/jobs/${id}`;
  await expect.poll(async () => (await first.send("GET", path)).status, { timeout: 60_000 }).toBe("completed");

  // A request waits two seconds at most, and a busy machine may need longer.
  const { length: kept } = (await first.send("GET", `${path}/dialogues?unique=true`)).data;
  const scored = async () => (await first.send("GET", `${path}/quality`)).user_turn_perplexity[0]?.["dialogues"];
  await expect.poll(scored, { timeout: 60_000 }).toBe(kept);
  const [figure, ...others] = (await first.send("GET", `${path}/quality`)).user_turn_perplexity;
  const { data } = await first.send("GET", `${path}/dialogues?unique=true`);
  const model = pair.catalog.get("usergpt");
  const values: number[] = [];
  for (const { messages, system, trace, quality } of data) {
    expect(quality.user_turn_scores).toHaveLength(1);
    expect(system.user).toMatch(/^I /);
    const heard = messages.map((message, index): ChatMessage => {
      const { token_ids: tokenIds, cause } = trace[index]!;
      if (message.role !== "user") return message;
      return { role: "user", content: message.content, tokenIds, isCutOff: cause === "max_tokens" };
    });
    const own: readonly ChatMessage[] = [{ role: "system", content: system.user }, ...heard];
    const scores = (await model!.score!(own, new AbortController().signal)).map((turn) => turn.logProbabilities);
    values.push(...scores.flat());
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(others).toEqual([]);
  expect(figure).toEqual({
    model: "usergpt",
    model_hash: model!.info.modelHash,
    value: expect.closeTo(Math.exp(-mean), 9),
    tokens: values.length,
    turns: data.length * 2,
    dialogues: data.length,
    unscored: 0,
  });
  await first.close();

  const computed = pair.computedTokens("usergpt", "prefill");
  const second = gateway();
  expect((await second.send("GET", `${path}/quality`)).user_turn_perplexity).toEqual([figure]);
  const asked = { perplexity: { model: "usergpt", sample: 4 } };
  expect((await second.send("POST", `${path}/quality`, asked)).user_turn_perplexity).toEqual([figure]);
  expect(pair.computedTokens("usergpt", "prefill")).toBe(computed);
  const refused = await second.send("POST", `${path}/quality`, { perplexity: { model: "realm" } });
  expect(refused.error.param).toBe("perplexity.model");
  await second.close();
});
