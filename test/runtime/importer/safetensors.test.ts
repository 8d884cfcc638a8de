// Headers that lie are refused by file and tensor; values come out as IEEE says.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeFloats, openSafetensors } from "../../../runtime/importer/safetensors.ts";
import { float32Tensor, safetensorsBytes, safetensorsHeader, scratchFolder } from "../../support/checkpoints.ts";
import type { TestTensor } from "../../support/checkpoints.ts";

const scratch = await scratchFolder();
let files = 0;

async function write(bytes: Uint8Array): Promise<string> {
  const path = join(scratch, `file-${files++}.safetensors`);
  await writeFile(path, bytes);
  return path;
}

const a = float32Tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
const b = float32Tensor([2], Float32Array.of(7, 8));
const tensors = { a, b };

async function refusal(bytes: Uint8Array): Promise<string> {
  const path = await write(bytes);
  const error: unknown = await openSafetensors(path).then(
    (file) => file.close(),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: "EngineError", code: "bad_model" });
  const message = error instanceof Error ? error.message : "";
  expect(message).toMatch(/^file-\d+\.safetensors/);
  return message.replace(/^file-\d+\.safetensors/, "FILE");
}

/** A header whose tensor `b` is described otherwise. */
function withB(change: Readonly<Record<string, unknown>>): Uint8Array {
  const header = safetensorsHeader(tensors);
  return safetensorsBytes(tensors, { ...header, b: { ...(header["b"] as object), ...change } });
}

describe("openSafetensors", () => {
  test("reads any run of values of a tensor", async () => {
    const file = await openSafetensors(await write(safetensorsBytes(tensors)));
    const entry = file.tensors.get("a");
    expect(entry?.shape).toEqual([2, 3]);
    const values = new Float32Array(4);
    if (entry !== undefined) await file.readValues(entry, 1, values);
    await file.close();
    expect([...values]).toEqual([2, 3, 4, 5]);
  });

  test("accepts an empty tensor and padding behind the header's JSON", async () => {
    const withEmpty: Record<string, TestTensor> = {
      ...tensors,
      none: { dtype: "F16", shape: [0, 4], bytes: new Uint8Array() },
    };
    const file = await openSafetensors(
      await write(safetensorsBytes(withEmpty, `${JSON.stringify(safetensorsHeader(withEmpty))}   `)),
    );
    expect([...file.tensors.keys()]).toEqual(["a", "b", "none"]);
    await file.close();
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["a file shorter than a length", new Uint8Array(5), /^FILE: is 5 bytes long, too short/],
    [
      "a length beyond the file",
      safetensorsBytes(tensors).fill(0xff, 0, 4),
      /^FILE: says its header has 4294967295 bytes, but the file has \d+: corrupted or truncated/,
    ],
    ["a length beyond all numbers", safetensorsBytes(tensors).fill(0xff, 0, 8), /corrupted or truncated/],
    ["a header that is no JSON", safetensorsBytes(tensors, '{"a": '), /^FILE header: not valid JSON/],
    ["a header that is no object", safetensorsBytes(tensors, "[1]"), /^FILE header: must hold a JSON object/],
    ["a tensor without description", safetensorsBytes(tensors, { a: 5 }), /^FILE: tensor a has no description/],
    ["a shape of negative numbers", withB({ shape: [-2] }), /^FILE: tensor b has a broken shape/],
    ["a shape of fractions", withB({ shape: [0.5, 4] }), /^FILE: tensor b has a broken shape/],
    ["offsets that are no pair", withB({ data_offsets: [24] }), /^FILE: tensor b has broken data_offsets/],
    ["offsets as text", withB({ data_offsets: ["24", "32"] }), /^FILE: tensor b has broken data_offsets/],
    ["a dtype nobody knows", withB({ dtype: "F31" }), /^FILE: tensor b has the unknown dtype F31/],
    [
      "a size that contradicts the shape",
      withB({ shape: [3] }),
      /^FILE: tensor b has 8 bytes, but its shape \[3\] in F32 needs 12/,
    ],
    ["offsets that run backwards", withB({ data_offsets: [32, 24] }), /^FILE: tensor b has -8 bytes/],
    ["tensors that overlap", withB({ data_offsets: [16, 24] }), /^FILE: tensor b overlaps tensor a/],
    ["a gap between tensors", withB({ data_offsets: [28, 36] }), /^FILE: tensor b leaves a gap behind tensor a/],
    [
      "bytes behind the last tensor",
      Buffer.concat([safetensorsBytes(tensors), Buffer.alloc(3)]),
      /^FILE: has 3 bytes behind its last tensor/,
    ],
    [
      "a file cut short",
      safetensorsBytes(tensors).slice(0, -1),
      /^FILE: tensor b ends at byte \d+, but the file has \d+: truncated/,
    ],
    [
      "two entries of one name",
      safetensorsBytes(
        tensors,
        `{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"a":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}}`,
      ),
      /^FILE: tensor a leaves a gap behind the header/,
    ],
  ])("refuses %s", async (_, bytes, message) => {
    expect(await refusal(bytes)).toMatch(message);
  });

  test("whatever bytes stand in the header, the answer is a bad_model error or a file", async () => {
    const good = safetensorsBytes(tensors);
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 9), fc.nat(255), async (at, byte) => {
        const bytes = good.slice();
        bytes[8 + at] = byte;
        const outcome: unknown = await openSafetensors(await write(bytes)).then(
          (file) => file.close(),
          (error: unknown) => error,
        );
        expect([undefined, "bad_model"]).toContain((outcome as { code?: string } | undefined)?.code);
      }),
      { numRuns: 200 },
    );
  });
});

describe("decodeFloats", () => {
  test("every float16 has the value that its sign, exponent and fraction say", () => {
    const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
    const values = new Float32Array(65_536);
    decodeFloats("F16", new Uint8Array(halves.buffer), values);
    const wrong: number[] = [];
    for (const [bits, value] of values.entries()) {
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      const size =
        exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : exponent === 0
            ? fraction * 2 ** -24
            : (1024 + fraction) * 2 ** (exponent - 25);
      if (!Object.is(value, bits >= 32_768 ? -size : size)) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });

  test("a bfloat16 is the upper half of the float32 it came from", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (value) => {
        const bits = new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
        const out = new Float32Array(1);
        decodeFloats("BF16", new Uint8Array(Uint16Array.of(bits >>> 16).buffer), out);
        const back = new Uint32Array(out.buffer)[0] ?? 0;
        expect(back).toBe((bits & 0xffff0000) >>> 0);
        // Cutting 16 of 24 fraction bits loses less than 2^-7 of a normal number.
        const isNormal = Number.isFinite(value) && Math.abs(value) >= 2 ** -126;
        expect(isNormal ? Math.abs((out[0] ?? NaN) - value) : 0).toBeLessThanOrEqual(Math.abs(value) * 2 ** -7);
      }),
    );
  });

  test("writing float16 rounds to the nearest: off by at most 2^-11 of the value, or half the smallest step", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: -60_000, max: 60_000 }), (value) => {
        const half = new Float16Array(Float32Array.of(value))[0] ?? NaN;
        expect(Math.abs(half - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -11, 2 ** -25));
      }),
    );
  });
});
