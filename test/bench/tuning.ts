// Measures what a fine-tuning job does to a gateway that answers on the same CPU: --streams clients ask the embedded pair without a pause,
// --seconds without a job and as long with one at work, --rounds times. Told are the latency of whole requests (median and 95th
// percentile) and the delay of the server's event loop. A line a phase on standard error, one JSON document as the last line of standard
// output. Example: npm run bench:tuning -- --rounds 3 --seconds 20
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import OpenAI from "openai";
import { startServerProcess } from "../support/server-process.ts";
import { chat, stepIsTold, uploadChats } from "../support/tuning-client.ts";
import { median, quantile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "4" },
    seconds: { type: "string", default: "20" },
    rounds: { type: "string", default: "3" },
    "max-tokens": { type: "string", default: "32" },
  },
});
const streams = Number(values.streams);
const rounds = Number(values.rounds);
const modelsFolder = join(import.meta.dirname, "..", "..", "models");

interface Phase {
  readonly requests: number;
  readonly failed: number;
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly eventLoopP99Ms: number;
  readonly eventLoopMaxMs: number;
}

const server = await startServerProcess(["--rescan", "0"], { REALCHAT_MODELS: modelsFolder });
try {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  const file = await uploadChats(
    client,
    Array.from({ length: 400 }, (_, index) => chat(index)),
  );
  await serve("warm-up", 3);
  const quiet: Phase[] = [];
  const training: Phase[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    quiet.push(await serve("without a job", Number(values.seconds)));
    const { id } = await client.fineTuning.jobs.create({
      model: "usergpt",
      training_file: file,
      seed: round,
      method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 50 } } },
    });
    await stepIsTold(client, id, 1);
    training.push(await serve("with a job", Number(values.seconds)));
    const { status } = await client.fineTuning.jobs.retrieve(id);
    if (status !== "running") throw new Error(`the job was ${status} before the measuring was over`);
    await client.fineTuning.jobs.cancel(id);
    // Its process ends after the pass that is running.
    await sleep(3000);
  }
  const ratioOf = (field: "medianMs" | "p95Ms") =>
    median(training.map((phase, round) => phase[field] / (quiet[round]?.[field] ?? Number.NaN)));
  const ratios = { median: ratioOf("medianMs"), p95: ratioOf("p95Ms") };
  console.error(
    `with a job as a multiple of without: median ${ratios.median.toFixed(2)}, p95 ${ratios.p95.toFixed(2)}`,
  );
  console.log(JSON.stringify({ bench: "tuning", streams, rounds, ratios, quiet, training }));
} finally {
  await server.stop();
}

async function serve(name: string, seconds: number): Promise<Phase> {
  const untilMs = performance.now() + seconds * 1000;
  const tookMs: number[] = [];
  let failed = 0;
  await eventLoop();
  await Promise.all(
    Array.from({ length: streams }, async (_, index) => {
      for (let seed = index; performance.now() < untilMs; seed += 1000) {
        const startedMs = performance.now();
        if (await isAnswered(seed)) tookMs.push(performance.now() - startedMs);
        else failed += 1;
      }
    }),
  );
  const { p99Ms, maxMs } = await eventLoop();
  const phase = {
    requests: tookMs.length,
    failed,
    medianMs: median(tookMs),
    p95Ms: quantile(tookMs, 0.95),
    eventLoopP99Ms: p99Ms,
    eventLoopMaxMs: maxMs,
  };
  console.error(
    `${name.padEnd(14)} ${phase.requests} requests, ${failed} failed; median ${phase.medianMs.toFixed(0)} ms, ` +
      `p95 ${phase.p95Ms.toFixed(0)} ms; event loop p99 ${p99Ms.toFixed(1)} ms, most ${maxMs.toFixed(1)} ms`,
  );
  return phase;
}

/** The same seeds in every phase, so that phases compare. */
async function isAnswered(seed: number): Promise<boolean> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "realm",
      messages: [{ role: "user", content: `I need a table for ${2 + (seed % 7)} in San Jose.` }],
      seed,
      max_tokens: Number(values["max-tokens"]),
    }),
  });
  await response.text();
  return response.ok;
}

/** Reading begins a new measurement. */
async function eventLoop(): Promise<{ readonly p99Ms: number; readonly maxMs: number }> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const ms = (name: string) =>
    Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN) * 1000;
  return { p99Ms: ms("p99"), maxMs: ms("max") };
}
