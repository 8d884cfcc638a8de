// Owns one model's graph and its memory: feeds ids, keeps keys and values in place, leaves logits for the head.
// The graph's contract is the importer's: input_ids, seqlens_k, total_sequence_length, logit_rows, past and present.
// It knows rows and positions, not sequences, and runs one step at a time.
import { join } from "node:path";
import { openKvStore } from "./kv-store.ts";
import type { KvStore } from "./kv-store.ts";
import { openLogitsHead } from "./logits-head.ts";
import type { LogitsHead } from "./logits-head.ts";
import type { Manifest } from "../manifest.ts";
import type { Device } from "../ort/device.ts";
import type { Environment } from "../ort/environment.ts";
import { releaseFreedMemory, releaseFreedMemoryAside } from "../ort/host-allocator.ts";
import { openSession } from "../ort/session.ts";
import type { Binding, Session } from "../ort/session.ts";
import { Tensor } from "../ort/tensor.ts";

export interface DecoderOptions {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly slots: number;
  /** Positions of a row. */
  readonly maxTokens: number;
  /** Most ids of one prefill step. */
  readonly prefillChunkTokens: number;
}

export interface Decoder {
  readonly kv: KvStore;
  readonly head: LogitsHead;
  /** Most rows of one decode step. */
  readonly maxDecodeRows: number;
  /** Computes `ids` at positions `past`… of a row; with `wantsLogits` those of the last id become logits row 0. */
  prefill(row: number, ids: readonly number[], past: number, wantsLogits: boolean): Promise<void>;
  /** Like `prefill`, but leaves the logits of the ids numbered `logitRows` (at most `maxDecodeRows`, rising) in rows 0…. */
  compute(row: number, ids: readonly number[], past: number, logitRows: readonly number[]): Promise<void>;
  /** Computes one id for each of the rows `first`…, at positions `pasts`; logits row i belongs to row first + i. */
  decode(first: number, ids: readonly number[], pasts: readonly number[]): Promise<void>;
  /** Ends the step in flight with EngineError("cancelled"), and refuses later ones. */
  terminate(): void;
  release(): void;
  /** The same, with what takes long off the event loop. */
  close(): Promise<void>;
}

interface Resource {
  release(): void;
  close?(): Promise<void>;
}

/** Loads a model folder's graph onto a device and allocates its key-value memory. */
export async function openDecoder(environment: Environment, device: Device, options: DecoderOptions): Promise<Decoder> {
  const { manifest, slots, maxTokens } = options;
  const { network } = manifest;
  const opened: Resource[] = [];
  const keep = <T extends Resource>(resource: T): T => {
    opened.push(resource);
    return resource;
  };
  const releaseAll = (): void => {
    for (const resource of opened.splice(0).toReversed()) resource.release();
    releaseFreedMemory();
  };
  const closeAll = async (): Promise<void> => {
    for (const resource of opened.splice(0).toReversed()) {
      if (resource.close === undefined) resource.release();
      else await resource.close();
    }
    await releaseFreedMemoryAside();
  };
  try {
    const session = keep(await openSession(environment, device, { path: join(options.folder, "model.onnx") }));
    const kv = keep(
      await openKvStore(session, {
        layers: network.layers,
        kvHeads: network.kvHeads,
        headDim: network.headDim,
        slots,
        maxTokens,
        element: manifest.kvPrecision,
      }),
    );
    const maxDecodeRows = kv.isContiguous ? slots : 1;
    const head = keep(await openLogitsHead(session, maxDecodeRows, network.vocabSize));
    const io = keep(openInputs(session, Math.max(options.prefillChunkTokens, slots), slots));
    const bindings = keep(createBindings(session, kv));
    return createDecoder({ session, kv, head, io, bindings, maxDecodeRows, release: releaseAll, close: closeAll });
  } catch (error) {
    releaseAll();
    throw error;
  }
}

