// Owns the Prometheus registry and the filling of every metric; the only file that knows prom-client.
// It is what the runtime reports to (EngineObserver). It does not decide what a request's outcome was: request-meter.ts does.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { EngineObserver, EngineSequenceEnd, EngineState, ModelInfo, ModelRole } from "../runtime/chat-model.ts";
import type { LoopFigures } from "./loops/records.ts";
import type { TuningFigures, TuningProgress } from "./tuning/records.ts";
import type { UpstreamAccountView, UpstreamLedger } from "./upstream/ledger.ts";
import { type MetricDefinition, type MetricName, metricDefinitions, metricPrefix } from "./metrics-table.ts";

/** Endpoints that run models; a closed set, for labels. */
export type Endpoint = "chat_completions" | "selfplay";
export type RequestOutcome = "stop" | "length" | "abort" | "error" | "rejected";
export type RejectionReason = "queue_full" | "draining" | "context_length_exceeded" | "invalid_request";

export interface Metrics {
  /** Handed to the runtime. Sequences of models not yet described are labelled with the role `unknown`. */
  readonly observer: EngineObserver;
  readonly contentType: string;
  /** The Prometheus text of now. */
  render(): Promise<string>;
  /** Makes served models known, also another one under a known id: their roles label whatever is observed of them. */
  describe(models: readonly ModelInfo[]): void;
  /** The model is not served any more: what was counted stays, how it stands goes. */
  forget(model: ModelInfo): void;
  /** Whose books the upstream metrics are read from. */
  watchUpstreams(ledger: UpstreamLedger): void;
  /** Where the figures of fine-tuning are asked for. */
  watchTuning(figures: TuningFigures): void;
  /** Where the figures of loops are asked for. */
  watchLoops(figures: LoopFigures): void;
  requestEnded(model: ModelInfo, endpoint: Endpoint, outcome: RequestOutcome): void;
  requestRejected(model: ModelInfo, endpoint: Endpoint, reason: RejectionReason): void;
  textGap(model: ModelInfo, gapMs: number): void;
  dialogueStarted(): void;
  /** `outcome` is the stop reason, of which there are few. */
  dialogueEnded(outcome: string): void;
  turnKept(role: ModelRole): void;
  turnDiscarded(role: ModelRole): void;
  httpStarted(): void;
  httpEnded(route: string, method: string, status: number, durationMs: number): void;
}

interface MetricsOptions {
  readonly version: string;
  /** Adds `process_…` and `nodejs_…` (memory, event-loop lag, garbage collection): once per process. */
  readonly hasProcessMetrics: boolean;
}

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** One sample per word. */
const each = (label: string, counts: ReadonlyMap<string, number>): Sample[] =>
  [...counts].map(([word, count]) => [{ [label]: word }, count]);

