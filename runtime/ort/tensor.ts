// Owns tensors: memory allocated through ORT (host or device), or views into it, and their explicit release.
// It does not know what the numbers mean.
import { EngineError } from "../errors.ts";
import { viewMemory } from "./api.ts";
import type { OrtApi, Pointer } from "./api.ts";

export type ElementType = "float32" | "float16" | "int32" | "int64" | "uint8";

const ELEMENTS: Readonly<Record<ElementType, { code: number; bytes: number }>> = {
  float32: { code: 1, bytes: 4 },
  float16: { code: 10, bytes: 2 },
  int32: { code: 6, bytes: 4 },
  int64: { code: 7, bytes: 8 },
  uint8: { code: 2, bytes: 1 },
};

/** Where tensors of one kind live: host memory, or a device's through the allocator of a session that runs there. */
export interface Memory {
  readonly api: OrtApi;
  readonly isHost: boolean;
  readonly allocator: Pointer;
  readonly info: Pointer;
  release(): void;
}

/** Host memory from ORT's default allocator. */
export function hostMemory(api: OrtApi): Memory {
  const info = api.create("CreateMemoryInfo", "Cpu", OrtDeviceAllocator, 0, OrtMemTypeDefault);
  // The default allocator is ORT's own and is never released.
  const allocator = api.create("GetAllocatorWithDefaultOptions");
  return { api, isHost: true, allocator, info, release: () => api.call("ReleaseMemoryInfo", info) };
}

/** Memory of the device a session runs on; `memoryName` as in Device. */
export function deviceMemory(api: OrtApi, session: Pointer, memoryName: string): Memory {
  const info = api.create("CreateMemoryInfo", memoryName, OrtDeviceAllocator, 0, OrtMemTypeDefault);
  try {
    const allocator = api.create("CreateAllocator", session, info);
    return {
      api,
      isHost: false,
      allocator,
      info,
      release() {
        api.call("ReleaseAllocator", allocator);
        api.call("ReleaseMemoryInfo", info);
      },
    };
  } catch (error) {
    api.call("ReleaseMemoryInfo", info);
    throw error;
  }
}

const OrtDeviceAllocator = 0;
const OrtMemTypeDefault = 0;

/** A tensor over memory it owns, or over part of another tensor's. Released exactly once by whoever made it. */
export class Tensor {
  readonly memory: Memory;
  readonly element: ElementType;
  readonly shape: readonly number[];
  readonly address: Pointer;
  readonly byteLength: number;
  #value: Pointer | null;
  #bytes: Uint8Array | null = null;

  private constructor(memory: Memory, element: ElementType, shape: readonly number[], value: Pointer) {
    this.memory = memory;
    this.element = element;
    this.shape = shape;
    this.byteLength = sizeOf(element, shape);
    this.#value = value;
    this.address = memory.api.create("GetTensorMutableData", value);
  }

  /** Uninitialized memory of the shape. */
  static allocate(memory: Memory, element: ElementType, shape: readonly number[]): Tensor {
    const dims = BigInt64Array.from(shape, BigInt);
    const value = memory.api.create(
      "CreateTensorAsOrtValue",
      memory.allocator,
      dims,
      shape.length,
      ELEMENTS[element].code,
    );
    return new Tensor(memory, element, shape, value);
  }

  /** A tensor of `shape` inside this one's memory, from `offsetBytes` on. It must be released before this one. */
  view(offsetBytes: number, shape: readonly number[]): Tensor {
    const byteLength = sizeOf(this.element, shape);
    if (offsetBytes < 0 || offsetBytes + byteLength > this.byteLength) {
      throw new EngineError(
        "ort_failed",
        `A view of ${byteLength} bytes at ${offsetBytes} leaves its tensor of ${this.byteLength} bytes.`,
      );
    }
    const dims = BigInt64Array.from(shape, BigInt);
    const value = this.memory.api.create(
      "CreateTensorWithDataAsOrtValue",
      this.memory.info,
      this.address + BigInt(offsetBytes),
      byteLength,
      dims,
      shape.length,
      ELEMENTS[this.element].code,
    );
    return new Tensor(this.memory, this.element, shape, value);
  }

  /** The OrtValue, for bindings. */
  get value(): Pointer {
    if (this.#value === null) throw new EngineError("ort_failed", "A released tensor was used.");
    return this.#value;
  }

  /** The tensor's memory as bytes; host tensors only, and not to be kept past `release`. */
  get bytes(): Uint8Array {
    if (!this.memory.isHost) throw new EngineError("ort_failed", "Device memory is not readable from the host.");
    void this.value;
    this.#bytes ??= new Uint8Array(viewMemory(this.address, this.byteLength));
    return this.#bytes;
  }

  float32(): Float32Array {
    return new Float32Array(this.bytes.buffer, 0, this.byteLength / 4);
  }

  int32(): Int32Array {
    return new Int32Array(this.bytes.buffer, 0, this.byteLength / 4);
  }

  int64(): BigInt64Array {
    return new BigInt64Array(this.bytes.buffer, 0, this.byteLength / 8);
  }

  release(): void {
    const value = this.#detach();
    if (value !== null) this.memory.api.call("ReleaseValue", value);
  }

  /** The same off the event loop, for host tensors whose memory takes a while to free. */
  async close(): Promise<void> {
    if (!this.memory.isHost) return this.release();
    const value = this.#detach();
    if (value !== null) await this.memory.api.callAsync("ReleaseValue", value);
  }

  #detach(): Pointer | null {
    const value = this.#value;
    this.#value = null;
    this.#bytes = null;
    return value;
  }
}

function sizeOf(element: ElementType, shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, ELEMENTS[element].bytes);
}
