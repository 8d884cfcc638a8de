// Owns a loaded graph and its runs: bindings, asynchronous execution, termination, release.
// It does not know what the graph computes.
import { EngineError } from "../errors.ts";
import { encodePath, readCString } from "./api.ts";
import type { Pointer } from "./api.ts";
import { appendProvider } from "./device.ts";
import type { Device } from "./device.ts";
import type { Environment } from "./environment.ts";
import { deviceMemory, hostMemory } from "./tensor.ts";
import type { Memory, Tensor } from "./tensor.ts";

/** A model file (external data beside it) or the bytes of a graph. */
export type GraphSource = { readonly path: string } | { readonly bytes: Uint8Array };

const OPTIMIZE_ALL = 99;

export interface SessionOptions {
  /**
   * Whether memory is planned as one block after the first run (the default): quicker where every run has the same shapes.
   * Where shapes change, or the first run's memory is most of what there is, it is kept twice.
   */
  readonly isMemoryPlanned?: boolean;
}

/** Loads a graph onto a device, off the event loop. */
export async function openSession(
  environment: Environment,
  device: Device,
  source: GraphSource,
  { isMemoryPlanned = true }: SessionOptions = {},
): Promise<Session> {
  const { api } = environment;
  const options = api.create("CreateSessionOptions");
  try {
    if (!isMemoryPlanned) api.call("DisableMemPattern", options);
    api.call("SetSessionGraphOptimizationLevel", options, OPTIMIZE_ALL);
    api.call("DisablePerSessionThreads", options);
    api.call("AddSessionConfigEntry", options, "session.set_denormal_as_zero", "1");
    appendProvider(api, options, device);
    const pointer =
      "path" in source
        ? await api.createAsync("CreateSession", environment.pointer, encodePath(source.path), options)
        : await api.createAsync(
            "CreateSessionFromArray",
            environment.pointer,
            source.bytes,
            source.bytes.byteLength,
            options,
          );
    return new Session(environment, device, pointer);
  } finally {
    api.call("ReleaseSessionOptions", options);
  }
}

/** Values bound to a session's inputs and outputs. Bound tensors must outlive the binding. */
export class Binding {
  readonly session: Session;
  #pointer: Pointer | null;

  constructor(session: Session) {
    this.session = session;
    this.#pointer = session.environment.api.create("CreateIoBinding", session.pointer);
  }

  get pointer(): Pointer {
    if (this.#pointer === null) throw new EngineError("ort_failed", "A released binding was used.");
    return this.#pointer;
  }

  /** Binds or re-binds an input. */
  input(name: string, tensor: Tensor): void {
    this.session.environment.api.call("BindInput", this.pointer, name, tensor.value);
  }

  /** Binds or re-binds an output to memory the caller owns; its shape must be the one the run produces. */
  output(name: string, tensor: Tensor): void {
    this.session.environment.api.call("BindOutput", this.pointer, name, tensor.value);
  }

  release(): void {
    if (this.#pointer === null) return;
    this.session.environment.api.call("ReleaseIoBinding", this.#pointer);
    this.#pointer = null;
  }
}

/** A graph on a device. One run at a time; release only when none is in flight. */
export class Session {
  readonly environment: Environment;
  readonly device: Device;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Host memory, and the device's (the same object on the CPU). */
  readonly host: Memory;
  readonly memory: Memory;
  readonly #runOptions: Pointer;
  #pointer: Pointer | null;
  #isRunning = false;

  constructor(environment: Environment, device: Device, pointer: Pointer) {
    const { api } = environment;
    this.environment = environment;
    this.device = device;
    this.#pointer = pointer;
    this.host = hostMemory(api);
    this.memory = device.memoryName === null ? this.host : deviceMemory(api, pointer, device.memoryName);
    this.#runOptions = api.create("CreateRunOptions");
    this.inputNames = this.#names("SessionGetInputCount", "SessionGetInputName");
    this.outputNames = this.#names("SessionGetOutputCount", "SessionGetOutputName");
  }

  get pointer(): Pointer {
    if (this.#pointer === null) throw new EngineError("ort_failed", "A released session was used.");
    return this.#pointer;
  }

  createBinding(): Binding {
    return new Binding(this);
  }

  /**
   * Runs off the event loop; bound tensors belong to the run until it resolves.
   * Rejects with EngineError("cancelled") after `terminate`, with ORT's own message on failure.
   */
  async run(binding: Binding): Promise<void> {
    const { api } = this.environment;
    if (this.#isRunning) throw new EngineError("ort_failed", "A session runs one binding at a time.");
    this.#isRunning = true;
    try {
      if (this.device.name !== "cpu") api.call("SynchronizeBoundInputs", binding.pointer);
      await api.callAsync("RunWithBinding", this.pointer, this.#runOptions, binding.pointer);
      if (this.device.name !== "cpu") api.call("SynchronizeBoundOutputs", binding.pointer);
    } catch (error) {
      if (error instanceof EngineError && error.message.includes("terminate flag")) {
        throw new EngineError("cancelled", "The run was terminated.", {}, { cause: error });
      }
      throw error;
    } finally {
      this.#isRunning = false;
    }
  }

  /** Ends the run in flight at its next node, and refuses later ones. */
  terminate(): void {
    this.environment.api.call("RunOptionsSetTerminate", this.#runOptions);
  }

  /** Frees the graph and its memory. Tensors and bindings made from it must be released before. */
  release(): void {
    const pointer = this.#detach();
    if (pointer !== null) this.environment.api.call("ReleaseSession", pointer);
  }

  /** The same off the event loop on the CPU, where freeing a large model takes a while; devices may want the thread they began on. */
  async close(): Promise<void> {
    if (this.device.name !== "cpu") return this.release();
    const pointer = this.#detach();
    if (pointer !== null) await this.environment.api.callAsync("ReleaseSession", pointer);
  }

  /** Releases all but the graph, which is still to be; null when that has happened. */
  #detach(): Pointer | null {
    const pointer = this.#pointer;
    if (pointer === null) return null;
    if (this.#isRunning) throw new EngineError("ort_failed", "A session cannot be released while it runs.");
    this.environment.api.call("ReleaseRunOptions", this.#runOptions);
    if (this.memory !== this.host) this.memory.release();
    this.host.release();
    this.#pointer = null;
    return pointer;
  }

  #names(
    countName: "SessionGetInputCount" | "SessionGetOutputCount",
    getName: "SessionGetInputName" | "SessionGetOutputName",
  ): string[] {
    const { api } = this.environment;
    const count = [0];
    api.call(countName, this.pointer, count);
    return Array.from({ length: count[0] ?? 0 }, (_, index) => {
      const text = api.create(getName, this.pointer, index, this.host.allocator);
      const name = readCString(text);
      api.call("AllocatorFree", this.host.allocator, text);
      return name;
    });
  }
}