/** A registry of its own, so that two of them never share a number. */
export function createMetrics({ version, hasProcessMetrics }: MetricsOptions): Metrics {
  const registry = new Registry();
  if (hasProcessMetrics) collectDefaultMetrics({ register: registry });
  const roles = new Map<string, ModelRole>();
  const states = new Map<string, EngineState>();
  const described = new Map<string, Record<string, string>>();
  const labelsOf = (modelId: string) => ({ model: modelId, role: roles.get(modelId) ?? "unknown" });

  const common = (name: MetricName) => {
    const { labels, meaning, buckets }: MetricDefinition = metricDefinitions[name];
    const help = meaning.replaceAll("`", "");
    return { name: metricPrefix + name, help, labelNames: [...labels], registers: [registry], buckets };
  };
  const counter = (name: MetricName) => new Counter(common(name));
  const gauge = (name: MetricName) => new Gauge(common(name));
  const histogram = (name: MetricName) => {
    const { buckets = [], ...rest } = common(name);
    return new Histogram({ ...rest, buckets: [...buckets] });
  };
  /** A gauge of the engine's last reported state, read when somebody looks. */
  const stateGauge = (name: MetricName, read: (state: EngineState) => number) =>
    new Gauge({
      ...common(name),
      collect() {
        this.reset();
        for (const [id, state] of states) this.set(labelsOf(id), read(state));
      },
    });

  let ledger: UpstreamLedger | null = null;
  /** Read from the upstreams' books when somebody looks, so that nothing is counted twice. */
  const upstreamMetric = (name: MetricName, read: (account: UpstreamAccountView) => readonly Sample[]) => {
    const options = common(name);
    const samples = () =>
      (ledger?.accounts() ?? []).flatMap((account) =>
        read(account).map(([labels, value]) => [{ model: account.modelId, ...labels }, value] as const),
      );
    if (metricDefinitions[name].kind === "gauge") {
      return new Gauge({
        ...options,
        collect() {
          for (const [labels, value] of samples()) this.set(labels, value);
        },
      });
    }
    return new Counter({
      ...options,
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.inc(labels, value);
      },
    });
  };
  upstreamMetric("upstream_requests_total", ({ outcomes }) => each("outcome", outcomes));
  upstreamMetric("upstream_retries_total", ({ retries }) => each("reason", retries));
  upstreamMetric("upstream_tokens_total", ({ totals }) => [
    [{ kind: "prompt" }, totals.promptTokens],
    [{ kind: "cached_prompt" }, totals.cachedTokens],
    [{ kind: "completion" }, totals.completionTokens],
  ]);
  upstreamMetric("upstream_estimated_attempts_total", ({ totals }) => [[{}, totals.estimatedAttempts]]);
  upstreamMetric("upstream_cost_total", ({ totals: { currency, cost } }) =>
    currency === null ? [] : [[{ currency }, cost]],
  );
  upstreamMetric("upstream_concurrency_limit", ({ concurrency }) => [[{}, concurrency.limit]]);
  upstreamMetric("upstream_requests_running", ({ concurrency }) => [[{}, concurrency.running]]);
  upstreamMetric("upstream_requests_waiting", ({ concurrency }) => [[{}, concurrency.waiting]]);

  let tuning: TuningFigures | null = null;
  let loops: LoopFigures | null = null;
  const statusGauge = (
    name: "fine_tuning_jobs" | "loops",
    read: () => Promise<ReadonlyMap<string, number>> | undefined,
  ) =>
    new Gauge({
      ...common(name),
      async collect() {
        const counts = await read();
        this.reset();
        for (const [labels, value] of each("status", counts ?? new Map())) this.set(labels, value);
      },
    });
  statusGauge("fine_tuning_jobs", () => tuning?.counts());
  statusGauge("loops", () => loops?.counts());
  /** Of the job that is trained when somebody looks. */
  const trainingGauge = (
    name: MetricName,
    read: (progress: TuningProgress) => Readonly<Record<string, number | null>>,
  ) =>
    new Gauge({
      ...common(name),
      collect() {
        this.reset();
        const progress = tuning?.training() ?? null;
        for (const [split, value] of progress === null ? [] : Object.entries(read(progress))) {
          const labels = split === "" ? {} : { split };
          if (value !== null) this.set({ model: progress?.model ?? "", ...labels }, value);
        }
      },
    });
  trainingGauge("fine_tuning_step", ({ step }) => ({ "": step }));
  trainingGauge("fine_tuning_steps", ({ steps }) => ({ "": steps }));
  trainingGauge("fine_tuning_loss", ({ trainLoss, validLoss }) => ({ train: trainLoss, validation: validLoss }));

  stateGauge("requests_running", (state) => state.running);
  stateGauge("requests_waiting", (state) => state.waiting);
  stateGauge("waiting_tokens", (state) => state.waitingTokens);
  stateGauge("slots", (state) => state.slots);
  stateGauge("slots_used", (state) => state.usedSlots);
  stateGauge("cache_tokens", (state) => state.cachedTokens);
  stateGauge("cache_capacity_tokens", (state) => state.capacityTokens);
  stateGauge("cache_usage_ratio", (state) => state.cachedTokens / Math.max(1, state.capacityTokens));

  const sequences = counter("sequences_total");
  const promptTokens = counter("prompt_tokens_total");
  const cachedPromptTokens = counter("cached_prompt_tokens_total");
  const generationTokens = counter("generation_tokens_total");
  const requestPromptTokens = histogram("request_prompt_tokens");
  const requestGenerationTokens = histogram("request_generation_tokens");
  const timeToFirstToken = histogram("time_to_first_token_seconds");
  const timePerOutputToken = histogram("time_per_output_token_seconds");
  const queueTime = histogram("request_queue_time_seconds");
  const prefillTime = histogram("request_prefill_time_seconds");
  const decodeTime = histogram("request_decode_time_seconds");
  const e2eLatency = histogram("e2e_request_latency_seconds");
  const stepDuration = histogram("step_duration_seconds");
  const stepTokens = counter("step_tokens_total");
  const stepRows = histogram("step_rows");
  const requests = counter("requests_total");
  const rejections = counter("requests_rejected_total");
  const interTokenLatency = histogram("inter_token_latency_seconds");
  const dialoguesRunning = gauge("selfplay_dialogues_running");
  const dialogues = counter("selfplay_dialogues_total");
  const turns = counter("selfplay_turns_total");
  const turnsDiscarded = counter("selfplay_turns_discarded_total");
  const httpRequests = counter("http_requests_total");
  const httpDuration = histogram("http_request_duration_seconds");
  const httpInFlight = gauge("http_requests_in_flight");
  const modelInfo = gauge("model_info");
  gauge("build_info").set({ version, node: process.version }, 1);

  function onSequenceEnd(modelId: string, end: EngineSequenceEnd): void {
    const labels = labelsOf(modelId);
    sequences.inc({ ...labels, outcome: end.outcome });
    promptTokens.inc(labels, end.promptTokens);
    cachedPromptTokens.inc(labels, end.cachedTokens);
    generationTokens.inc(labels, end.completionTokens);
    requestPromptTokens.observe(labels, end.promptTokens);
    requestGenerationTokens.observe(labels, end.completionTokens);
    queueTime.observe(labels, end.queueMs / 1000);
    prefillTime.observe(labels, end.prefillMs / 1000);
    decodeTime.observe(labels, end.decodeMs / 1000);
    e2eLatency.observe(labels, (end.queueMs + end.prefillMs + end.decodeMs) / 1000);
    if (end.firstTokenMs !== null) timeToFirstToken.observe(labels, end.firstTokenMs / 1000);
    if (end.completionTokens > 1) {
      timePerOutputToken.observe(labels, end.decodeMs / 1000 / (end.completionTokens - 1));
    }
  }

  return {
    observer: {
      onStep(modelId, { kind, rows, tokens, durationMs }) {
        const labels = labelsOf(modelId);
        stepDuration.observe({ ...labels, kind }, durationMs / 1000);
        stepTokens.inc({ ...labels, kind }, tokens);
        if (kind === "decode") stepRows.observe(labels, rows);
      },
      onSequenceEnd,
      onState: (modelId, state) => void states.set(modelId, state),
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
    describe(models) {
      for (const { id, role, device, precision, modelHash } of models) {
        roles.set(id, role);
        const old = described.get(id);
        if (old !== undefined) modelInfo.remove(old);
        const labels = { ...labelsOf(id), device, precision, model_hash: modelHash };
        described.set(id, labels);
        modelInfo.set(labels, 1);
      }
    },
    forget({ id }) {
      const labels = described.get(id);
      if (labels !== undefined) modelInfo.remove(labels);
      described.delete(id);
      // Its role stays: what still runs is counted under it.
      states.delete(id);
    },
    watchUpstreams(watched) {
      ledger = watched;
    },
    watchTuning(figures) {
      tuning = figures;
    },
    watchLoops(figures) {
      loops = figures;
    },
    requestEnded: ({ id, role }, endpoint, outcome) => requests.inc({ model: id, role, endpoint, outcome }),
    requestRejected: ({ id, role }, endpoint, reason) => rejections.inc({ model: id, role, endpoint, reason }),
    textGap: ({ id, role }, gapMs) => interTokenLatency.observe({ model: id, role }, gapMs / 1000),
    dialogueStarted: () => dialoguesRunning.inc(),
    dialogueEnded(outcome) {
      dialoguesRunning.dec();
      dialogues.inc({ outcome });
    },
    turnKept: (role) => turns.inc({ role }),
    turnDiscarded: (role) => turnsDiscarded.inc({ role }),
    httpStarted: () => httpInFlight.inc(),
    httpEnded(route, method, status, durationMs) {
      httpInFlight.dec();
      const knownMethod = methods.has(method) ? method : "other";
      httpRequests.inc({ route, method: knownMethod, status: String(status) });
      httpDuration.observe({ route, method: knownMethod }, durationMs / 1000);
    },
  };
}
