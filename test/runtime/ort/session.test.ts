import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { GraphBuilder } from "../../../runtime/onnx/graph-builder.ts";
import { ortApi } from "../../../runtime/ort/api.ts";
import { chooseDevice } from "../../../runtime/ort/device.ts";
import { openEnvironment } from "../../../runtime/ort/environment.ts";
import type { Environment } from "../../../runtime/ort/environment.ts";
import { openSession } from "../../../runtime/ort/session.ts";
import type { Session } from "../../../runtime/ort/session.ts";
import { Tensor } from "../../../runtime/ort/tensor.ts";

let environment: Environment;
beforeAll(() => {
  environment = openEnvironment({ threads: 2 });
});
afterAll(() => environment.release());

function open(graph: GraphBuilder): Promise<Session> {
  const cpu = chooseDevice(environment.api, "cpu", "float32", () => {});
  return openSession(environment, cpu, { bytes: graph.toBytes() });
}

function sumGraph(): GraphBuilder {
  const graph = new GraphBuilder("sum");
  const a = graph.input("a", "float32", ["n"]);
  const b = graph.input("b", "float32", ["n"]);
  graph.output("sum", graph.op("Add", [a, b]), "float32", ["n"]);
  return graph;
}

// Multiplies a matrix by itself often enough to run for seconds.
function longGraph(): GraphBuilder {
  const graph = new GraphBuilder("long");
  const x = graph.input("x", "float32", [512, 512]);
  let value = x;
  for (let index = 0; index < 3000; index += 1) value = graph.op("MatMul", [value, x]);
  graph.output("y", value, "float32", [512, 512]);
  return graph;
}

describe("Session", () => {
  it("runs over memory the caller owns and writes where the caller bound the output", async () => {
    const session = await open(sumGraph());
    expect([session.inputNames, session.outputNames]).toEqual([["a", "b"], ["sum"]]);
    const tensors = ["a", "b", "sum"].map(() => Tensor.allocate(session.host, "float32", [3]));
    const [a, b, sum] = tensors as [Tensor, Tensor, Tensor];
    a.float32().set([1, 2, 3]);
    b.float32().set([10, 20, 30]);
    const binding = session.createBinding();
    binding.input("a", a);
    binding.input("b", b);
    binding.output("sum", sum);
    await session.run(binding);
    expect([...sum.float32()]).toEqual([11, 22, 33]);
    // Bound once, run again: new numbers in the same memory.
    a.float32().set([5, 5, 5]);
    await session.run(binding);
    expect([...sum.float32()]).toEqual([15, 25, 35]);
    binding.release();
    for (const tensor of tensors) tensor.release();
    session.release();
  });

  it("reads and writes parts of a tensor through views", async () => {
    const session = await open(sumGraph());
    const all = Tensor.allocate(session.host, "float32", [4, 2]);
    all.float32().set([0, 1, 2, 3, 4, 5, 6, 7]);
    const views = [2, 4, 6].map((first) => all.view(first * 4, [2]));
    const binding = session.createBinding();
    binding.input("a", views[0]!);
    binding.input("b", views[1]!);
    binding.output("sum", views[2]!);
    await session.run(binding);
    expect([...all.float32()]).toEqual([0, 1, 2, 3, 4, 5, 6, 8]);
    expect(() => all.view(28, [2])).toThrow("leaves its tensor");
    binding.release();
    for (const tensor of [...views, all]) tensor.release();
    session.release();
  });

  it("leaves the event loop free while it runs, and terminates a run at the next node", async () => {
    const session = await open(longGraph());
    const x = Tensor.allocate(session.host, "float32", [512, 512]);
    const y = Tensor.allocate(session.host, "float32", [512, 512]);
    x.float32().fill(1e-4);
    const binding = session.createBinding();
    binding.input("x", x);
    binding.output("y", y);
    let isOver = false;
    const run = session.run(binding).finally(() => {
      isOver = true;
    });
    const failure = run.catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isOver).toBe(false);
    await expect(session.run(binding)).rejects.toThrow("one binding at a time");
    expect(() => session.release()).toThrow("while it runs");
    session.terminate();
    expect(await failure).toMatchObject({ name: "EngineError", code: "cancelled" });
    binding.release();
    x.release();
    y.release();
    session.release();
  });

  it("throws ORT's own message", async () => {
    const cpu = chooseDevice(environment.api, "cpu", "float32", () => {});
    const garbage = openSession(environment, cpu, { bytes: new Uint8Array([1, 2, 3]) });
    await expect(garbage).rejects.toMatchObject({ code: "ort_failed", message: expect.stringContaining("protobuf") });
    const missing = openSession(environment, cpu, { path: "/nowhere/model.onnx" });
    await expect(missing).rejects.toThrow("/nowhere/model.onnx");
    const session = await open(sumGraph());
    const binding = session.createBinding();
    const wrong = Tensor.allocate(session.host, "int64", [3]);
    expect(() => binding.input("c", wrong)).toThrow(EngineError);
    binding.release();
    wrong.release();
    session.release();
  });

  it("refuses what was released", async () => {
    const session = await open(sumGraph());
    const tensor = Tensor.allocate(session.host, "float32", [3]);
    const binding = session.createBinding();
    tensor.release();
    expect(() => binding.input("a", tensor)).toThrow("released tensor");
    expect(() => tensor.bytes).toThrow("released tensor");
    binding.release();
    await expect(session.run(binding)).rejects.toThrow("released binding");
    session.release();
    expect(() => session.createBinding()).toThrow("released session");
  });
});

