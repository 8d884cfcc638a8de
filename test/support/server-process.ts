// Starts the real server as its own process on a free port, with the seed pair unless told otherwise, and stops it.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

export interface ServerProcess {
  /** E.g. `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly pid: number;
  /** One JSON object per line the server logged so far. */
  readonly logged: () => readonly Record<string, unknown>[];
  /** Sends SIGTERM and resolves with the exit code. */
  readonly stop: () => Promise<number | null>;
}

/** Resolves once it listens; rejects with what it printed when it ends before. */
export async function startServerProcess(
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [...(await startArguments()), "--port", "0", "--device", "cpu", ...flags], {
    cwd: ROOT,
    env: {
      PATH: process.env["PATH"] ?? "",
      // A configuration file says for itself what is served.
      ...(flags.includes("--config") ? {} : { REALCHAT_MODELS: join(ROOT, "test", "fixtures", "seed-pair") }),
      REALCHAT_DATA: join(tmpdir(), `realchat-data-${randomUUID()}`),
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  const url = await untilListening(child, output);
  return {
    url,
    pid: child.pid!,
    logged: () => `${output.stdout}\n${output.stderr}`.split("\n").filter(isJson).map(parse),
    async stop() {
      if (child.exitCode !== null) return child.exitCode;
      child.kill("SIGTERM");
      const [code] = (await once(child, "exit")) as [number | null];
      return code;
    },
  };
}

/** What `npm start` passes to node. */
async function startArguments(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as {
    scripts: { start: string };
  };
  return scripts.start.split(" ").slice(1);
}

async function untilListening(child: ChildProcess, output: { stdout: string; stderr: string }): Promise<string> {
  while (child.exitCode === null) {
    const found = /listens on (http:\S+)/.exec(output.stdout);
    if (found !== null) return found[1]!;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`the server ended with ${child.exitCode}: ${output.stderr}${output.stdout}`);
}

const isJson = (line: string): boolean => line.startsWith("{");
const parse = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>;
