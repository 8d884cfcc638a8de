// Owns every metric the server exports: name, kind, labels, buckets and meaning, in one table.
// Plain data; server/metrics.ts fills the metrics, and the README's table is printed from here.

export interface MetricDefinition {
  readonly kind: "counter" | "gauge" | "histogram";
  /** Every label takes its values from a closed set: models served, routes declared, words listed in the meaning. */
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
  readonly meaning: string;
}

/** Every metric's name begins with this. */
export const metricPrefix = "realchat_";

/** Limits that service levels are commonly stated in (seconds). Each is a bucket bound, so that a share below it is exact. */
export const serviceLevels = {
  firstTokenS: [0.1, 0.2, 0.3, 0.5, 1, 2, 5],
  perTokenS: [0.02, 0.03, 0.05, 0.1, 0.2],
  requestS: [1, 2, 5, 10, 30, 60],
} as const;

const firstToken = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.75, 1, 1.5, 2, 2.5, 5, 7.5, 10, 20, 40,
  80,
];
const perToken = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5,
];
const whole = [0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 60, 120, 240, 480, 960];
const step = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5];
const tokens = [1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 65_536];
const rows = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128];

const model = ["model", "role"] as const;
const endpoint = ["model", "role", "endpoint"] as const;

const counter = (labels: readonly string[], meaning: string) => ({ kind: "counter", labels, meaning }) as const;
const gauge = (labels: readonly string[], meaning: string) => ({ kind: "gauge", labels, meaning }) as const;
const histogram = (labels: readonly string[], buckets: readonly number[], meaning: string) =>
  ({ kind: "histogram", labels, buckets, meaning }) as const;

