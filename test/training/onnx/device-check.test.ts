// A device trains only after it has computed what the CPU computes.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { chooseDevice, type Device } from "../../../runtime/ort/device.ts";
import { type Environment, openEnvironment } from "../../../runtime/ort/environment.ts";
import { FlatBuffer } from "../../../training/onnx/buffers.ts";
import { deviceProblem } from "../../../training/onnx/device-check.ts";

let environment: Environment;
let cpu: Device;
beforeAll(() => {
  environment = openEnvironment({ threads: 1, isSpinning: false });
  cpu = chooseDevice(environment.api, "cpu", null, () => {});
});
afterAll(() => environment.release());

test("the CPU computes what the CPU computes", async () => {
  expect(await deviceProblem(environment, cpu)).toBe(null);
});

test("a device that is not there is a sentence", async () => {
  expect(await deviceProblem(environment, { ...cpu, name: "cuda", memoryName: "Cuda" })).toContain("CUDA");
});

test("a device that computes something else is a sentence", async () => {
  const original = Object.getOwnPropertyDescriptor(FlatBuffer.prototype, "read")?.value as FlatBuffer["read"];
  let reads = 0;
  const spy = vi.spyOn(FlatBuffer.prototype, "read").mockImplementation(async function read(
    this: FlatBuffer,
    ...args: Parameters<FlatBuffer["read"]>
  ) {
    await original.apply(this, args);
    reads += 1;
    // The CPU's values come first: of the other's, one is off.
    const [, , target] = args;
    if (reads === 90) target[0] = (target[0] ?? 0) + 1;
  });
  try {
    expect(await deviceProblem(environment, cpu)).toMatch(/^its .* differ from the CPU's by \d/);
  } finally {
    spy.mockRestore();
  }
});
