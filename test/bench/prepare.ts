// Measures preparing (reading, cleaning, splitting, exporting) over made-up ShareGPT files of growing size: speed, memory, and how
// both grow. Every run is a process of its own, so that its memory is its own. Progress on standard error, one JSON document as the
// last line of standard output. Example: npm run bench:prepare -- --megabytes 100,300,1000
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { Funnel } from "../../training/clean/funnel.ts";
import { openModelText } from "../../training/examples/model-text.ts";
import { parseExportArguments } from "../../training/exports/cli-options.ts";
import { exportFolder } from "../../training/exports/export-folder.ts";
import { PREPARE_FLAGS, toPrepareOptions } from "../../training/prepare/flags.ts";
import { prepare } from "../../training/prepare/prepare.ts";
import { median } from "./statistics.ts";
import { writeSharegpt } from "./synthetic-sharegpt.ts";

const megabyte = 1e6;
const seed = 20_240_601;
const sampleMs = 250;
const window = ["--model", join(import.meta.dirname, "..", "fixtures", "seed-pair", "usergpt"), "--max-tokens", "2048"];

/** What is switched on, from least to all. */
const ways: Readonly<Record<string, readonly string[]>> = {
  read: ["--clean", "none"],
  clean: [],
  "clean+split": window,
  "clean+near+split": [...window, "--keep-rule", "near-duplicates"],
  // Ids and labels in a folder.
  "clean+split+export": window,
  "clean+near+split+export": [...window, "--keep-rule", "near-duplicates"],
};

/** What a run tells of itself. */
interface Told {
  readonly seconds: number;
  /** Of all threads: what is left to compare where other programs take their share of the machine. */
  readonly cpuSeconds: number;
  /** Resident: the median of samples, the most of them, and the most that the system saw. */
  readonly medianRssMegabytes: number;
  readonly sampledRssMegabytes: number;
  readonly peakRssMegabytes: number;
  readonly sessions: number;
  readonly segments: number;
}

interface Run extends Told {
  readonly way: string;
  readonly megabytes: number;
  readonly megabytesPerSecond: number;
  readonly megabytesPerCpuSecond: number;
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
      await writeSharegpt(file, size * megabyte, seed);
      for (const way of values.ways.split(",")) {
        console.error(`${way}, ${size} MB`);
        const told = await runApart(file, way);
        const { seconds, cpuSeconds, peakRssMegabytes } = told;
        const megabytesPerSecond = size / seconds;
        const megabytesPerCpuSecond = size / cpuSeconds;
        runs.push({ way, megabytes: size, megabytesPerSecond, megabytesPerCpuSecond, ...told });
        console.error(
          `  ${seconds.toFixed(1)} s, ${megabytesPerSecond.toFixed(2)} MB/s (${megabytesPerCpuSecond.toFixed(2)} a CPU second), at most ${peakRssMegabytes.toFixed(0)} MB of memory`,
        );
      }
      await rm(file);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, memoryGigabytes: totalmem() / 1e9 };
  const document = { bench: "prepare", node: process.version, machine, seed, runs, growth: growthOf(runs) };
  console.log(JSON.stringify(document));
}

/** From each size to the next of the same way: 1 everywhere but in `megabytes` is no growth beyond the input's. */
function growthOf(runs: readonly Run[]) {
  return [...Map.groupBy(runs, ({ way }) => way)].flatMap(([way, sizes]) =>
    sizes.slice(1).map((large, index) => {
      const small = sizes[index]!;
      return {
        way,
        megabytes: [small.megabytes, large.megabytes],
        cpuSecondsPerMegabyte: small.megabytesPerCpuSecond / large.megabytesPerCpuSecond,
        peakRss: large.peakRssMegabytes / small.peakRssMegabytes,
        rssBytesPerSegment:
          ((large.peakRssMegabytes - small.peakRssMegabytes) * megabyte) / (large.segments - small.segments),
      };
    }),
  );
}

async function runApart(file: string, way: string): Promise<Told> {
  const args = [import.meta.filename, "--run", file, "--way", way];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [told, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (code !== 0) throw new Error(`${way} over ${file} ended with code ${code}.`);
  return JSON.parse(told) as Told;
}

async function runOnce(file: string, way: string): Promise<Told> {
  const args = ways[way];
  if (args === undefined) throw new Error(`--ways must be of ${Object.keys(ways).join(", ")}, found "${way}"`);
  const { values: flags } = parseArgs({ args: [...args], options: PREPARE_FLAGS });
  const options = toPrepareOptions(flags, () => {});
  const funnel = new Funnel();
  const rss: number[] = [];
  const sampling = setInterval(() => rss.push(process.memoryUsage.rss() / megabyte), sampleMs);
  const start = performance.now();
  const cpu = process.cpuUsage();
  const { signal } = new AbortController();
  if (way.endsWith("+export")) await exportAll(file, args, funnel, signal);
  else for await (const _ of prepare([file], options, funnel, signal));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(sampling);
  rss.push(process.memoryUsage.rss() / megabyte);
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    medianRssMegabytes: median(rss),
    sampledRssMegabytes: Math.max(...rss),
    peakRssMegabytes: (process.resourceUsage().maxRSS * 1024) / megabyte,
    sessions: funnel.rows.conversations,
    segments: funnel.result.segments,
  };
}

async function exportAll(file: string, args: readonly string[], funnel: Funnel, signal: AbortSignal): Promise<void> {
  const out = `${file}.export`;
  const told = parseExportArguments([file, ...args, "--to", "tokenized", "--role", "user", "--out", out], () => {});
  if (told?.modelFolder === null || told === null) throw new Error("the export needs a model");
  const model = await openModelText(told.modelFolder);
  const setup = {
    ...told,
    model,
    created: new Date(),
    funnel: () => funnel.toJson(),
    measures: () => Promise.resolve(null),
    onExported: () => {},
    onLeftOut: () => {},
  };
  await exportFolder(prepare([file], told.prepare, funnel, signal, model), setup, signal);
  await rm(out, { recursive: true });
}
