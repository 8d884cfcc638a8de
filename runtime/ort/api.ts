// Owns the native boundary: loads ONNX Runtime's shared library and calls its C API through the append-only OrtApi table.
// Everything below knows pointers as bigints; nothing above runtime/ort ever sees one.
// It knows nothing of sessions, tensors or models: only of functions, statuses and pointers.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import koffi from "koffi";
import { loadLibrary } from "./native-library.ts";
import { EngineError } from "../errors.ts";

export type Pointer = bigint;
type NativeFunction = ((...args: unknown[]) => unknown) & {
  async: (...args: unknown[]) => void;
};

// The C API promises that an index never changes once released; all of these exist since version 15.
const API_VERSION = 15;

const P = "void *";
const OUT = koffi.out(koffi.pointer(P));
// name → [index in OrtApi, argument types]; a status pointer is returned unless the name begins with "Release".
const FUNCTIONS = {
  CreateEnvWithGlobalThreadPools: [119, ["int", "str", P, OUT]],
  ReleaseEnv: [92, [P]],
  CreateThreadingOptions: [121, [OUT]],
  ReleaseThreadingOptions: [122, [P]],
  SetGlobalIntraOpNumThreads: [147, [P, "int"]],
  SetGlobalSpinControl: [149, [P, "int"]],
  CreateSessionOptions: [10, [OUT]],
  ReleaseSessionOptions: [100, [P]],
  SetSessionGraphOptimizationLevel: [23, [P, "int"]],
  DisableMemPattern: [17, [P]],
  DisablePerSessionThreads: [120, [P]],
  AddSessionConfigEntry: [130, [P, "str", "str"]],
  SessionOptionsAppendExecutionProvider: [216, [P, "str", "const char **", "const char **", "size_t"]],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, [P, P]],
  CreateCUDAProviderOptions: [205, [OUT]],
  UpdateCUDAProviderOptions: [206, [P, "const char **", "const char **", "size_t"]],
  ReleaseCUDAProviderOptions: [208, [P]],
  CreateSession: [7, [P, P, P, OUT]],
  CreateSessionFromArray: [8, [P, P, "size_t", P, OUT]],
  ReleaseSession: [95, [P]],
  SessionGetInputCount: [30, [P, koffi.out("size_t *")]],
  SessionGetOutputCount: [31, [P, koffi.out("size_t *")]],
  SessionGetInputName: [36, [P, "size_t", P, OUT]],
  SessionGetOutputName: [37, [P, "size_t", P, OUT]],
  CreateRunOptions: [39, [OUT]],
  ReleaseRunOptions: [97, [P]],
  RunOptionsSetTerminate: [46, [P]],
  CreateTensorAsOrtValue: [48, [P, "int64_t *", "size_t", "int", OUT]],
  CreateTensorWithDataAsOrtValue: [49, [P, P, "size_t", "int64_t *", "size_t", "int", OUT]],
  GetTensorMutableData: [51, [P, OUT]],
  ReleaseValue: [96, [P]],
  CreateMemoryInfo: [68, ["str", "int", "int", "int", OUT]],
  ReleaseMemoryInfo: [94, [P]],
  GetAllocatorWithDefaultOptions: [78, [OUT]],
  CreateAllocator: [131, [P, P, OUT]],
  ReleaseAllocator: [132, [P]],
  AllocatorFree: [76, [P, P]],
  CreateIoBinding: [134, [P, OUT]],
  ReleaseIoBinding: [135, [P]],
  BindInput: [136, [P, "str", P]],
  BindOutput: [137, [P, "str", P]],
  RunWithBinding: [133, [P, P, P]],
  SynchronizeBoundInputs: [202, [P]],
  SynchronizeBoundOutputs: [203, [P]],
} as const satisfies Record<string, readonly [number, readonly unknown[]]>;

export type ApiName = keyof typeof FUNCTIONS;

/** The loaded library: checked calls by name. One per process is enough; it is never unloaded. */
export class OrtApi {
  readonly version: string;
  readonly libraryPath: string;
  readonly #functions = new Map<ApiName, NativeFunction>();
  readonly #getErrorMessage: NativeFunction;
  readonly #releaseStatus: NativeFunction;

  constructor(libraryPath: string, expectedVersion: string | null) {
    this.libraryPath = libraryPath;
    const base = loadApiBase(libraryPath);
    const baseFunctions = koffi.decode(base, koffi.array(P, 2)) as Pointer[];
    const getApi = koffi.decode(baseFunctions[0], koffi.proto(P, ["uint32_t"])) as NativeFunction;
    const getVersion = koffi.decode(baseFunctions[1], koffi.proto("str", [])) as NativeFunction;
    this.version = String(getVersion());
    if (expectedVersion !== null && this.version !== expectedVersion) {
      throw new EngineError(
        "ort_missing",
        `The ONNX Runtime library ${libraryPath} is version ${this.version}, but the onnxruntime-node package is ${expectedVersion}: reinstall with \`npm ci\`, or point to a library of that version.`,
      );
    }
    const table = getApi(API_VERSION) as Pointer | null;
    if (table === null) {
      throw new EngineError(
        "ort_missing",
        `The ONNX Runtime library ${libraryPath} (version ${this.version}) does not offer C API version ${API_VERSION}; version 1.15 or later is needed.`,
      );
    }
    const bind = (index: number, result: string, args: readonly unknown[]): NativeFunction => {
      const address = koffi.decode(table, index * koffi.sizeof(P), P) as Pointer;
      return koffi.decode(address, koffi.proto(result, args as string[])) as NativeFunction;
    };
    this.#getErrorMessage = bind(2, "str", [P]);
    this.#releaseStatus = bind(93, "void", [P]);
    for (const [name, [index, args]] of Object.entries(FUNCTIONS)) {
      const returnsStatus = !name.startsWith("Release");
      this.#functions.set(name as ApiName, bind(index, returnsStatus ? P : "void", args));
    }
  }

