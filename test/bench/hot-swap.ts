// Measures what replacing a model does to a gateway that answers: --rounds times the model "swapped" gets other weights, while --streams
// requests run on it and on the embedded pair without a pause. Told are the time of a load, the delay of the server's event loop during
// loads and between them, requests that failed, and memory after each round. --shape 135m makes checkpoints of random weights;
// --tokenizer FILE gives them a real tokenizer.json. A table on standard error, one JSON document as the last line of standard output.
// Example: npm run bench:hot-swap -- --shape 135m --tokenizer gpt2/tokenizer.json --rounds 20
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { importCheckpoint } from "../../runtime/importer/import-checkpoint.ts";
import { startServerProcess } from "../support/server-process.ts";
import { writePairFolder } from "../support/pair-folders.ts";
import { writeCheckpoint } from "./checkpoint-writer.ts";
import { SHAPES } from "./shapes.ts";
import { median } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    shape: { type: "string", default: "pair" },
    tokenizer: { type: "string" },
    rounds: { type: "string", default: "20" },
    streams: { type: "string", default: "8" },
    precision: { type: "string", default: "int8" },
    spin: { type: "string", default: "on" },
  },
});
const shape = SHAPES.find(({ id }) => id === values.shape);
if (shape === undefined) throw new Error(`--shape must be one of ${SHAPES.map(({ id }) => id).join(", ")}`);
const rounds = Number(values.rounds);
const folder = await mkdtemp(join(tmpdir(), "hot-swap-"));
const models = join(folder, "models");
const variants = [join(folder, "one"), join(folder, "two")];