interface Parts {
  readonly session: Session;
  readonly kv: KvStore;
  readonly head: LogitsHead;
  readonly io: Inputs;
  readonly bindings: Bindings;
  readonly maxDecodeRows: number;
  readonly release: () => void;
  readonly close: () => Promise<void>;
}

function createDecoder({ session, kv, head, io, bindings, maxDecodeRows, release, close }: Parts): Decoder {
  const run = async (first: number, rows: number, columns: number, logitRows: number): Promise<void> => {
    const binding = bindings.of(first, rows);
    binding.input("input_ids", io.view("ids", [rows, columns]));
    binding.input("seqlens_k", io.view("lengths", [rows]));
    binding.input("total_sequence_length", io.view("total", []));
    binding.input("logit_rows", io.view("logitRows", [logitRows]));
    binding.output("logits", head.logits(logitRows));
    await session.run(binding);
  };
  const compute: Decoder["compute"] = async (row, ids, past, logitRows) => {
    io.ids.set(ids.map(BigInt));
    io.lengths[0] = past + ids.length - 1;
    io.total[0] = past + ids.length;
    io.logitRows.set(logitRows.map(BigInt));
    await run(row, 1, ids.length, logitRows.length);
  };
  return {
    kv,
    head,
    maxDecodeRows,
    prefill: (row, ids, past, wantsLogits) => compute(row, ids, past, wantsLogits ? [ids.length - 1] : []),
    compute,
    async decode(first, ids, pasts) {
      io.ids.set(ids.map(BigInt));
      io.lengths.set(pasts);
      io.total[0] = Math.max(...pasts) + 1;
      for (let row = 0; row < ids.length; row += 1) io.logitRows[row] = BigInt(row);
      await run(first, ids.length, 1, ids.length);
    },
    terminate: () => session.terminate(),
    release,
    close,
  };
}

interface Bindings {
  /** The binding of the rows `first`…; their keys and values stay bound for good, only the small inputs change. */
  of(first: number, rows: number): Binding;
  release(): void;
}

function createBindings(session: Session, kv: KvStore): Bindings {
  const bindings = new Map<string, Binding>();
  return {
    of(first, rows) {
      const key = `${first}+${rows}`;
      let binding = bindings.get(key);
      if (binding === undefined) {
        binding = session.createBinding();
        for (const [index, tensor] of kv.rows(first, rows).entries()) {
          const name = `${Math.floor(index / 2)}.${index % 2 === 0 ? "key" : "value"}`;
          binding.input(`past_key_values.${name}`, tensor);
          binding.output(`present.${name}`, tensor);
        }
        bindings.set(key, binding);
      }
      return binding;
    },
    release() {
      for (const binding of bindings.values()) binding.release();
    },
  };
}

interface Inputs {
  readonly ids: BigInt64Array;
  readonly lengths: Int32Array;
  readonly total: Int32Array;
  readonly logitRows: BigInt64Array;
  view(name: "ids" | "lengths" | "total" | "logitRows", shape: readonly number[]): Tensor;
  release(): void;
}

function openInputs(session: Session, maxIds: number, maxRows: number): Inputs {
  const buffers = {
    ids: Tensor.allocate(session.host, "int64", [maxIds]),
    lengths: Tensor.allocate(session.host, "int32", [maxRows]),
    total: Tensor.allocate(session.host, "int32", [1]),
    logitRows: Tensor.allocate(session.host, "int64", [maxRows]),
  };
  const views = new Map<string, Tensor>();
  return {
    ids: buffers.ids.int64(),
    lengths: buffers.lengths.int32(),
    total: buffers.total.int32(),
    logitRows: buffers.logitRows.int64(),
    view(name, shape) {
      const key = `${name}:${shape.join("x")}`;
      let tensor = views.get(key);
      if (tensor === undefined) {
        tensor = buffers[name].view(0, shape);
        views.set(key, tensor);
      }
      return tensor;
    },
    release() {
      for (const tensor of views.values()) tensor.release();
      for (const tensor of Object.values(buffers)) tensor.release();
    },
  };
}
