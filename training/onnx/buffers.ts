// Tensors of many parameters one behind the other in one buffer, on the device for as long as the training lasts: values,
// gradients and moments have the same places, so that an optimizer may work on long pieces of all of them.
// It knows places, not what the numbers mean.
import { openCopier, type Copier } from "../../runtime/engine/device-copier.ts";
import type { Session } from "../../runtime/ort/session.ts";
import { Tensor } from "../../runtime/ort/tensor.ts";
import type { RowSource } from "../../runtime/importer/rows.ts";
import { type Parameter, valueCount } from "./parameters.ts";

/** Where a parameter begins is a multiple of so many values: kernels read whole lines. */
const ALIGNMENT_VALUES = 64;
const BYTES_PER_VALUE = 4;

/** Values that are copied at once between host and device. */
const COPY_VALUES = 1 << 22;

/** A run of values of one buffer. */
export interface Piece {
  readonly firstValue: number;
  readonly values: number;
  /** Whether they belong to matrices, which alone decay. */
  readonly isMatrix: boolean;
}

/** The places of parameters: matrices first, then vectors. */
export class Layout {
  readonly parameters: readonly Parameter[];
  readonly values: number;
  readonly #matrixValues: number;
  readonly #first = new Map<string, number>();

  constructor(parameters: readonly Parameter[]) {
    const matrices = parameters.filter(({ shape }) => shape.length > 1);
    const vectors = parameters.filter(({ shape }) => shape.length <= 1);
    this.parameters = [...matrices, ...vectors];
    this.#matrixValues = this.#place(matrices, 0);
    this.values = this.#place(vectors, this.#matrixValues);
  }

  firstValue({ name }: Parameter): number {
    const first = this.#first.get(name);
    if (first === undefined) throw new Error(`parameter ${name} has no place here`);
    return first;
  }

  /** All values in pieces of at most `most`, none with both kinds. */
  pieces(most: number): Piece[] {
    const cut = (from: number, to: number, isMatrix: boolean) =>
      Array.from({ length: Math.ceil((to - from) / most) }, (_, index) => {
        const firstValue = from + index * most;
        return { firstValue, values: Math.min(most, to - firstValue), isMatrix };
      });
    return [...cut(0, this.#matrixValues, true), ...cut(this.#matrixValues, this.values, false)];
  }

  #place(parameters: readonly Parameter[], from: number): number {
    let end = from;
    for (const parameter of parameters) {
      this.#first.set(parameter.name, end);
      end += Math.ceil(valueCount(parameter) / ALIGNMENT_VALUES) * ALIGNMENT_VALUES;
    }
    return end;
  }
}

/** One buffer of a layout in a session's memory. */
export class FlatBuffer {
  readonly layout: Layout;
  readonly #tensor: Tensor;
  readonly #session: Session;
  readonly #views: Tensor[] = [];
  #copier: Copier | null = null;

  private constructor(session: Session, layout: Layout) {
    this.layout = layout;
    this.#session = session;
    this.#tensor = Tensor.allocate(session.memory, "float32", [Math.max(1, layout.values)]);
  }

  /** Filled with zeros. The session must outlive it. */
  static async allocate(session: Session, layout: Layout): Promise<FlatBuffer> {
    const buffer = new FlatBuffer(session, layout);
    if (buffer.#tensor.memory.isHost) buffer.#tensor.float32().fill(0);
    else
      for (const { firstValue, values } of layout.pieces(COPY_VALUES))
        await buffer.#write(firstValue, new Float32Array(values));
    return buffer;
  }

  /** The parameter's own tensor; it lives as long as the buffer. */
  view(parameter: Parameter): Tensor {
    return this.#view(this.layout.firstValue(parameter), parameter.shape);
  }

  /** A piece as a vector; it lives as long as the buffer. */
  pieceView({ firstValue, values }: Piece): Tensor {
    return this.#view(firstValue, [values]);
  }

  /** Values of a parameter from `first` on, as many as `target` holds. */
  async read(parameter: Parameter, first: number, target: Float32Array): Promise<void> {
    const from = this.layout.firstValue(parameter) + first;
    if (this.#tensor.memory.isHost) target.set(this.#tensor.float32().subarray(from, from + target.length));
    else await this.#throughHost(from, target, false);
  }

  /** The parameter as files are written from; a vector is a matrix of one column. */
  rows(parameter: Parameter): RowSource {
    const [rows = 0, columns = 1] = parameter.shape;
    const read: RowSource["read"] = (first, count, target) =>
      this.read(parameter, first * columns, target.subarray(0, count * columns));
    return { rows, columns, read };
  }

  /** Overwrites values of a parameter from `first` on. */
  async write(parameter: Parameter, first: number, source: Float32Array): Promise<void> {
    await this.#write(this.layout.firstValue(parameter) + first, source);
  }

  release(): void {
    this.#copier?.release();
    for (const view of this.#views) view.release();
    this.#tensor.release();
  }

  async #write(from: number, source: Float32Array): Promise<void> {
    if (this.#tensor.memory.isHost) this.#tensor.float32().set(source, from);
    else await this.#throughHost(from, source, true);
  }

  async #throughHost(from: number, values: Float32Array, isWriting: boolean): Promise<void> {
    this.#copier ??= await openCopier(this.#session.environment, this.#session.device, "float32");
    for (let done = 0; done < values.length; done += COPY_VALUES) {
      const part = values.subarray(done, done + COPY_VALUES);
      const shape = [part.length, 1, 1, 1];
      const host = Tensor.allocate(this.#session.host, "float32", shape);
      const device = this.#tensor.view((from + done) * BYTES_PER_VALUE, shape);
      try {
        if (isWriting) host.float32().set(part);
        await (isWriting ? this.#copier.copy(host, device) : this.#copier.copy(device, host));
        if (!isWriting) part.set(host.float32());
      } finally {
        device.release();
        host.release();
      }
    }
  }

  #view(firstValue: number, shape: readonly number[]): Tensor {
    const view = this.#tensor.view(firstValue * BYTES_PER_VALUE, shape);
    this.#views.push(view);
    return view;
  }
}