  /** Calls and throws ORT's own message as EngineError("ort_failed"). */
  call(name: ApiName, ...args: unknown[]): void {
    this.#check(name, this.#function(name)(...args));
  }

  /** Calls a function whose last parameter is an out pointer, and returns what it wrote there. */
  create(name: ApiName, ...args: unknown[]): Pointer {
    const out: [Pointer | null] = [null];
    this.call(name, ...args, out);
    return out[0]!;
  }

  /** Like `create`, on a worker thread. Every pointer given must stay alive until it resolves. */
  async createAsync(name: ApiName, ...args: unknown[]): Promise<Pointer> {
    const out: [Pointer | null] = [null];
    await this.callAsync(name, ...args, out);
    return out[0]!;
  }

  /** Like `call`, on a worker thread: the event loop stays free. */
  callAsync(name: ApiName, ...args: unknown[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#function(name).async(...args, (error: Error | null, status: unknown) => {
        if (error !== null) return reject(error);
        try {
          this.#check(name, status);
          resolve();
        } catch (failure) {
          reject(failure);
        }
      });
    });
  }

  #function(name: ApiName): NativeFunction {
    return this.#functions.get(name)!;
  }

  #check(name: ApiName, status: unknown): void {
    if (status === null || status === undefined) return;
    const message = String(this.#getErrorMessage(status));
    this.#releaseStatus(status);
    throw new EngineError("ort_failed", `${name}: ${message}`);
  }
}

/** Native memory as an ArrayBuffer, without a copy. Must not be touched after its owner is released. */
export function viewMemory(address: Pointer, bytes: number): ArrayBuffer {
  return koffi.view(address, bytes);
}

/** A C string ORT allocated with its default allocator; the memory stays the caller's to free. */
export function readCString(address: Pointer): string {
  return koffi.decode.string(address);
}

/** A path as ORT wants it: UTF-16 on Windows, UTF-8 elsewhere; zero-terminated. */
export function encodePath(path: string): Uint8Array {
  return process.platform === "win32" ? Buffer.from(`${path}\0`, "utf16le") : Buffer.from(`${path}\0`, "utf8");
}

let shared: OrtApi | undefined;

/**
 * The process-wide library: the one inside the onnxruntime-node package, or `libraryPath` when given (first call wins).
 * Throws EngineError("ort_missing") with one sentence when it is missing or of another version.
 */
export function ortApi(libraryPath?: string): OrtApi {
  if (shared === undefined) {
    const located = libraryPath === undefined ? locatePackagedLibrary() : { path: libraryPath, version: null };
    shared = new OrtApi(located.path, located.version);
  }
  return shared;
}

const LIBRARY_NAME: Readonly<Record<string, string>> = {
  linux: "libonnxruntime.so.1",
  darwin: "libonnxruntime.1.dylib",
  win32: "onnxruntime.dll",
};

function locatePackagedLibrary(): { path: string; version: string } {
  const name = LIBRARY_NAME[process.platform];
  if (name === undefined) {
    throw new EngineError("ort_missing", `ONNX Runtime is not available for the platform ${process.platform}.`);
  }
  let packageJson: string;
  try {
    packageJson = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  } catch (cause) {
    throw new EngineError("ort_missing", "The package onnxruntime-node is not installed: run `npm ci`.", {}, { cause });
  }
  const { version } = JSON.parse(readFileSync(packageJson, "utf8")) as { version: string };
  const path = join(dirname(packageJson), "bin", "napi-v6", process.platform, process.arch, name);
  if (!existsSync(path)) {
    throw new EngineError(
      "ort_missing",
      `onnxruntime-node ${version} has no library for ${process.platform}/${process.arch} (looked for ${path}).`,
    );
  }
  return { path, version };
}

const loadedLibraries: unknown[] = [];

function loadApiBase(libraryPath: string): Pointer {
  try {
    const library = loadLibrary(libraryPath);
    // Functions reached through the table do not keep the library: once collected, koffi would unmap their code.
    loadedLibraries.push(library);
    return library.func("OrtGetApiBase", P, [])() as Pointer;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError(
      "ort_missing",
      `The ONNX Runtime library ${libraryPath} cannot be loaded: ${reason}`,
      {},
      { cause },
    );
  }
}
