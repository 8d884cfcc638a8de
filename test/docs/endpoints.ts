// Owns the table of endpoints: what each is for, in words; which there are is asked of the app.
// An endpoint without words, or words without an endpoint, is an error.
import { createApp } from "../../server/app.ts";
import { createLifecycle } from "../../server/lifecycle.ts";
import { createLog } from "../../server/log.ts";
import { scriptedCatalog, testConfig, testMetrics } from "../support/app-harness.ts";
import { createServices } from "../../server/services.ts";
import { code, markdownTable } from "./markdown.ts";

const meanings: Readonly<Record<string, string>> = {
  "POST /v1/chat/completions":
    "The next turn of a conversation, whole or streamed. [Fields](docs/api.md#chat-completions).",
  "POST /v1/files": "Takes a file for fine-tuning or a batch. [Files](docs/api.md#files).",
  "GET /v1/files": "Files, in pages.",
  "GET /v1/files/:id": "One of them: name, size, purpose.",
  "GET /v1/files/:id/content": "What is in it.",
  "DELETE /v1/files/:id": "Removes it.",
  "POST /v1/fine_tuning/jobs": "Trains a served model further. [Fine-tuning](docs/fine-tuning.md).",
  "GET /v1/fine_tuning/jobs": "Fine-tuning jobs, newest first, in pages, by their metadata.",
  "GET /v1/fine_tuning/jobs/:id": "One of them: status, hyperparameters, result.",
  "POST /v1/fine_tuning/jobs/:id/cancel": "Ends it; nothing is left of it.",
  "POST /v1/fine_tuning/jobs/:id/pause": "Lets it write a checkpoint and wait.",
  "POST /v1/fine_tuning/jobs/:id/resume": "Goes on from there.",
  "GET /v1/fine_tuning/jobs/:id/events": "What happened to it and what its steps came to, newest first.",
  "GET /v1/fine_tuning/jobs/:id/checkpoints": "The model that came of it, with its figures.",
  "POST /v1/loops": "Rounds of play, training and judging in the background. [The loop](docs/loop.md#over-http).",
  "GET /v1/loops": "Loops, newest first, in pages.",
  "GET /v1/loops/:id": "One of them: status, round, step, models.",
  "DELETE /v1/loops/:id": "Removes a loop that has ended; the models that it made stay.",
  "POST /v1/loops/:id/cancel": "Ends it; rounds that are over stay.",
  "POST /v1/loops/:id/pause": "Lets it write down how far it is and wait.",
  "POST /v1/loops/:id/resume": "Goes on from there.",
  "GET /v1/loops/:id/events": "What happens to it, as server-sent events that can be taken up again.",
  "GET /v1/loops/:id/rounds": "Rounds that are over, and the models that were accepted in them.",
  "GET /v1/loops/:id/rounds/:round": "The report of one: JSON, Markdown or a page.",
  "POST /v1/selfplay/dialogues":
    "A dialogue between a user model and an assistant, whole or streamed. [Fields](docs/api.md#self-play).",
  "POST /v1/selfplay/jobs": "Many dialogues, made in the background and never lost. [Jobs](docs/jobs.md).",
  "GET /v1/selfplay/jobs": "Jobs, newest first, in pages.",
  "GET /v1/selfplay/jobs/:id": "One of them: status, counts, usage.",
  "DELETE /v1/selfplay/jobs/:id": "Removes a job that does not run, with its dialogues.",
  "POST /v1/selfplay/jobs/:id/cancel": "Ends it; finished dialogues stay.",
  "POST /v1/selfplay/jobs/:id/pause": "Begins no more turns.",
  "POST /v1/selfplay/jobs/:id/resume": "Goes on where it was paused.",
  "GET /v1/selfplay/jobs/:id/events": "What happens to it, as server-sent events that can be taken up again.",
  "GET /v1/selfplay/jobs/:id/dialogues": "Its dialogues, in pages or as a data set (JSON Lines, Parquet).",
  "GET /v1/selfplay/jobs/:id/dialogues/:index": "One of them with everything needed to have it again.",
  "POST /v1/selfplay/jobs/:id/dialogues/:index/replay":
    "Plays it again and says whether it is the same, token for token.",
  "GET /v1/selfplay/jobs/:id/quality": "Its figures as far as it has come. [Quality](docs/quality.md).",
  "POST /v1/selfplay/jobs/:id/quality": "Has a sample of it judged.",
  "GET /v1/models": "The models served, with role, context window, device and precision.",
  "POST /v1/models/:id/load":
    "Serves a model that was put into a models folder, or changed there. [Models](docs/api.md#models).",
  "GET /v1/models/:id": "One of them, with where it comes from.",
  "DELETE /v1/models/:id": "Removes a fine-tuned model (`ft:…`); requests that it answers may finish.",
  "GET /health": "200 as long as the process answers.",
  "GET /ready": "200 when requests are taken, 503 while draining; the device of every model.",
  "GET /metrics": "Prometheus text.",
};

/** Every endpoint of the app. Throws where an endpoint has no words or the other way round. */
export function endpointsTable(): string {
  const served = servedEndpoints();
  const described = Object.keys(meanings);
  const odd = [
    ...served.filter((name) => !described.includes(name)),
    ...described.filter((name) => !served.includes(name)),
  ];
  if (odd.length > 0) throw new Error(`Described and served endpoints differ in: ${odd.join(", ")}.`);
  return markdownTable(
    ["Endpoint", "Meaning"],
    Object.entries(meanings).map(([name, meaning]) => [code(name), meaning]),
  );
}

/** As `METHOD /path`, in the app's order. */
function servedEndpoints(): string[] {
  const [catalog, config, log] = [scriptedCatalog([]), testConfig(), createLog("silent")];
  const app = createApp({
    catalog,
    config,
    services: createServices({ catalog, config, log, metrics: testMetrics() }),
    lifecycle: createLifecycle(),
    log,
    metrics: testMetrics(),
  });
  // "ALL" is middleware, or the answer to methods that an endpoint does not have.
  const routes = app.routes.filter(({ method }) => method !== "ALL");
  return routes.map(({ method, path }) => `${method} ${path.replaceAll(/\{[^}]*\}/g, "")}`);
}
