import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EngineError } from "../../runtime/errors.ts";
import {
  type MetricDefinition,
  metricDefinitions,
  metricPrefix,
  metricsTable,
  serviceLevels,
} from "../../server/metrics-table.ts";
import { createMetrics } from "../../server/metrics.ts";
import { createHarness, testMetrics } from "../support/app-harness.ts";
import { type ScriptedReply, sampled, scriptedModel } from "../support/scripted-model.ts";

/** The samples of an exposition: `name{labels}` → value. */
function samples(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

const own = `model="realm",role="assistant"`;
const endpoint = `${own},endpoint="chat_completions"`;

describe("the table of metrics", () => {
  it("is what is exported, name by name and label by label", async () => {
    const text = await testMetrics().render();
    const exported = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => `${name} ${kind}`);
    const defined = Object.entries(metricDefinitions).map(([name, { kind }]) => `${metricPrefix}${name} ${kind}`);
    expect(exported.toSorted()).toEqual(defined.toSorted());
  });

  it("has the name and the meaning of every metric as the README shows it", () => {
    const table = metricsTable();
    for (const [name, { meaning }] of Object.entries(metricDefinitions)) {
      expect(table).toContain(`| \`${metricPrefix}${name}\` |`);
      expect(table).toContain(meaning);
    }
    expect(new Set(table.split("\n").map((row) => row.split("|").length))).toEqual(new Set([6]));
  });

  it("follows Prometheus' rules: counters end in _total, buckets rise, names are snake case", () => {
    for (const [name, { kind, buckets = [] }] of Object.entries<MetricDefinition>(metricDefinitions)) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      expect(name.endsWith("_total")).toBe(kind === "counter");
      expect([...buckets]).toEqual([...new Set(buckets)].toSorted((a, b) => a - b));
    }
  });

  it("has every service level as a bucket bound", () => {
    const { time_to_first_token_seconds, time_per_output_token_seconds, inter_token_latency_seconds } =
      metricDefinitions;
    expect(time_to_first_token_seconds.buckets).toEqual(expect.arrayContaining([...serviceLevels.firstTokenS]));
    expect(time_per_output_token_seconds.buckets).toEqual(expect.arrayContaining([...serviceLevels.perTokenS]));
    expect(inter_token_latency_seconds.buckets).toEqual(expect.arrayContaining([...serviceLevels.perTokenS]));
    expect(metricDefinitions.e2e_request_latency_seconds.buckets).toEqual(
      expect.arrayContaining([...serviceLevels.requestS]),
    );
  });
});

describe("what the engine reports", () => {
  it("becomes gauges of its last state", async () => {
    const metrics = testMetrics();
    metrics.describe([scriptedModel().info]);
    const state = {
      waiting: 3,
      waitingTokens: 40,
      running: 2,
      slots: 16,
      usedSlots: 5,
      cachedTokens: 128,
      capacityTokens: 512,
    };
    metrics.observer.onState("realm", { ...state, running: 9 });
    metrics.observer.onState("realm", state);
    const found = samples(await metrics.render());
    expect(found.get(`realchat_requests_running{${own}}`)).toBe(2);
    expect(found.get(`realchat_requests_waiting{${own}}`)).toBe(3);
    expect(found.get(`realchat_waiting_tokens{${own}}`)).toBe(40);
    expect(found.get(`realchat_slots_used{${own}}`)).toBe(5);
    expect(found.get(`realchat_cache_usage_ratio{${own}}`)).toBe(0.25);
  });

  it("becomes counts, durations in seconds and the rows of decode runs alone", async () => {
    const metrics = testMetrics();
    metrics.describe([scriptedModel().info]);
    metrics.observer.onStep("realm", { kind: "prefill", rows: 1, tokens: 200, durationMs: 30 });
    metrics.observer.onStep("realm", { kind: "decode", rows: 8, tokens: 8, durationMs: 4 });
    metrics.observer.onSequenceEnd("realm", {
      outcome: "length",
      promptTokens: 200,
      cachedTokens: 150,
      completionTokens: 11,
      queueMs: 100,
      prefillMs: 50,
      decodeMs: 500,
      firstTokenMs: 150,
    });
    const found = samples(await metrics.render());
    expect(found.get(`realchat_step_tokens_total{${own},kind="prefill"}`)).toBe(200);
    expect(found.get(`realchat_step_duration_seconds_sum{${own},kind="decode"}`)).toBe(0.004);
    expect(found.get(`realchat_step_rows_count{${own}}`)).toBe(1);
    expect(found.get(`realchat_sequences_total{${own},outcome="length"}`)).toBe(1);
    expect(found.get(`realchat_time_to_first_token_seconds_sum{${own}}`)).toBe(0.15);
    expect(found.get(`realchat_time_per_output_token_seconds_sum{${own}}`)).toBe(0.05);
    expect(found.get(`realchat_e2e_request_latency_seconds_sum{${own}}`)).toBe(0.65);
  });

  it("of a sequence without tokens leaves the token times alone", async () => {
    const metrics = testMetrics();
    const timing = { queueMs: 9, prefillMs: 0, decodeMs: 0, firstTokenMs: null };
    metrics.observer.onSequenceEnd("realm", {
      outcome: "abort",
      promptTokens: 5,
      cachedTokens: 0,
      completionTokens: 0,
      ...timing,
    });
    const text = await metrics.render();
    expect(text).not.toMatch(/time_to_first_token_seconds_count/);
    expect(text).not.toMatch(/time_per_output_token_seconds_count/);
  });
});

