// Measures what dialogues of each way to simulate a user are worth as training data: for every seed it plays them, takes equal amounts of
// the assistant's tokens from each, and from people's dialogues, trains equal assistants on them, and scores these on what people's
// assistants said in dialogues kept out. The assistant that answers is the same everywhere: only who asks differs. Steps that are done stay
// done in --work, so an interrupted run goes on. Progress on standard error, one JSON document as the last line of standard output.
// Example: npm run bench:simulators -- --work runs/simulators --base CHECKPOINT --tokenizer FOLDER --human FILE --heldout FILE
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { compareHeldOut } from "../../training/evaluate/compare-held-out.ts";
import { type Estimate, heldOutFigures } from "../../training/evaluate/held-out.ts";
import { openModel } from "../../training/evaluate/open-model.ts";
import { pickDialogues } from "../../training/evaluate/pick-dialogues.ts";
import { type DialogueScore, scoreDialogue } from "../../training/evaluate/score-dialogue.ts";
import { readSource } from "../../training/sources/read-source.ts";
import { tokenizerOfModel } from "../../training/stats/tokenizer.ts";
import { randomOf } from "./random.ts";

const { values } = parseArgs({
  options: {
    work: { type: "string" },
    base: { type: "string" },
    tokenizer: { type: "string" },
    human: { type: "string", multiple: true, default: [] },
    heldout: { type: "string", multiple: true, default: [] },
    "heldout-limit": { type: "string", default: "100" },
    user: { type: "string", default: "usergpt" },
    assistant: { type: "string", default: "realm" },
    "assistant-tokens": { type: "string", default: "4000,12000,36000" },
    seeds: { type: "string", default: "1,2,3" },
    "max-turns": { type: "string", default: "8" },
    epochs: { type: "string", default: "3" },
    lr: { type: "string", default: "2e-4" },
    "batch-tokens": { type: "string", default: "2048" },
  },
});

/** What is compared; `flags` are those of `npm run selfplay` that make such dialogues. */
interface Source {
  readonly name: "free" | "seeded" | "prequery" | "human";
  readonly flags: readonly string[] | null;
}

