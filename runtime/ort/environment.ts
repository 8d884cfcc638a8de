// Owns the ORT environment: one per process, with the one thread pool that every session shares.
// It does not know sessions or devices.
import { availableParallelism } from "node:os";
import { EngineError } from "../errors.ts";
import { ortApi } from "./api.ts";
import type { OrtApi, Pointer } from "./api.ts";
import { limitArenas } from "./host-allocator.ts";

export interface EnvironmentOptions {
  /** Threads of the shared pool, the calling one included; null means one per core. */
  readonly threads: number | null;
  /** Whether idle threads spin for a while before they sleep (the default): quicker alone, costly to others on the same cores. */
  readonly isSpinning?: boolean;
  /** Another libonnxruntime than the one inside onnxruntime-node (a CUDA build, say). */
  readonly libraryPath?: string;
}

export interface Environment {
  readonly api: OrtApi;
  readonly pointer: Pointer;
  readonly threads: number;
  /** Runs pieces of work one after the other, in the order asked: a step uses every core, so two would only disturb each other. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Every holder releases once; the last one frees the thread pool. */
  release(): void;
}

const LOG_LEVEL_ERROR = 3;
let current: { api: OrtApi; pointer: Pointer; threads: number; holders: number; last: Promise<unknown> } | undefined;

/** The process's environment. A second caller shares the first one's thread pool and must not ask for another size. */
export function openEnvironment(options: EnvironmentOptions): Environment {
  const threads = options.threads ?? availableParallelism();
  if (current !== undefined && options.threads !== null && current.threads !== threads) {
    throw new EngineError(
      "ort_failed",
      `ONNX Runtime already runs with ${current.threads} threads; ${threads} cannot be had in the same process.`,
    );
  }
  current ??= create(threads, options.isSpinning ?? true, options.libraryPath);
  current.holders += 1;
  const held = current;
  let isReleased = false;
  return {
    api: held.api,
    pointer: held.pointer,
    threads: held.threads,
    exclusive(work) {
      const result = held.last.then(work);
      held.last = result.catch(() => undefined);
      return result;
    },
    release() {
      if (isReleased) return;
      isReleased = true;
      held.holders -= 1;
      if (held.holders > 0) return;
      held.api.call("ReleaseEnv", held.pointer);
      current = undefined;
    },
  };
}

function create(threads: number, isSpinning: boolean, libraryPath: string | undefined): NonNullable<typeof current> {
  const api = ortApi(libraryPath);
  limitArenas();
  const options = api.create("CreateThreadingOptions");
  try {
    api.call("SetGlobalIntraOpNumThreads", options, threads);
    api.call("SetGlobalSpinControl", options, isSpinning ? 1 : 0);
    const pointer = api.create("CreateEnvWithGlobalThreadPools", LOG_LEVEL_ERROR, "realchat", options);
    return { api, pointer, threads, holders: 0, last: Promise.resolve() };
  } finally {
    api.call("ReleaseThreadingOptions", options);
  }
}
