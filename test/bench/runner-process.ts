// A runner in a process of its own, seen from the bench: the same interface, every call a message there and back.
// It knows no runner; which one is opened is decided by name in runner-child.ts.
import { fork } from "node:child_process";
import { join } from "node:path";
import type { PrefillResult, Runner, RunnerName, RunnerOptions } from "./runner.ts";

export type RunnerCall =
  | { readonly method: "open"; readonly name: RunnerName; readonly options: RunnerOptions }
  | { readonly method: "prepareDecode"; readonly batch: number; readonly contextTokens: number }
  | { readonly method: "decode"; readonly budgetMs: number }
  | { readonly method: "prefill"; readonly tokens: number; readonly chunkTokens: number }
  | { readonly method: "close" };

export type RunnerAnswer = { readonly result: unknown } | { readonly error: string };

/** Starts the process and opens the runner there. Whatever it prints is dropped but for errors at the start. */
export async function openRunnerProcess(name: RunnerName, options: RunnerOptions): Promise<Runner> {
  const child = fork(join(import.meta.dirname, "runner-child.ts"), { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let complaints = "";
  child.stderr?.on("data", (piece: Buffer) => (complaints = `${complaints}${piece.toString()}`.slice(-2000)));
  const call = (message: RunnerCall): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        child.off("message", onMessage);
        child.off("exit", onExit);
      };
      const onMessage = (reply: RunnerAnswer): void => {
        settle();
        if ("error" in reply) reject(new Error(reply.error));
        else resolve(reply.result);
      };
      const onExit = (code: number | null, signal: string | null): void => {
        settle();
        reject(new Error(`${name} ended with ${signal ?? String(code)}: ${complaints.trim()}`));
      };
      child.on("message", onMessage);
      child.on("exit", onExit);
      child.send(message);
    });
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const hasEnded = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    // Some native libraries never let go: the process ends whether they like it or not.
    await call({ method: "close" }).catch(() => undefined);
    child.kill("SIGKILL");
    await hasEnded;
  };
  try {
    const description = (await call({ method: "open", name, options })) as string;
    return {
      description,
      prepareDecode: async (batch, contextTokens) =>
        void (await call({ method: "prepareDecode", batch, contextTokens })),
      decode: async (budgetMs) => (await call({ method: "decode", budgetMs })) as number[],
      prefill: async (tokens, chunkTokens) => (await call({ method: "prefill", tokens, chunkTokens })) as PrefillResult,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