const needed = (name: "work" | "base" | "tokenizer") => {
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is needed`);
  return resolve(value);
};
const numbersOf = (text: string) => text.split(",").map(Number);

const root = join(import.meta.dirname, "..", "..");
const work = needed("work");
const modelsFolder = join(root, "models");
const sizes = numbersOf(values["assistant-tokens"]);
const seeds = numbersOf(values.seeds);
const mostTokens = Math.max(...sizes);
/** Dialogues of one self-play job; as many jobs as the largest size needs. */
const chunkDialogues = 100;
const openersFile = "openers.txt";

const sources: readonly Source[] = [
  { name: "free", flags: [`--user=${values.user}`] },
  { name: "seeded", flags: [`--user=${values.user}`, "--mode=seeded", `--seeds=${openersFile}`] },
  { name: "prequery", flags: [`--user=${values.assistant}`, "--simulator=prequery"] },
  { name: "human", flags: null },
];

/** A line of a data set, and what it counts. */
interface Counted {
  readonly line: string;
  readonly assistantTokens: number;
}

interface Trained {
  readonly source: Source["name"];
  readonly size: number;
  readonly seed: number;
  readonly dialogues: number;
  readonly scores: readonly DialogueScore[];
}

const tokenizer = await tokenizerOfModel(join(modelsFolder, values.assistant));
const neverStopped = new AbortController().signal;
await mkdir(work, { recursive: true });
const trained: Trained[] = [];
const measures: Record<string, unknown>[] = [];
for (const seed of seeds) {
  const human = await humanDialogues(seed);
  for (const source of sources) {
    const dialogues = source.flags === null ? human : await played(source.name, source.flags, seed);
    for (const size of sizes) {
      const name = `${source.name}-${size}-${seed}`;
      const cut = upTo(dialogues, size);
      const file = join(work, `${name}.jsonl`);
      await writeOnce(file, cut.map(({ line }) => `${line}\n`).join(""));
      const scores = await scoresOf(name, await trainedOn(file, name, seed));
      trained.push({ source: source.name, size, seed, dialogues: cut.length, scores });
      const { value } = heldOutFigures(scores, 1).bitsPerByte ?? { value: Number.NaN };
      console.error(`${name}: ${cut.length} dialogues, ${value.toFixed(4)} bits a byte held out`);
      if (size === mostTokens) measures.push({ source: source.name, seed, ...(await table5Of(file, name)) });
    }
  }
}
const reference = await scoresOf(`reference-${values.assistant}`, join(modelsFolder, values.assistant));
console.log(JSON.stringify({ bench: "simulators", ...settings(), ...summary(), measures }));

function settings() {
  const { epochs, lr, user, assistant } = values;
  return {
    sizes,
    seeds,
    epochs,
    lr,
    user,
    assistant,
    heldoutLimit: values["heldout-limit"],
    maxTurns: values["max-turns"],
  };
}

/** Bits a byte of every source and size over all seeds, and each source against people's dialogues and against the first source. */
function summary() {
  const rows = sizes.flatMap((size) =>
    sources.map(({ name }) => {
      const own = trained.filter((one) => one.source === name && one.size === size);
      const against = (other: Source["name"]) =>
        other === name ? null : compareHeldOut(together(size, other), together(size, name), 1).difference;
      return {
        source: name,
        size,
        dialogues: own.map(({ dialogues }) => dialogues),
        bitsPerByte: heldOutFigures(together(size, name), 1).bitsPerByte,
        bySeed: own.map(({ scores }) => heldOutFigures(scores, 1).bitsPerByte?.value ?? null),
        aboveHuman: against("human"),
        aboveFree: against("free"),
      };
    }),
  );
  console.error(
    `\n${"tokens".padEnd(8)}${"source".padEnd(10)}${"bits a byte".padEnd(27)}${"above human".padEnd(28)}above free`,
  );
  for (const { size, source, bitsPerByte, aboveHuman, aboveFree } of rows) {
    console.error(
      `${String(size).padEnd(8)}${source.padEnd(10)}${figure(bitsPerByte)} ${figure(aboveHuman)}  ${figure(aboveFree)}`,
    );
  }
  return { rows, reference: heldOutFigures(reference, 1).bitsPerByte };
}

/** With its interval, of one width. */
function figure(estimate: Estimate | null): string {
  if (estimate === null) return "-".padEnd(26);
  const [value, low, high] = [estimate.value, estimate.low, estimate.high].map((one) => one.toFixed(4));
  return `${value} (${low} to ${high})`.padEnd(26);
}

/** Sums over the seeds, dialogue by dialogue: what is resampled are dialogues, each with all of its models. */
function together(size: number, source: Source["name"]): DialogueScore[] {
  const [first = [], ...others] = trained
    .filter((one) => one.size === size && one.source === source)
    .map(({ scores }) => scores);
  return first.map((score, index) => {
    const all = [score, ...others.map((scores) => scores[index] ?? score)];
    const sum = (field: keyof DialogueScore) => all.reduce((total, one) => total + one[field], 0);
    return {
      nats: sum("nats"),
      tokens: sum("tokens"),
      bytes: sum("bytes"),
      turns: sum("turns"),
      windows: sum("windows"),
      leftOutTurns: sum("leftOutTurns"),
    };
  });
}

/** The shortest beginning with so many tokens of the assistant. */
function upTo(dialogues: readonly Counted[], assistantTokens: number): Counted[] {
  let sum = 0;
  const cut: Counted[] = [];
  for (const dialogue of dialogues) {
    if (sum >= assistantTokens) return cut;
    sum += dialogue.assistantTokens;
    cut.push(dialogue);
  }
  if (sum < assistantTokens) throw new Error(`there are ${sum} tokens of an assistant, not ${assistantTokens}`);
  return cut;
}

/** People's dialogues, drawn from all files together. */
async function humanDialogues(seed: number): Promise<Counted[]> {
  const all: Counted[] = [];
  for (const file of values.human) all.push(...(await countedOf(resolve(file))));
  const random = randomOf(seed);
  const drawn: Counted[] = [];
  for (let tokens = 0; tokens < mostTokens && all.length > 0;) {
    const [dialogue] = all.splice(random.below(all.length), 1);
    if (dialogue === undefined) break;
    drawn.push(dialogue);
    tokens += dialogue.assistantTokens;
  }
  return drawn;
}

async function played(name: string, flags: readonly string[], seed: number): Promise<Counted[]> {
  const all: Counted[] = [];
  let tokens = 0;
  for (let chunk = 0; tokens < mostTokens; chunk += 1) {
    const out = join(work, `played-${name}-${seed}-${chunk}.jsonl`);
    const seedOfChunk = seed * 1000 + chunk;
    if (name === "seeded") await writeOpeners(seedOfChunk);
    await madeOnce(out, (partial) =>
      program("server/selfplay/cli.ts", [
        ...flags,
        `--assistant=${values.assistant}`,
        `--count=${chunkDialogues}`,
        `--seed=${seedOfChunk}`,
        `--max-turns=${values["max-turns"]}`,
        `--out=${partial}`,
      ]),
    );
    const counted = await countedOf(out);
    all.push(...counted);
    tokens += counted.reduce((sum, { assistantTokens }) => sum + assistantTokens, 0);
  }
  return all;
}

/** What people began with, for the simulator to go on from: as many lines as dialogues. */
async function writeOpeners(seed: number): Promise<void> {
  const openers: string[] = [];
  for (const file of values.human) {
    for await (const row of readSource(
      resolve(file),
      { format: null, store: { data: null, url: null } },
      neverStopped,
    )) {
      const [first] = row.kind === "conversation" ? row.conversation.utterances : [];
      if (first?.role === "user") openers.push(first.content.replaceAll(/\s+/g, " ").trim());
    }
  }
  const random = randomOf(seed);
  const drawn = Array.from({ length: chunkDialogues }, () => openers.splice(random.below(openers.length), 1)[0] ?? "");
  await writeFile(join(work, openersFile), drawn.map((line) => `${line}\n`).join(""));
}

/** The conversations of a file as lines that every export reads. */
async function countedOf(file: string): Promise<Counted[]> {
  const counted: Counted[] = [];
  for await (const row of readSource(file, { format: null, store: { data: null, url: null } }, neverStopped)) {
    if (row.kind !== "conversation") continue;
    const { id, utterances } = row.conversation;
    const answers = utterances.filter(({ role }) => role === "assistant");
    if (answers.length === 0) continue;
    // One more for the token that ends the turn.
    const assistantTokens = answers.reduce((sum, { content }) => sum + tokenizer.countTokens(content) + 1, 0);
    const messages = utterances.map(({ role, content }) => ({ role, content }));
    counted.push({ line: JSON.stringify({ id: `${basename(file, ".jsonl")}-${id}`, messages }), assistantTokens });
  }
  return counted;
}

/** The folder of an assistant trained on a file. */
async function trainedOn(file: string, name: string, seed: number): Promise<string> {
  const models = join(work, `${name}-model`);
  await madeOnce(models, async (partial) => {
    const data = join(work, `${name}-export`);
    const runFolder = join(work, `${name}-run`);
    await program("training/exports/cli.ts", [
      file,
      "--to=tokenized",
      "--role=assistant",
      `--model=${values.assistant}`,
      "--clean=none",
      "--holdout=0.05",
      "--no-measures",
      "--force",
      `--out=${data}`,
    ]);
    await rm(runFolder, { recursive: true, force: true });
    await program("training/train/cli.ts", [
      `--data=${data}`,
      `--base=${needed("base")}`,
      `--tokenizer=${needed("tokenizer")}`,
      "--role=assistant",
      "--precision=int8",
      `--id=${name}`,
      `--out=${partial}`,
      "--force",
      `--run-folder=${runFolder}`,
      `--epochs=${values.epochs}`,
      `--lr=${values.lr}`,
      `--batch-tokens=${values["batch-tokens"]}`,
      `--seed=${seed}`,
      "--evaluate-every=1000000",
      "--checkpoint-every=1000000",
      "--device=cpu",
    ]);
    await rm(runFolder, { recursive: true, force: true });
    await rm(data, { recursive: true, force: true });
  });
  return join(models, name);
}

async function scoresOf(name: string, folder: string): Promise<readonly DialogueScore[]> {
  const file = join(work, `scores-${name}.json`);
  await madeOnce(file, async (partial) => {
    const model = await openModel(
      { model: folder, url: null, apiKey: null, device: "cpu", threads: null, concurrency: 1 },
      () => {},
      neverStopped,
    );
    const scores: DialogueScore[] = [];
    try {
      for (const heldout of values.heldout) {
        const draw = {
          limit: Number(values["heldout-limit"]),
          seed: 1,
          holdout: { holdout: 1, seed: 0 },
          store: { data: null, url: null },
        };
        const { dialogues } = await pickDialogues(resolve(heldout), draw, neverStopped);
        for (const dialogue of dialogues) scores.push(await scoreDialogue(model, dialogue, "assistant", neverStopped));
      }
    } finally {
      await model.close();
    }
    await writeFile(partial, JSON.stringify(scores));
  });
  return JSON.parse(await readFile(file, "utf8")) as DialogueScore[];
}

async function table5Of(file: string, name: string): Promise<Record<string, unknown>> {
  const out = join(work, `stats-${name}.json`);
  await madeOnce(out, (partial) =>
    program("training/stats/cli.ts", [file, "--clean=none", `--model=${values.assistant}`, `--json=${partial}`]),
  );
  return JSON.parse(await readFile(out, "utf8")) as Record<string, unknown>;
}

/** Makes `path` where it is not there yet; under its name only when it is whole. */
async function madeOnce(path: string, make: (partial: string) => Promise<void>): Promise<void> {
  if ((await stat(path).catch(() => null)) !== null) return;
  const partial = path.replace(/(\.[a-z]+)?$/, ".partial$1");
  await rm(partial, { recursive: true, force: true });
  await make(partial);
  await rename(partial, path);
}

async function writeOnce(path: string, text: string): Promise<void> {
  await madeOnce(path, (partial) => writeFile(partial, text));
}

/** Runs a program of this repository. Throws an Error with what it said where it fails. */
async function program(file: string, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [join(root, file), ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      REALCHAT_MODELS: modelsFolder,
      REALCHAT_DATA: join(work, "store"),
      REALCHAT_SEED_FOLDER: work,
      REALCHAT_LOG_LEVEL: "error",
    },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4000);
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${said}`);
}
