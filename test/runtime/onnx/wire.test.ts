// Golden bytes from the protobuf encoding guide, and a property over every 64-bit integer.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { WireWriter } from "../../../runtime/onnx/wire.ts";

test("varints, strings, messages and packed lists have the documented bytes", () => {
  expect([...new WireWriter().int(1, 150).finish()]).toEqual([0x08, 0x96, 0x01]);
  expect([...new WireWriter().string(2, "testing").finish()]).toEqual([0x12, 7, ...Buffer.from("testing")]);
  expect([...new WireWriter().message(3, (inner) => inner.int(1, 150)).finish()]).toEqual([0x1a, 3, 0x08, 0x96, 0x01]);
  expect([...new WireWriter().packedInts(6, [3, 270, 86_942]).finish()]).toEqual([
    0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05,
  ]);
  expect([...new WireWriter().float(2, 1).finish()]).toEqual([0x15, 0, 0, 0x80, 0x3f]);
  expect([...new WireWriter().packedFloats(1, [1]).finish()]).toEqual([0x0a, 4, 0, 0, 0x80, 0x3f]);
});

test("every int64 reads back as itself, negative ones in ten bytes", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const bytes = new WireWriter().int(1, value).finish().subarray(1);
      let read = 0n;
      for (const [index, byte] of bytes.entries()) read |= BigInt(byte & 0x7f) << BigInt(7 * index);
      expect(BigInt.asIntN(64, read)).toBe(value);
      expect(bytes.length).toBe(value < 0n ? 10 : Math.max(1, Math.ceil(value.toString(2).length / 7)));
    }),
  );
});

test("field numbers above 15 take two key bytes", () => {
  expect([...new WireWriter().int(20, 1).finish()]).toEqual([0xa0, 0x01, 1]);
});

test("a buffer larger than its first allocation keeps its bytes", () => {
  const big = new Uint8Array(100_000).fill(7);
  const bytes = new WireWriter().bytes(9, big).int(1, 1).finish();
  expect(bytes.length).toBe(1 + 3 + 100_000 + 2);
  expect(bytes.subarray(4, 100_004)).toEqual(big);
});