/** Every metric, without its prefix. */
export const metricDefinitions = {
  // What the engine is doing now.
  requests_running: gauge(model, "Sequences being computed; a request for n choices is n of them."),
  requests_waiting: gauge(model, "Sequences waiting for a slot. Scale on this."),
  waiting_tokens: gauge(model, "Prompt tokens of the waiting sequences."),
  slots: gauge(model, "Sequences that can be computed at once."),
  slots_used: gauge(model, "Slots that a sequence or a session holds."),
  cache_tokens: gauge(model, "Tokens in the key-value cache."),
  cache_capacity_tokens: gauge(model, "Tokens the key-value cache has room for."),
  cache_usage_ratio: gauge(model, "Share of the key-value cache that is filled, 0 to 1."),

  // What every sequence came to, counted when it leaves the engine, however it left.
  sequences_total: counter(
    [...model, "outcome"],
    "Sequences that left the engine: `stop`, `length`, `abort` or `error`.",
  ),
  prompt_tokens_total: counter(model, "Prompt tokens, those found in the cache included."),
  cached_prompt_tokens_total: counter(model, "Prompt tokens that were found in the key-value cache."),
  generation_tokens_total: counter(model, "Sampled tokens, aborted sequences included."),
  request_prompt_tokens: histogram(model, tokens, "Prompt tokens per sequence."),
  request_generation_tokens: histogram(model, tokens, "Sampled tokens per sequence."),
  time_to_first_token_seconds: histogram(model, firstToken, "From submission to a sequence's first token."),
  time_per_output_token_seconds: histogram(model, perToken, "Mean time per token after the first, per sequence."),
  request_queue_time_seconds: histogram(model, firstToken, "Time a sequence waited for a slot."),
  request_prefill_time_seconds: histogram(
    model,
    firstToken,
    "Time until a sequence's prompt was computed, from its slot on.",
  ),
  request_decode_time_seconds: histogram(model, whole, "Time from a sequence's first token to its last."),
  e2e_request_latency_seconds: histogram(model, whole, "Time of a sequence from submission to its end."),

  // Single runs of the network.
  step_duration_seconds: histogram([...model, "kind"], step, "Duration of one run: `prefill` or `decode`."),
  step_tokens_total: counter([...model, "kind"], "Tokens computed, by the kind of run."),
  step_rows: histogram(model, rows, "Sequences per decode run: how well batching works."),

  // What became of requests, each counted once.
  requests_total: counter(
    [...endpoint, "outcome"],
    "Requests that named a served model: `stop`, `length`, `abort`, `error` or `rejected`.",
  ),
  requests_rejected_total: counter(
    [...endpoint, "reason"],
    "The rejected ones: `queue_full`, `draining`, `context_length_exceeded` or `invalid_request`.",
  ),
  inter_token_latency_seconds: histogram(
    model,
    perToken,
    "Gap between successive pieces of text of one choice, as delivered.",
  ),

  // Self-play.
  selfplay_dialogues_running: gauge([], "Dialogues being played."),
  selfplay_dialogues_total: counter(["outcome"], "Dialogues that ended, by their stop reason."),
  selfplay_turns_total: counter(["role"], "Turns that became part of a dialogue."),
  selfplay_turns_discarded_total: counter(["role"], "Finished turns that a stop rule took back."),

  // Fine-tuning.
  fine_tuning_jobs: gauge(
    ["status"],
    "Fine-tuning jobs in the store, by status; those of other gateways on it included.",
  ),
  loops: gauge(["status"], "Loops in the store, by status; those of other gateways on it included."),
  fine_tuning_step: gauge(["model"], "Step that the training here has come to, by the model that is tuned."),
  fine_tuning_steps: gauge(["model"], "Steps that it will have."),
  fine_tuning_loss: gauge(["model", "split"], "Its last loss, nats a token: `train` or `validation`."),

  // Models elsewhere.
  upstream_requests_total: counter(
    ["model", "outcome"],
    "Requests for a model elsewhere: `stop`, `length`, `abort`, `rejected` (too many waited), or what its endpoint failed with: `rate_limited`, `overloaded`, `server_error`, `timeout`, `connection`, `bad_answer`, `bad_key`, `no_quota`, `bad_request`, `refused`, `context_overflow`.",
  ),
  upstream_retries_total: counter(["model", "reason"], "Attempts that were repeated, by what they failed with."),
  upstream_tokens_total: counter(
    ["model", "kind"],
    "Tokens of every attempt: `prompt`, those of them that were `cached_prompt`, and `completion`.",
  ),
  upstream_estimated_attempts_total: counter(
    ["model"],
    "Attempts whose tokens are estimated, since the endpoint told none or the attempt broke off.",
  ),
  upstream_cost_total: counter(["model", "currency"], "Money spent, by the configured prices."),
  upstream_concurrency_limit: gauge(["model"], "Requests that may be under way at once; adapts to rate limits."),
  upstream_requests_running: gauge(["model"], "Requests under way, pauses between attempts included."),
  upstream_requests_waiting: gauge(["model"], "Requests waiting for their turn."),

  // HTTP.
  http_requests_total: counter(
    ["route", "method", "status"],
    "Answers; `route` is the declared pattern, or `unmatched`.",
  ),
  http_request_duration_seconds: histogram(
    ["route", "method"],
    whole,
    "From the request's headers to the answer's last byte.",
  ),
  http_requests_in_flight: gauge([], "Requests being answered."),

  // Who answers.
  model_info: gauge([...model, "device", "precision", "model_hash"], "1 for every served model."),
  build_info: gauge(["version", "node"], "1; the server's version and Node's."),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metricDefinitions;

/** The README's metrics table, in Markdown. */
export function metricsTable(): string {
  const rowsOf = Object.entries<MetricDefinition>(metricDefinitions).map(([name, { kind, labels, meaning }]) => {
    const shown = labels.map((label) => `\`${label}\``).join(" ") || "–";
    return `| \`${metricPrefix}${name}\` | ${kind} | ${shown} | ${meaning} |`;
  });
  return ["| Metric | Kind | Labels | Meaning |", "| --- | --- | --- | --- |", ...rowsOf].join("\n");
}