describe("openEnvironment", () => {
  it("is shared, and refuses another number of threads", () => {
    const second = openEnvironment({ threads: null });
    expect(second.pointer).toBe(environment.pointer);
    second.release();
    second.release();
    expect(() => openEnvironment({ threads: 7 })).toThrow("already runs with 2 threads; 7");
  });

  it("runs exclusive work in the order asked, also after a failure", async () => {
    const order: number[] = [];
    const work = [0, 1, 2].map((index) =>
      environment.exclusive(async () => {
        order.push(index);
        await new Promise((resolve) => setTimeout(resolve, 3 - index));
        order.push(index);
        if (index === 0) throw new Error("first fails");
      }),
    );
    const outcomes = await Promise.allSettled(work);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    expect(order).toEqual([0, 0, 1, 1, 2, 2]);
  });
});

describe("chooseDevice", () => {
  it("says what ORT says when a named device cannot be had, and auto falls back with the same reason", () => {
    // The packaged library for this platform comes without the CUDA provider library.
    const reasons: string[] = [];
    const device = chooseDevice(environment.api, "auto", "float16", (reason) => reasons.push(reason));
    if (device.name === "cuda") return;
    expect(device.name).toBe("cpu");
    expect(reasons).toHaveLength(1);
    expect(() => chooseDevice(environment.api, "cuda", "float16", () => {})).toThrow(
      'The device "cuda" cannot be used: ',
    );
    expect(() => chooseDevice(environment.api, "cuda", "float16", () => {})).toThrow(reasons[0]!);
  });

  it("refuses a device whose attention kernel does not take the model's keys and values, with the way out", () => {
    const sentence =
      'The device "cuda" cannot be used: it takes no float32 keys and values; import the model with `--kv float16`.';
    expect(() => chooseDevice(environment.api, "cuda", "float32", () => {})).toThrow(sentence);
    const reasons: string[] = [];
    expect(chooseDevice(environment.api, "auto", "float32", (reason) => reasons.push(reason)).name).toBe("cpu");
    expect(reasons).toEqual([sentence]);
  });
});

describe("ortApi", () => {
  it("loads the packaged library, of the package's version", () => {
    expect(ortApi().version).toMatch(/^1\.\d+\.\d+$/);
    expect(ortApi()).toBe(environment.api);
  });
});
