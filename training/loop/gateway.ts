// Owns the gateway that a round is played on: one that is started for it, with a store in the run folder, or one that runs already.
// It knows a process and an address; what is asked there is selfplay-job.ts's.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { leashArguments } from "./child.ts";
import type { LoopModels, Run } from "./run.ts";

const program = join(import.meta.dirname, "..", "..", "server", "main.ts");
const keptCharacters = 4000;
const pollMs = 20;

export interface Gateway {
  /** Without a path. */
  readonly url: string;
  readonly apiKey: string | null;
  /** Why it answers no more, as a sentence; null while it may. */
  readonly ending: () => string | null;
  readonly close: () => Promise<void>;
}

/** What comes from the environment of the process. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The gateway of --url, or a new one that serves just these two models. Throws an Error with what it said where it does not start. */
export async function openGateway(
  { options, folder }: Pick<Run, "options" | "folder">,
  models: LoopModels,
  { environment }: Surroundings,
  signal: AbortSignal,
): Promise<Gateway> {
  if (options.url !== null) {
    const url = options.url.replace(/\/+$/, "").replace(/\/v1$/, "");
    const [key = ""] = (environment["REALCHAT_API_KEYS"] ?? "").split(",");
    return { url, apiKey: key.trim() === "" ? null : key.trim(), ending: () => null, close: () => Promise.resolve() };
  }
  // A root without models: only those that are named.
  const root = join(folder, "store", "no-models");
  await mkdir(root, { recursive: true });
  const flags = {
    host: "127.0.0.1",
    port: "0",
    models: root,
    rescan: "0",
    data: join(folder, "store"),
    device: options.device,
    threads: String(options.threads ?? "auto"),
    spin: "off",
    "drain-timeout": "0",
    "log-level": "error",
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const named = [models.user, models.assistant].map((model) => `--model=${model.folder}`);
  const child = spawn(process.execPath, [...leashArguments(folder), program, ...args, ...named], {
    stdio: ["ignore", "pipe", "pipe"],
    // Settings of another gateway are not this one's.
    env: {
      ...environment,
      REALCHAT_API_KEYS: "",
      REALCHAT_CONFIG: "",
      REALCHAT_MODELS: "",
      REALCHAT_MODEL: "",
      DATABASE_URL: "",
    },
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] = (said[name] + text).slice(-keptCharacters);
    });
  }
  const ending = () => (hasEnded(child) ? `the gateway for the self-play ended: ${said.stderr.trim()}` : null);
  try {
    const url = await untilListening(said, ending, signal);
    return { url, apiKey: null, ending, close: () => end(child) };
  } catch (error) {
    await end(child);
    throw error;
  }
}

async function untilListening(
  said: { readonly stdout: string },
  ending: () => string | null,
  signal: AbortSignal,
): Promise<string> {
  for (;;) {
    signal.throwIfAborted();
    const found = /listens on (http:\S+)/.exec(said.stdout)?.[1];
    if (found !== undefined) return found;
    const reason = ending();
    if (reason !== null) throw new Error(reason);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;