try {
  for (const id of ["usergpt", "realm"] as const) await writePairFolder(join(models, id), id, id, id);
  for (const [index, variant] of variants.entries()) await makeVariant(variant, index);
  await place(0);
  const flags = ["--models", models, "--rescan", "0", "--slots", "8", "--spin", values.spin, "--context-window", "512"];
  const server = await startServerProcess(flags);
  try {
    const result = await measure(server.url);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await server.stop();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(url: string) {
  const clients = new AbortController();
  const counts = { requests: 0, failed: 0, tokens: 0 };
  const failures = new Set<string>();
  const work = Array.from({ length: Number(values.streams) }, async (_, index) => {
    const model = ["swapped", "realm", "usergpt"][index % 3] ?? "swapped";
    for (let seed = index; !clients.signal.aborted; seed += 1000) {
      const failure = await ask(url, model, seed, counts).catch((error: unknown) => String(error));
      counts.requests += 1;
      if (failure === null) continue;
      counts.failed += 1;
      failures.add(failure);
    }
  });
  await sleep(1500);
  const loadsMs: number[] = [];
  const loading: Lag[] = [];
  const between: Lag[] = [];
  const rssMb: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    await place(round % 2);
    await readMetrics(url);
    const startedMs = performance.now();
    const response = await fetch(`${url}/v1/models/swapped/load`, { method: "POST" });
    loadsMs.push(performance.now() - startedMs);
    if (!response.ok) throw new Error(await response.text());
    loading.push((await readMetrics(url)).lag);
    // Long enough for what runs to end and for the old engine to be closed.
    await sleep(2500);
    const quiet = await readMetrics(url);
    between.push(quiet.lag);
    rssMb.push(quiet.rssBytes / 1e6);
    process.stderr.write(
      `round ${round}: loaded in ${loadsMs.at(-1)?.toFixed(0)} ms, event loop p99 ${loading.at(-1)?.p99Ms.toFixed(1)} ms ` +
        `(most ${loading.at(-1)?.maxMs.toFixed(1)}), then ${quiet.lag.p99Ms.toFixed(1)} (${quiet.lag.maxMs.toFixed(1)}); ` +
        `${(quiet.rssBytes / 1e6).toFixed(0)} MB; ${counts.requests} requests, ${counts.failed} failed\n`,
    );
  }
  clients.abort();
  await Promise.all(work);
  const worst = (lags: readonly Lag[]) => ({
    p99Ms: { median: median(lags.map(({ p99Ms }) => p99Ms)), most: Math.max(...lags.map(({ p99Ms }) => p99Ms)) },
    maxMs: { median: median(lags.map(({ maxMs }) => maxMs)), most: Math.max(...lags.map(({ maxMs }) => maxMs)) },
  });
  return {
    shape: shape?.id,
    precision: shape?.modelFolder === null ? values.precision : shape?.precision,
    tokenizer: values.tokenizer ?? null,
    streams: Number(values.streams),
    spin: values.spin,
    rounds,
    loadMs: { median: median(loadsMs), most: Math.max(...loadsMs) },
    eventLoopDelay: { loading: worst(loading), between: worst(between) },
    ...counts,
    failures: [...failures],
    rssMb: { second: rssMb[1], last: rssMb.at(-1), most: Math.max(...rssMb) },
  };
}

/** Null when it was answered to its end. */
async function ask(url: string, model: string, seed: number, counts: { tokens: number }): Promise<string | null> {
  const messages = model === "usergpt" ? [] : [{ role: "user", content: "I need a table for two in San Jose." }];
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      messages,
      seed,
      max_tokens: 48,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  const text = await response.text();
  if (!response.ok || !text.endsWith("data: [DONE]\n\n") || text.includes('"error"')) return text.slice(-300);
  counts.tokens += Number(/"completion_tokens":(\d+)/.exec(text)?.[1] ?? 0);
  return null;
}

interface Lag {
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Reading begins a new measurement of the event loop. */
async function readMetrics(url: string): Promise<{ readonly lag: Lag; readonly rssBytes: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const valueOf = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  return {
    lag: {
      p99Ms: valueOf("nodejs_eventloop_lag_p99_seconds") * 1000,
      maxMs: valueOf("nodejs_eventloop_lag_max_seconds") * 1000,
    },
    rssBytes: valueOf("process_resident_memory_bytes"),
  };
}

/** One of two models that differ in their weights alone. */
async function makeVariant(target: string, index: number): Promise<void> {
  if (shape?.modelFolder !== null)
    return writePairFolder(target, "swapped", "realm", index === 0 ? "realm" : "usergpt");
  const checkpoint = join(folder, `checkpoint-${index}`);
  process.stderr.write(`writing a random checkpoint of ${shape.id}\n`);
  await writeCheckpoint(checkpoint, shape.sizes, shape.windowTokens, 1 + index);
  if (values.tokenizer !== undefined) await giveTokenizer(checkpoint, values.tokenizer);
  const made = await importCheckpoint(
    {
      source: checkpoint,
      id: "swapped",
      role: "assistant",
      precision: values.precision === "int4" ? "int4" : "int8",
      headPrecision: null,
      kvPrecision: null,
      blockSize: 32,
      accuracyLevel: null,
      outFolder: join(folder, `import-${index}`),
      contextWindow: null,
      endOfConversation: null,
      responseRole: null,
      isBatchInvariant: false,
      licence: "Apache-2.0",
      provenance: "random weights",
      baseModel: null,
      createdAt: new Date(index),
      isReplacing: false,
    },
    () => {},
    new AbortController().signal,
  );
  await rename(made, target);
  await rm(checkpoint, { recursive: true });
}

/** The file's own tokens, and those that end and begin a turn, as the checkpoint's template has them. */
async function giveTokenizer(checkpoint: string, file: string): Promise<void> {
  const path = join(checkpoint, "tokenizer.json");
  const own = JSON.parse(await readFile(path, "utf8")) as { added_tokens: { id: number; content: string }[] };
  const real = JSON.parse(await readFile(file, "utf8")) as { model: { vocab: Record<string, number> } };
  const taken = new Set(own.added_tokens.map(({ id }) => id));
  const kept = Object.entries(real.model.vocab).filter(
    ([, id]) => !taken.has(id) && id < (shape?.sizes.vocabSize ?? 0),
  );
  const vocab = Object.fromEntries([...own.added_tokens.map(({ content, id }) => [content, id] as const), ...kept]);
  const merges = (real.model as unknown as { merges: unknown[] }).merges.filter((merge) => {
    const [left = "", right = ""] = typeof merge === "string" ? merge.split(" ") : (merge as string[]);
    return [left, right, left + right].every((token) => token in vocab);
  });
  await writeFile(
    path,
    JSON.stringify({ ...real, added_tokens: own.added_tokens, model: { ...real.model, vocab, merges } }),
  );
}

/** Puts a variant in the place of what is served, in one move. */
async function place(index: number): Promise<void> {
  const copy = join(models, ".next");
  const target = join(models, "swapped");
  await mkdir(models, { recursive: true });
  await cp(variants[index] ?? "", copy, { recursive: true });
  await rename(target, join(models, ".last")).catch(() => {});
  await rename(copy, target);
  await rm(join(models, ".last"), { recursive: true, force: true });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