/** A request of any course, and what it must be counted as. */
const course = fc.record({
  pieces: fc.array(fc.constantFrom("a", " b", "ç"), { maxLength: 5 }),
  cause: fc.constantFrom("end_token", "end_of_conversation", "stop_string", "max_tokens", "window"),
  promptTokens: fc.nat({ max: 50 }),
  fate: fc.constantFrom("ends", "fails", "refused", "abandoned"),
  stream: fc.boolean(),
});

describe("whatever becomes of requests", () => {
  it("token counters are the sum of all usage, aborted and failed ones included, and every request is counted once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(course, { minLength: 1, maxLength: 6 }), async (courses) => {
        const metrics = testMetrics();
        const model = scriptedModel({
          isStepped: true,
          observer: metrics.observer,
          reply: () => script,
        });
        const { chat, takeErrors } = createHarness({ models: [model], metrics });
        let script: ScriptedReply = {};
        let sequences = 0;
        for (const { pieces, cause, promptTokens, fate, stream } of courses) {
          script = { pieces, cause, promptTokens, cachedTokens: promptTokens >> 1 };
          if (fate === "refused") script = { refuseWith: new EngineError("queue_full", "full") };
          if (fate === "fails")
            script = { ...script, failAfter: { pieces: pieces.length, error: new EngineError("ort_failed", "lost") } };
          const client = new AbortController();
          const pending = chat({ stream }, {}, client.signal);
          if (fate === "refused") {
            await pending;
            continue;
          }
          const call = await model.called(sequences);
          sequences += 1;
          if (fate === "abandoned") {
            model.step(pieces.length);
            await sampled(call, pieces.length - 1);
            client.abort();
          } else model.step(pieces.length + (fate === "fails" ? 1 : 2));
          const response = await pending;
          await response.text();
          await call.ended;
        }
        takeErrors();

        const found = samples(await metrics.render());
        const sum = (name: "promptTokens" | "cachedTokens" | "completionTokens") =>
          model.calls.reduce((total, { usage }) => total + usage[name], 0);
        expect(found.get(`realchat_prompt_tokens_total{${own}}`) ?? 0).toBe(sum("promptTokens"));
        expect(found.get(`realchat_cached_prompt_tokens_total{${own}}`) ?? 0).toBe(sum("cachedTokens"));
        expect(found.get(`realchat_generation_tokens_total{${own}}`) ?? 0).toBe(sum("completionTokens"));

        const countOf = (outcome: string) =>
          found.get(`realchat_requests_total{${endpoint},outcome="${outcome}"}`) ?? 0;
        const expected = (fate: string, isCut?: boolean) =>
          courses.filter(
            (one) =>
              one.fate === fate &&
              (isCut === undefined || isCut === (one.cause === "max_tokens" || one.cause === "window")),
          ).length;
        expect({
          stop: countOf("stop"),
          length: countOf("length"),
          abort: countOf("abort"),
          error: countOf("error"),
          rejected: countOf("rejected"),
        }).toEqual({
          stop: expected("ends", false),
          length: expected("ends", true),
          abort: expected("abandoned"),
          error: expected("fails"),
          rejected: expected("refused"),
        });
        expect(found.get(`realchat_requests_rejected_total{${endpoint},reason="queue_full"}`) ?? 0).toBe(
          expected("refused"),
        );
        expect(found.get("realchat_http_requests_in_flight")).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ["queue_full", new EngineError("queue_full", "full")],
    ["draining", new EngineError("draining", "closing")],
    ["context_length_exceeded", new EngineError("context_length_exceeded", "long")],
    ["invalid_request", new EngineError("invalid_request", "order")],
  ])("a refusal is counted as rejected by its reason: %s", async (reason, refuseWith) => {
    const { chat, metrics } = createHarness({ models: [scriptedModel({ reply: { refuseWith } })] });
    await chat({});
    await chat({ stream: true });
    const found = samples(await metrics.render());
    expect(found.get(`realchat_requests_rejected_total{${endpoint},reason="${reason}"}`)).toBe(2);
    expect(found.get(`realchat_requests_total{${endpoint},outcome="rejected"}`)).toBe(2);
  });

  it("a request whose fields contradict the model is rejected as invalid", async () => {
    const { chat, metrics } = createHarness();
    await chat({ messages: [] });
    const found = samples(await metrics.render());
    expect(found.get(`realchat_requests_rejected_total{${endpoint},reason="invalid_request"}`)).toBe(1);
  });

  it("the gap between pieces of text is measured per choice", async () => {
    const { chat, metrics } = createHarness();
    await chat({ n: 2 });
    const found = samples(await metrics.render());
    expect(found.get(`realchat_inter_token_latency_seconds_count{${own}}`)).toBe(4);
  });

  it("labels come from closed sets, whatever is asked for", async () => {
    const { chat, metrics, send } = createHarness();
    await chat({ model: "gpt-evil" });
    await send("GET", "/v1/models/some/unknown/one");
    await send("GET", "/wp-login.php");
    await send("PROPFIND", "/health");
    const text = await metrics.render();
    expect(text).not.toMatch(/evil|unknown\/one|wp-login|PROPFIND/);
    expect(text).toContain(`realchat_http_requests_total{route="/v1/models/:id{.+}",method="GET",status="404"} 1`);
    expect(text).toContain(`realchat_http_requests_total{route="unmatched",method="GET",status="404"} 1`);
    expect(text).toContain(`realchat_http_requests_total{route="/health",method="other",status="405"} 1`);
  });
});

it("process metrics bring memory and event-loop lag", async () => {
  const metrics = createMetrics({ version: "1.2.3", hasProcessMetrics: true });
  const text = await metrics.render();
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds \S+$/m);
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  expect(text).toContain(`realchat_build_info{version="1.2.3",node="${process.version}"} 1`);
});
