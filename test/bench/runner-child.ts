// The process of one runner: opens it as told in the first message, then answers one call after the other.
import { openLlamaCpp } from "./runners/llama-cpp.ts";
import { openOnnxruntimeNode } from "./runners/onnxruntime-node.ts";
import { openRealchat } from "./runners/realchat.ts";
import { openTransformers } from "./runners/transformers.ts";
import type { RunnerAnswer, RunnerCall } from "./runner-process.ts";
import type { OpenRunner, Runner, RunnerName } from "./runner.ts";

const OPENERS: Readonly<Record<RunnerName, OpenRunner>> = {
  realchat: openRealchat,
  "onnxruntime-node": (options) => openOnnxruntimeNode(options, false),
  "onnxruntime-node-cut": (options) => openOnnxruntimeNode(options, true),
  transformers: openTransformers,
  "llama.cpp": openLlamaCpp,
};

let runner: Runner | null = null;

async function answer(call: RunnerCall): Promise<unknown> {
  if (call.method === "open") {
    runner = await OPENERS[call.name](call.options);
    return runner.description;
  }
  if (runner === null) throw new Error("no runner is open");
  switch (call.method) {
    case "prepareDecode":
      return runner.prepareDecode(call.batch, call.contextTokens);
    case "decode":
      return runner.decode(call.budgetMs);
    case "prefill":
      return runner.prefill(call.tokens, call.chunkTokens);
    case "close":
      return runner.close();
    default:
      throw new Error(`unknown call ${String(call satisfies never)}`);
  }
}

process.on("message", (call: RunnerCall) => {
  void answer(call)
    .then(
      (result): RunnerAnswer => ({ result }),
      (error: unknown): RunnerAnswer => ({ error: error instanceof Error ? error.message : String(error) }),
    )
    .then((message) => process.send?.(message));
});

// The bench is gone: nobody waits for an answer any more.
process.on("disconnect", () => process.exit());
