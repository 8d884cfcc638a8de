// Measures preparing (reading, cleaning, splitting, exporting) over synthetic ShareGPT files of growing size: speed, memory, growth.
// Every run is a process of its own, so that its peak memory is its own. Progress and a table on standard error, one JSON document as
// the last line of standard output. Example: node test/bench/prepare.ts --megabytes 100,300,1000
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Funnel } from "../../training/clean/funnel.ts";
import { openModelText } from "../../training/examples/model-text.ts";
import { parseExportArguments } from "../../training/exports/cli-options.ts";
import { exportFolder } from "../../training/exports/export-folder.ts";
import { PREPARE_FLAGS, toPrepareOptions } from "../../training/prepare/flags.ts";
import { prepare } from "../../training/prepare/prepare.ts";

const root = join(import.meta.dirname, "..", "..");
const megabyte = 1e6;

/** What is switched on, from least to all. */
const ways: Readonly<Record<string, readonly string[]>> = {
  read: ["--clean", "none"],
  clean: [],
  "clean+split": ["--model", join(root, "models", "usergpt"), "--max-tokens", "2048"],
  "clean+near+split": [
    "--model",
    join(root, "models", "usergpt"),
    "--max-tokens",
    "2048",
    "--keep-rule",
    "near-duplicates",
  ],
  // The same once more, as ids and labels in a folder.
  "clean+split+export": ["--model", join(root, "models", "usergpt"), "--max-tokens", "2048"],
};

interface Run {
  readonly way: string;
  readonly megabytes: number;
  readonly seconds: number;
  /** Of all threads: what is left to compare where other programs take their share of the machine. */
  readonly cpuSeconds: number;
  readonly megabytesPerSecond: number;
  readonly megabytesPerCpuSecond: number;
  readonly peakRssMegabytes: number;
  readonly sessions: number;
  readonly segments: number;
}

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "100,300,1000" },
    ways: { type: "string", default: "clean+split,clean+split+export" },
    run: { type: "string" },
    way: { type: "string", default: "read" },
  },
});
if (values.run === undefined) await measure();
else process.stdout.write(`${JSON.stringify(await runOnce(values.run, values.way))}\n`);

async function measure(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "realchat-prepare-"));
  const runs: Run[] = [];
  try {
    for (const size of values.megabytes.split(",").map(Number)) {
      const file = join(folder, `${size}.jsonl`);
      console.error(`writing ${size} MB`);
      await writeSessions(file, size * megabyte);
      for (const way of values.ways.split(",")) {
        console.error(`${way}, ${size} MB`);
        const told = execFileSync(process.execPath, [import.meta.filename, "--run", file, "--way", way]).toString();
        const measured = JSON.parse(told) as Omit<
          Run,
          "way" | "megabytes" | "megabytesPerSecond" | "megabytesPerCpuSecond"
        >;
        const { seconds, cpuSeconds, peakRssMegabytes } = measured;
        const megabytesPerSecond = size / seconds;
        const megabytesPerCpuSecond = size / cpuSeconds;
        runs.push({ way, megabytes: size, megabytesPerSecond, megabytesPerCpuSecond, ...measured });
        console.error(
          `  ${seconds.toFixed(1)} s, ${megabytesPerSecond.toFixed(2)} MB/s (${megabytesPerCpuSecond.toFixed(2)} a CPU second), at most ${peakRssMegabytes.toFixed(0)} MB of memory`,
        );
      }
      await rm(file);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  console.log(JSON.stringify({ bench: "prepare", node: process.version, runs }));
}

async function runOnce(file: string, way: string) {
  const args = ways[way];
  if (args === undefined) throw new Error(`--ways must be of ${Object.keys(ways).join(", ")}, found "${way}"`);
  const { values: flags } = parseArgs({ args: [...args], options: PREPARE_FLAGS });
  const options = toPrepareOptions(flags, () => {});
  const funnel = new Funnel();
  const start = performance.now();
  const cpu = process.cpuUsage();
  const { signal } = new AbortController();
  if (way === "clean+split+export") await exportAll(file, args, funnel, signal);
  else for await (const _ of prepare([file], options, funnel, signal));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const cpuSeconds = (user + system) / 1e6;
  const peakRssMegabytes = process.resourceUsage().maxRSS / 1000;
  return {
    seconds,
    cpuSeconds,
    peakRssMegabytes,
    sessions: funnel.rows.conversations,
    segments: funnel.result.segments,
  };
}

async function exportAll(file: string, args: readonly string[], funnel: Funnel, signal: AbortSignal): Promise<void> {
  const out = `${file}.export`;
  const told = parseExportArguments([file, ...args, "--to", "tokenized", "--role", "user", "--out", out], () => {});
  if (told?.modelFolder === null || told === null) throw new Error("the export needs a model");
  const setup = {
    ...told,
    model: await openModelText(told.modelFolder),
    created: new Date(),
    funnel: () => funnel.toJson(),
    measures: () => Promise.resolve(null),
    onExported: () => {},
    onLeftOut: () => {},
  };
  await exportFolder(prepare([file], told.prepare, funnel, signal), setup, signal);
  await rm(out, { recursive: true });
}

/** Sessions of this repository's own words, as long as scraped ones are; one in twenty repeats an earlier one. */
async function writeSessions(file: string, bytes: number): Promise<void> {
  const words = await wordsOfDocs();
  const random = createRandom(20_240_601);
  // Names and numbers that no other session has: tokenizers remember words, and must not find all of them.
  const word = () => (random(20) === 0 ? random(2 ** 31).toString(36) : words[random(words.length)]);
  const text = (count: number) => Array.from({ length: count }, word).join(" ");
  const out = createWriteStream(file);
  const recent: string[] = [];
  for (let written = 0, index = 0; written < bytes; index += 1) {
    const turns = 2 * (1 + random(8));
    const conversations = Array.from({ length: turns }, (_, turn) => {
      const isUser = turn % 2 === 0;
      const said = text(isUser ? 4 + random(60) : 20 + random(300));
      const isPage = !isUser && index % 20 === 3;
      return { from: isUser ? "human" : "gpt", value: isPage ? pageOf(said) : said };
    });
    const repeated = index % 20 === 7 ? recent[random(recent.length)] : undefined;
    const line = repeated ?? `${JSON.stringify({ id: `s${index}`, conversations })}\n`;
    if (recent.length < 100) recent.push(line);
    else recent[random(100)] = line;
    written += Buffer.byteLength(line);
    if (!out.write(line)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
}

function pageOf(text: string): string {
  const code = `<pre><div><div><span>text</span><button>Copy code</button></div><div><code>${text.slice(0, 200)}</code></div></div></pre>`;
  return `<div class="markdown prose w-full break-words"><p>${text}</p>${code}</div>`;
}

/** ASCII words as often as they come, without those for which a rule would drop nearly every session. */
async function wordsOfDocs(): Promise<readonly string[]> {
  const names = (await readdir(join(root, "docs"))).filter((name) => name.endsWith(".md"));
  const texts = await Promise.all(names.map((name) => readFile(join(root, "docs", name), "utf8")));
  const words = texts.join(" ").match(/[a-zA-Z][a-zA-Z'-]*[.,]?/g) ?? [];
  return words.filter((word) => !/openai|chatgpt|translat/i.test(word));
}

/** Whole numbers below a bound; the same ones in every run. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
