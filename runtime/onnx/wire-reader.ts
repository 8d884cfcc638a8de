// Reads protobuf messages field by field, as bytes: enough to take an ONNX file apart and put it together again.
// It knows no field's meaning.

export interface WireField {
  readonly number: number;
  /** Of a number field; exact below 2^53. 0 for the others. */
  readonly value: number;
  /** Payload of a length-delimited field; empty for the others. */
  readonly payload: Uint8Array;
  /** The whole field, tag included, to be copied as it is. */
  readonly raw: Uint8Array;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The fields of one message, in order. */
export function readFields(message: Uint8Array): WireField[] {
  const fields: WireField[] = [];
  let at = 0;
  const varint = (): number => {
    let sum = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at];
      if (byte === undefined) throw new Error("a protobuf message ends within a number");
      at += 1;
      sum += (byte & 127) * factor;
      if (byte < 128) return sum;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    const kind = tag & 7;
    let from = at;
    let length = 0;
    let value = 0;
    if (kind === VARINT) value = varint();
    else if (kind === FIXED64) at += 8;
    else if (kind === FIXED32) at += 4;
    else if (kind === BYTES) {
      length = varint();
      from = at;
      at += length;
    } else throw new Error(`unknown protobuf wire type ${kind}`);
    if (at > message.length) throw new Error("a protobuf field ends behind its message");
    const payload = message.subarray(from, from + length);
    fields.push({ number: Math.floor(tag / 8), value, payload, raw: message.subarray(start, at) });
  }
  return fields;
}

/** A field's payload as text; empty when the message lacks it. */
export function textOf(message: Uint8Array, number: number): string {
  const field = readFields(message).find((candidate) => candidate.number === number);
  return field === undefined ? "" : new TextDecoder().decode(field.payload);
}
