// Owns what differs between devices: execution provider, name of its memory, whether its addresses can be computed with.
// It does not know models.
import { EngineError } from "../errors.ts";
import type { OrtApi, Pointer } from "./api.ts";
import type { ElementType } from "./tensor.ts";

export type DeviceName = "cpu" | "cuda" | "webgpu";
export type DeviceChoice = DeviceName | "auto";

export interface Device {
  readonly name: DeviceName;
  /** ORT's name for the device's memory; null for host memory. */
  readonly memoryName: string | null;
  /** Whether a tensor may begin inside another's buffer. WebGPU's "addresses" are buffer handles. */
  readonly isAddressable: boolean;
  /** Element types its GroupQueryAttention kernel takes for keys and values. */
  readonly kvElements: readonly ElementType[];
}

const DEVICES: Readonly<Record<DeviceName, Device>> = {
  cpu: { name: "cpu", memoryName: null, isAddressable: true, kvElements: ["float32", "float16"] },
  cuda: { name: "cuda", memoryName: "Cuda", isAddressable: true, kvElements: ["float16"] },
  webgpu: { name: "webgpu", memoryName: "WebGPU_Buf", isAddressable: false, kvElements: ["float32", "float16"] },
};

/**
 * The device to use for a choice, for a model whose keys and values are of `kvElement` (null where none are kept); tried
 * out by attaching its provider to throw-away session options. `auto` takes CUDA when it can be had, else the CPU, and reports why through
 * `onFallback`. Throws EngineError("device_unavailable") with the reason when a named device cannot be had.
 */
export function chooseDevice(
  api: OrtApi,
  choice: DeviceChoice,
  kvElement: ElementType | null,
  onFallback: (reason: string) => void,
): Device {
  if (choice !== "auto") {
    probe(api, DEVICES[choice], kvElement);
    return DEVICES[choice];
  }
  try {
    probe(api, DEVICES.cuda, kvElement);
    return DEVICES.cuda;
  } catch (error) {
    onFallback(error instanceof Error ? error.message : String(error));
    return DEVICES.cpu;
  }
}

/** Attaches the device's execution provider to session options; the CPU needs none. */
export function appendProvider(api: OrtApi, sessionOptions: Pointer, device: Device): void {
  if (device.name === "cuda") appendCuda(api, sessionOptions);
  if (device.name === "webgpu") {
    api.call("SessionOptionsAppendExecutionProvider", sessionOptions, "WebGPU", [], [], 0);
  }
}

function appendCuda(api: OrtApi, sessionOptions: Pointer): void {
  const cuda = api.create("CreateCUDAProviderOptions");
  try {
    // Growing by exactly what is asked for leaves the rest of the card to the key-value cache.
    const keys = ["device_id", "arena_extend_strategy", "use_tf32"];
    const values = ["0", "kSameAsRequested", "0"];
    api.call("UpdateCUDAProviderOptions", cuda, keys, values, keys.length);
    api.call("SessionOptionsAppendExecutionProvider_CUDA_V2", sessionOptions, cuda);
  } finally {
    api.call("ReleaseCUDAProviderOptions", cuda);
  }
}

function probe(api: OrtApi, device: Device, kvElement: ElementType | null): void {
  if (kvElement !== null && !device.kvElements.includes(kvElement)) {
    throw new EngineError(
      "device_unavailable",
      `The device "${device.name}" cannot be used: it takes no ${kvElement} keys and values; import the model with \`--kv ${device.kvElements[0]}\`.`,
    );
  }
  const options = api.create("CreateSessionOptions");
  try {
    appendProvider(api, options, device);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError(
      "device_unavailable",
      `The device "${device.name}" cannot be used: ${shorten(reason)}`,
      {},
      { cause },
    );
  } finally {
    api.call("ReleaseSessionOptions", options);
  }
}

// ORT's messages begin with its own source path and function; what a person needs stands at the end. The paths of
// libraries are cut to their names, since the sentence is also shown over HTTP. The whole message stays the cause.
function shorten(message: string): string {
  const tail = /(?: was false\.|\[ONNXRuntimeError\] : \d+ : \w+ :)\s*([\s\S]*)$/.exec(message)?.[1] ?? message;
  return tail.replaceAll(/[^\s:]*[/\\]([^/\\\s:]+)/g, "$1").trim();
}
