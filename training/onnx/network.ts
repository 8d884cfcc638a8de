// Owns a network under training: its weights in device memory and the sessions that run over them, asynchronously. What the
// passes cost in memory is given back with the session that ran them.
// It knows neither data nor optimizer nor files.
import { EngineError } from "../../runtime/errors.ts";
import { GraphBuilder } from "../../runtime/onnx/graph-builder.ts";
import type { Device } from "../../runtime/ort/device.ts";
import type { Environment } from "../../runtime/ort/environment.ts";
import { type Binding, openSession, type Session } from "../../runtime/ort/session.ts";
import { type ElementType, Tensor } from "../../runtime/ort/tensor.ts";
import type { DecoderConfig } from "../../runtime/importer/config.ts";
import { FlatBuffer, Layout } from "./buffers.ts";
import { PackedMatrices, packedName, scalesName } from "./packed-matrix.ts";
import {
  earlierName,
  gradientGraph,
  gradientName,
  type GradientGraphOptions,
  logitsGraph,
  lossGraph,
} from "./graphs.ts";

/** Right-padded sequences, and which positions are in the loss. */
export interface Batch {
  readonly sequences: number;
  /** Of the longest; every sequence has so many places. */
  readonly tokens: number;
  /** [sequences · tokens] */
  readonly ids: BigInt64Array;
  /** Places in `ids` whose next token is in the loss, ascending. */
  readonly rows: BigInt64Array;
  /** Those next tokens. */
  readonly targets: BigInt64Array;
}

export class Network {
  readonly config: DecoderConfig;
  readonly trained: FlatBuffer;
  readonly frozen: FlatBuffer;
  readonly packed: PackedMatrices;
  readonly gradients: FlatBuffer;
  /** Lives as long as the network: whoever keeps tensors beside the weights allocates here. */
  readonly home: Session;
  readonly #options: GradientGraphOptions;
  readonly #runs = new Map<"loss" | "gradients" | "logits", Run>();
  #isTerminated = false;

  private constructor(
    config: DecoderConfig,
    options: GradientGraphOptions,
    home: Session,
    [trained, frozen, gradients]: readonly [FlatBuffer, FlatBuffer, FlatBuffer],
    packed: PackedMatrices,
  ) {
    this.config = config;
    this.home = home;
    this.trained = trained;
    this.frozen = frozen;
    this.packed = packed;
    this.gradients = gradients;
    this.#options = options;
  }

  /** Memory for all weights, zero so far. */
  static async open(
    environment: Environment,
    device: Device,
    config: DecoderConfig,
    options: GradientGraphOptions,
  ): Promise<Network> {
    const home = await openSession(environment, device, { bytes: emptyGraph() });
    const trained = new Layout(options.trained);
    const frozen = new Layout(options.frozen);
    const buffers = [
      await FlatBuffer.allocate(home, trained),
      await FlatBuffer.allocate(home, frozen),
      await FlatBuffer.allocate(home, trained),
    ] as const;
    return new Network(config, options, home, buffers, new PackedMatrices(home, options.packed, options.packedBits));
  }

