// Owns the key-value memory of one model: per layer a key and a value buffer [slots, kvHeads, maxTokens, headDim], each
// bound as both past and present, so that nothing is ever copied out. Moves rows when the cache says so.
// It does not know which tokens the rows hold.
import { openCopier } from "./device-copier.ts";
import type { Copier } from "./device-copier.ts";
import type { Session } from "../ort/session.ts";
import { Tensor } from "../ort/tensor.ts";
import type { ElementType } from "../ort/tensor.ts";

export interface KvShape {
  readonly layers: number;
  readonly slots: number;
  readonly kvHeads: number;
  readonly maxTokens: number;
  readonly headDim: number;
  readonly element: ElementType;
}

/** Keys and values of neighbouring rows, in the order layer 0 key, layer 0 value, layer 1 key, … */
type RowTensors = readonly Tensor[];

export interface KvStore {
  /** Whether rows are neighbours in one buffer, so that several decode in one run and prefixes can be copied. */
  readonly isContiguous: boolean;
  /** The same tensors for the same rows every time. */
  rows(first: number, count: number): RowTensors;
  /** Exchanges the first `tokensA` and `tokensB` tokens of two rows. */
  swap(rowA: number, tokensA: number, rowB: number, tokensB: number): Promise<void>;
  /** Copies the first `tokens` tokens of a row over another's. */
  copy(from: number, to: number, tokens: number): Promise<void>;
  release(): void;
  /** The same off the event loop: the buffers may be large. */
  close(): Promise<void>;
}

/** Allocates the buffers in the memory of the session's device. */
export async function openKvStore(session: Session, shape: KvShape): Promise<KvStore> {
  if (!session.device.isAddressable) return openSeparateRows(session, shape);
  const copier = session.memory.isHost ? null : await openCopier(session.environment, session.device, shape.element);
  return openContiguousRows(session, shape, copier);
}

function rowShape(shape: KvShape, count: number): number[] {
  return [count, shape.kvHeads, shape.maxTokens, shape.headDim];
}

function openContiguousRows(session: Session, shape: KvShape, copier: Copier | null): KvStore {
  const buffers = Array.from({ length: shape.layers * 2 }, () =>
    Tensor.allocate(session.memory, shape.element, rowShape(shape, shape.slots)),
  );
  const rowBytes = buffers[0]!.byteLength / shape.slots;
  const views = new Map<string, Tensor[]>();
  const rows = (first: number, count: number): RowTensors => {
    const key = `${first}+${count}`;
    let tensors = views.get(key);
    if (tensors === undefined) {
      tensors = buffers.map((buffer) => buffer.view(first * rowBytes, rowShape(shape, count)));
      views.set(key, tensors);
    }
    return tensors;
  };
  const move = copier === null ? hostMoves(buffers, shape) : deviceMoves(copier, rows, session, shape);
  const releaseViews = () => {
    move.release();
    for (const tensors of views.values()) for (const tensor of tensors) tensor.release();
  };
  return {
    isContiguous: true,
    rows,
    ...move,
    release() {
      releaseViews();
      for (const buffer of buffers) buffer.release();
    },
    async close() {
      releaseViews();
      for (const buffer of buffers) await buffer.close();
    },
  };
}

type Moves = Pick<KvStore, "swap" | "copy" | "release">;

function hostMoves(buffers: readonly Tensor[], shape: KvShape): Moves {
  const headBytes = buffers[0]!.byteLength / shape.slots / shape.kvHeads;
  const tokenBytes = headBytes / shape.maxTokens;
  const spare = new Uint8Array(headBytes);
  const start = (row: number, head: number): number => (row * shape.kvHeads + head) * headBytes;
  const eachHead = (move: (bytes: Uint8Array, head: number) => void): void => {
    for (const { bytes } of buffers) for (let head = 0; head < shape.kvHeads; head += 1) move(bytes, head);
  };
  return {
    async swap(rowA, tokensA, rowB, tokensB) {
      const bytesA = tokensA * tokenBytes;
      const bytesB = tokensB * tokenBytes;
      eachHead((bytes, head) => {
        const a = start(rowA, head);
        const b = start(rowB, head);
        spare.set(bytes.subarray(a, a + bytesA));
        bytes.copyWithin(a, b, b + bytesB);
        bytes.set(spare.subarray(0, bytesA), b);
      });
    },
    async copy(from, to, tokens) {
      eachHead((bytes, head) => {
        const source = start(from, head);
        bytes.copyWithin(start(to, head), source, source + tokens * tokenBytes);
      });
    },
    release() {},
  };
}

// On a device whole rows move: its memory is quick, and fewer runs are cheaper than fewer bytes.
function deviceMoves(copier: Copier, rows: KvStore["rows"], session: Session, shape: KvShape): Moves {
  const spare = Tensor.allocate(session.memory, shape.element, rowShape(shape, 1));
  return {
    async swap(rowA, _tokensA, rowB) {
      const b = rows(rowB, 1);
      for (const [index, tensorA] of rows(rowA, 1).entries()) {
        const tensorB = b[index]!;
        await copier.copy(tensorA, spare);
        await copier.copy(tensorB, tensorA);
        await copier.copy(spare, tensorB);
      }
    },
    async copy(from, to) {
      const target = rows(to, 1);
      for (const [index, tensor] of rows(from, 1).entries()) await copier.copy(tensor, target[index]!);
    },
    release() {
      spare.release();
      copier.release();
    },
  };
}

// Devices whose addresses are handles: every row has buffers of its own and decodes alone, so rows never move.
function openSeparateRows(session: Session, shape: KvShape): KvStore {
  const slots = Array.from({ length: shape.slots }, () =>
    Array.from({ length: shape.layers * 2 }, () => Tensor.allocate(session.memory, shape.element, rowShape(shape, 1))),
  );
  return {
    isContiguous: false,
    rows(first, count) {
      if (count !== 1) throw new Error("rows of separate buffers run one at a time");
      return slots[first]!;
    },
    swap: refuseMove,
    copy: refuseMove,
    release() {
      for (const tensors of slots) for (const tensor of tensors) tensor.release();
    },
    async close() {
      for (const tensors of slots) for (const tensor of tensors) await tensor.close();
    },
  };
}

async function refuseMove(): Promise<void> {
  throw new Error("rows of separate buffers do not move");
}
