// Owns how an engine comes to be: environment, device, decoder, limits. It knows no text.
import type { EngineObserver } from "../chat-model.ts";
import { openDecoder } from "./decoder.ts";
import { Engine } from "./engine.ts";
import { EngineError } from "../errors.ts";
import type { Manifest } from "../manifest.ts";
import { chooseDevice } from "../ort/device.ts";
import type { DeviceChoice, DeviceName } from "../ort/device.ts";
import { openEnvironment } from "../ort/environment.ts";

export interface EngineSettings {
  readonly device: DeviceChoice;
  /** Threads of the pool all models share; null means one per core. */
  readonly threads: number | null;
  /** See EnvironmentOptions. */
  readonly isSpinning: boolean;
  /** Another libonnxruntime than the packaged one; null for the packaged. */
  readonly libraryPath: string | null;
  /** Sequences that may be in progress at once, each with memory for a whole context window. */
  readonly slots: number;
  /** Lowers the manifest's context window; null keeps it. */
  readonly contextWindow: number | null;
  readonly prefillChunkTokens: number;
  readonly isBatchInvariant: boolean;
  readonly maxWaitingRequests: number;
  readonly maxWaitingTokens: number;
}

export interface OpenedEngine {
  readonly engine: Engine;
  readonly device: DeviceName;
}

/**
 * Loads a model folder's graph. Every engine of a process shares one thread pool. `onDeviceFallback` hears why `auto`
 * took the CPU. Throws EngineError: ort_missing, device_unavailable, ort_failed, bad_model.
 */
export async function openEngine(
  folder: string,
  manifest: Manifest,
  settings: EngineSettings,
  observer: EngineObserver,
  onDeviceFallback: (reason: string) => void,
): Promise<OpenedEngine> {
  const { contextWindow: cap, slots, prefillChunkTokens } = settings;
  if (settings.isBatchInvariant && slots < 2) {
    throw new EngineError("bad_model", `Batch-invariant decoding needs at least 2 slots, not ${slots}.`);
  }
  const contextWindow = Math.min(manifest.contextWindow, cap ?? manifest.contextWindow);
  const environment = openEnvironment({
    threads: settings.threads,
    isSpinning: settings.isSpinning,
    ...(settings.libraryPath === null ? {} : { libraryPath: settings.libraryPath }),
  });
  try {
    const device = chooseDevice(environment.api, settings.device, manifest.kvPrecision, onDeviceFallback);
    const decoder = await openDecoder(environment, device, {
      folder,
      manifest,
      slots,
      maxTokens: contextWindow,
      prefillChunkTokens,
    });
    const engine = new Engine(environment, decoder, {
      ...settings,
      modelId: manifest.id,
      contextWindow,
      vocabSize: manifest.network.vocabSize,
      observer,
    });
    return { engine, device: device.name };
  } catch (error) {
    environment.release();
    throw error;
  }
}
