// A gateway whose trainings and loops are scripted: the real store, files, routes and processes, and OpenAI's client without a socket.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { createApp } from "../../server/app.ts";
import type { Config } from "../../server/config.ts";
import { createLifecycle } from "../../server/lifecycle.ts";
import { createLog } from "../../server/log.ts";
import type { ModelCatalog } from "../../server/model-catalog.ts";
import type { LoopCommandOf } from "../../server/loops/loop-command.ts";
import { createServices } from "../../server/services.ts";
import { type CommandOf, tuneCommand } from "../../server/tuning/tune-command.ts";
import { scriptedCatalog, testConfig, testMetrics } from "./app-harness.ts";
import { scriptedModel } from "./scripted-model.ts";
import type { LoopPace } from "./scripted-loop-cli.ts";
import type { Pace } from "./scripted-tuning-cli.ts";

const program = join(import.meta.dirname, "scripted-tuning-cli.ts");
const loopProgram = join(import.meta.dirname, "scripted-loop-cli.ts");
const usergpt = join(import.meta.dirname, "..", "..", "models", "usergpt");

const commandOf: CommandOf = (part, jobFile) => {
  const pace = JSON.parse(readFileSync(join(jobFile, "..", "..", "pace.json"), "utf8")) as Pace;
  if (part === "prepare" && pace.isPreparing === true) return tuneCommand(part, jobFile);
  return { program: process.execPath, args: [program, part, jobFile] };
};

const loopCommandOf: LoopCommandOf = (flags, place) => ({
  program: process.execPath,
  args: [loopProgram, ...flags],
  ...place,
});

/** A served model that was fine-tuned before. */
export const tunedBefore = "ft:usergpt:realchat:first:aaaaaaaa";

/** One that a loop made. */
const loopedBefore = "ft:usergpt:earlier-2";

export interface TuningGateway {
  readonly client: OpenAI;
  readonly config: Config;
  readonly metrics: () => Promise<string>;
  /** Ids that were loaded and removed, in order. */
  readonly loaded: string[];
  readonly removed: string[];
  /** What was logged as an error so far. */
  readonly errors: () => string[];
  /** Lets what is trained leave a checkpoint. */
  readonly drain: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Begins to work at once. `pace` is that of all trainings until another is set. */
export async function tuningGateway(
  pace: Partial<Pace> = {},
  over: Partial<Config> = {},
  localModels: readonly string[] = ["usergpt", tunedBefore],
): Promise<TuningGateway> {
  const config = testConfig(over);
  setPace(config, pace);
  setLoopPace(config, {});
  const loaded: string[] = [];
  const removed: string[] = [];
  const model = scriptedModel({ info: { id: "usergpt", role: "user" } });
  const tuned = scriptedModel({ info: { id: tunedBefore, role: "user" } });
  const looped = scriptedModel({ info: { id: loopedBefore, role: "user" } });
  const catalog: ModelCatalog = {
    ...scriptedCatalog([model, tuned, scriptedModel(), looped]),
    loader: {
      load: (id) => {
        if (id.includes(":unloadable:")) return Promise.reject(new Error("The model folder is broken."));
        loaded.push(id);
        return Promise.resolve(model.info);
      },
      remove: (id) => {
        removed.push(id);
        return Promise.resolve(true);
      },
      folderOf: (id) => Promise.resolve(localModels.includes(id) ? usergpt : null),
      refresh: () => Promise.resolve(),
      watch: () => {},
    },
  };
  const lines: string[] = [];
  const log = createLog("error", (line) => lines.push(line));
  const metrics = testMetrics();
  const services = createServices({ catalog, config, log, metrics }, { tune: commandOf, loop: loopCommandOf });
  const app = createApp({ catalog, config, lifecycle: createLifecycle(), log, metrics, services });
  const client = new OpenAI({
    baseURL: "http://gateway/v1",
    apiKey: "none",
    maxRetries: 0,
    fetch: async (input, init) => app.request(input, init),
  });
  await services.start();
  services.loops.listening("http://gateway");
  let stopping: Promise<void> | null = null;
  const stopNow = async () => {
    await services.drain(AbortSignal.abort());
    await services.close();
  };
  return {
    client,
    config,
    loaded,
    removed,
    metrics: () => metrics.render(),
    errors: () => lines,
    drain: () => services.drain(new AbortController().signal),
    stop: () => (stopping ??= stopNow()),
  };
}

/** From now on. */
export function setPace({ dataFolder }: Config, pace: Partial<Pace>): void {
  const folder = join(dataFolder, "tuning");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "pace.json"), JSON.stringify({ steps: 6, stepMs: 1, checkpointEvery: 2, ...pace }));
}

/** Of loops, from now on. */
export function setLoopPace({ dataFolder }: Config, pace: Partial<LoopPace>): void {
  const folder = join(dataFolder, "loops");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "pace.json"), JSON.stringify({ stepMs: 5, ...pace }));
}

/** Ids of the models whose training was started, once for each time. */
export function startedTrainings({ dataFolder }: Config): readonly string[] {
  return readFileSync(join(dataFolder, "tuning", "started.txt"), "utf8")
    .trim()
    .split("\n");
}