  /**
   * Summed loss of a batch in nats, and its gradient times `seed` in `gradients`: added to what is there, or in its place.
   * Rejects with EngineError("cancelled") after `terminate`.
   */
  async accumulate(batch: Batch, seed: number, isFirst: boolean): Promise<number> {
    const run = await this.#open("gradients");
    const scalars = { seed, ...(this.#options.isAccumulating ? { keep: isFirst ? 0 : 1 } : {}) };
    return (await run.run(batch, scalars, "loss", []))[0] ?? Number.NaN;
  }

  /** Summed loss of a batch in nats. */
  async lossOf(batch: Batch): Promise<number> {
    return (await (await this.#open("loss")).run(batch, {}, "loss", []))[0] ?? Number.NaN;
  }

  /** Logits [rows, vocabulary] of a batch; its targets do not matter. */
  async logitsOf(batch: Batch): Promise<Float32Array> {
    const shape = [batch.rows.length, this.config.vocabSize];
    return (await this.#open("logits")).run(batch, null, "logits", shape);
  }

  /** Gives back the memory of one kind of passes; it is had again when needed. */
  close(kind: "loss" | "gradients" | "logits"): void {
    this.#runs.get(kind)?.release();
    this.#runs.delete(kind);
  }

  /** Ends the pass in flight; there are no others after it. */
  terminate(): void {
    this.#isTerminated = true;
    for (const run of this.#runs.values()) run.session.terminate();
  }

  release(): void {
    for (const run of this.#runs.values()) run.release();
    this.#runs.clear();
    for (const buffer of [this.trained, this.frozen, this.gradients]) buffer.release();
    this.packed.release();
    this.home.release();
  }

  async #open(kind: "loss" | "gradients" | "logits"): Promise<Run> {
    if (this.#isTerminated) throw new EngineError("cancelled", "The training was stopped.");
    const known = this.#runs.get(kind);
    if (known !== undefined) return known;
    const bytes = { loss: lossGraph, gradients: gradientGraph, logits: logitsGraph }[kind](this.config, this.#options);
    const { environment, device } = this.home;
    // Every batch has another shape, and one block as large as the largest would be kept beside the memory that is reused.
    const session = await openSession(environment, device, { bytes }, { isMemoryPlanned: false });
    const run = new Run(session);
    this.#runs.set(kind, run);
    for (const buffer of [this.trained, this.frozen]) run.bindAll(buffer, (name) => [name], []);
    run.bindPacked(this.packed);
    if (kind === "gradients") {
      const earlier = (name: string) => (this.#options.isAccumulating ? [earlierName(name)] : []);
      run.bindAll(this.gradients, earlier, [gradientName]);
    }
    // Stopped while it was loading.
    if (this.#isTerminated) throw new EngineError("cancelled", "The training was stopped.");
    return run;
  }
}

/** A session with what stays bound to it. */
class Run {
  readonly session: Session;
  readonly #binding: Binding;

  constructor(session: Session) {
    this.session = session;
    this.#binding = session.createBinding();
  }

  /** Binds every parameter's place in a buffer to inputs and outputs. */
  bindAll(
    buffer: FlatBuffer,
    inputs: (name: string) => readonly string[],
    outputs: readonly ((name: string) => string)[],
  ): void {
    for (const parameter of buffer.layout.parameters) {
      const view = buffer.view(parameter);
      for (const input of inputs(parameter.name)) this.#binding.input(input, view);
      for (const output of outputs) this.#binding.output(output(parameter.name), view);
    }
  }

  bindPacked(matrices: PackedMatrices): void {
    for (const parameter of matrices.parameters) {
      const { packed, scales } = matrices.tensors(parameter);
      this.#binding.input(packedName(parameter.name), packed);
      this.#binding.input(scalesName(parameter.name), scales);
    }
  }

  /** Runs a batch; gives the values of one output. Without scalars there are no targets either. */
  async run(
    batch: Batch,
    scalars: Readonly<Record<string, number>> | null,
    output: string,
    shape: readonly number[],
  ): Promise<Float32Array> {
    const rows = batch.rows.length;
    if (rows === 0) throw new EngineError("invalid_request", "A batch has no token in the loss.");
    const { host } = this.session;
    const tensors: Tensor[] = [];
    const allocate = (element: ElementType, dims: readonly number[]): Tensor => {
      const tensor = Tensor.allocate(host, element, dims);
      tensors.push(tensor);
      return tensor;
    };
    // Filled before it is bound: binding may copy to the device.
    const input = (name: string, values: BigInt64Array, dims: readonly number[]) => {
      const tensor = allocate("int64", dims);
      tensor.int64().set(values);
      this.#binding.input(name, tensor);
    };
    try {
      input("ids", batch.ids, [batch.sequences, batch.tokens]);
      input("rows", batch.rows, [rows]);
      if (scalars !== null) input("targets", batch.targets, [rows]);
      for (const [name, value] of Object.entries(scalars ?? {})) {
        const tensor = allocate("float32", []);
        tensor.float32().set([value]);
        this.#binding.input(name, tensor);
      }
      const result = allocate("float32", shape);
      this.#binding.output(output, result);
      await this.session.run(this.#binding);
      return result.float32().slice();
    } finally {
      for (const tensor of tensors) tensor.release();
    }
  }

  release(): void {
    this.#binding.release();
    this.session.release();
  }
}

/** A graph that nobody runs: its session gives the device's memory. */
function emptyGraph(): Uint8Array {
  const graph = new GraphBuilder("home");
  graph.output("same", graph.op("Identity", [graph.input("value", "float32", [])]), "float32", []);
  return graph.toBytes();
}
