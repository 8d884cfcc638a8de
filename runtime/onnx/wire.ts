// The protobuf wire format, as much of it as ONNX needs: varints, 32-bit floats and length-delimited fields.
// It knows field numbers only as numbers; which field means what is proto.ts.

const INITIAL_BYTES = 256;
const WIRE_VARINT = 0;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;
const utf8 = new TextEncoder();

/** Appends protobuf fields to a growing buffer. Fields are written in the order of the calls. */
export class WireWriter {
  #buffer = new Uint8Array(INITIAL_BYTES);
  #length = 0;

  /** An int64 or enum field. Numbers must be safe integers. */
  int(field: number, value: number | bigint): this {
    this.#varint(BigInt((field << 3) | WIRE_VARINT));
    this.#varint(BigInt.asUintN(64, BigInt(value)));
    return this;
  }

  float(field: number, value: number): this {
    this.#varint(BigInt((field << 3) | WIRE_FIXED32));
    this.#reserve(4);
    new DataView(this.#buffer.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint(BigInt((field << 3) | WIRE_BYTES));
    this.#varint(BigInt(value.length));
    this.#append(value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, utf8.encode(value));
  }

  /** A nested message, written by `fill` into a writer of its own. */
  message(field: number, fill: (inner: WireWriter) => void): this {
    const inner = new WireWriter();
    fill(inner);
    return this.bytes(field, inner.#buffer.subarray(0, inner.#length));
  }

  /** `repeated int64` in packed form. */
  packedInts(field: number, values: readonly (number | bigint)[]): this {
    const inner = new WireWriter();
    for (const value of values) inner.#varint(BigInt.asUintN(64, BigInt(value)));
    return this.bytes(field, inner.#buffer.subarray(0, inner.#length));
  }

  /** `repeated float` in packed form. */
  packedFloats(field: number, values: readonly number[]): this {
    const view = new DataView(new ArrayBuffer(values.length * 4));
    for (const [index, value] of values.entries()) view.setFloat32(index * 4, value, true);
    return this.bytes(field, new Uint8Array(view.buffer));
  }

  /** A copy of everything written so far. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  #varint(value: bigint): void {
    this.#reserve(10);
    let rest = value;
    while (rest >= 0x80n) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  #append(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
