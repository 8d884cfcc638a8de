// Owns what is computed from logits before they leave the device: the best id, or the best k with the row's normalizer.
// Only those few numbers come to the host; whole rows are read when a request needs them.
// It knows neither models nor sampling parameters.
import { openCopier } from "./device-copier.ts";
import { GraphBuilder } from "../onnx/graph-builder.ts";
import { openSession } from "../ort/session.ts";
import type { Binding, Session } from "../ort/session.ts";
import { Tensor } from "../ort/tensor.ts";
import type { TopCandidates } from "./sampler.ts";

export interface LogitsHead {
  /** Logits [rows, vocab] of the latest run, to bind as its output. The same tensor for the same count every time. */
  logits(rows: number): Tensor;
  /** The best id of each of the first `rows` rows (the lowest of equals). */
  argMax(rows: number): Promise<number[]>;
  /** At least the `count` best of each row (as far as MAX_CANDIDATES and the vocabulary go), with log Σ exp(logit / temperature) over the whole row. */
  top(temperatures: readonly number[], count: number): Promise<TopCandidates[]>;
  /** Of each row, the natural logarithm of the probability of one id. */
  logProbabilities(ids: readonly number[]): Promise<number[]>;
  /** A copy of one row. */
  readRow(row: number): Promise<Float32Array>;
  release(): void;
}

/** Opens the head beside a model's session, on its device. */
export async function openLogitsHead(model: Session, maxRows: number, vocabSize: number): Promise<LogitsHead> {
  const { environment, device, memory, host } = model;
  const best = await openSession(environment, device, { bytes: argMaxGraph(vocabSize) });
  const ranked = await openSession(environment, device, { bytes: topGraph(vocabSize) });
  const copier = memory.isHost ? null : await openCopier(environment, device, "float32");
  const bestBinding = best.createBinding();
  const rankedBinding = ranked.createBinding();

  const tensors: Tensor[] = [];
  const keep = (tensor: Tensor): Tensor => {
    tensors.push(tensor);
    return tensor;
  };
  const all = keep(Tensor.allocate(memory, "float32", [maxRows, vocabSize]));
  const ids = keep(Tensor.allocate(host, "int64", [maxRows]));
  const sums = keep(Tensor.allocate(host, "float32", [maxRows]));
  const inverseTemperatures = keep(Tensor.allocate(host, "float32", [maxRows, 1]));
  const k = keep(Tensor.allocate(host, "int64", [1]));
  // Outputs of `top` grow with the count asked for; their memory is bound anew when it changes.
  const topLimit = Math.min(vocabSize, MAX_CANDIDATES);
  const topIds = keep(Tensor.allocate(host, "int64", [maxRows * topLimit]));
  const topLogits = keep(Tensor.allocate(host, "float32", [maxRows * topLimit]));
  const views = new Map<string, Tensor>();
  const view = (name: string, tensor: Tensor, offsetBytes: number, shape: readonly number[]): Tensor => {
    const key = `${name}@${offsetBytes}:${shape.join("x")}`;
    let found = views.get(key);
    if (found === undefined) {
      found = tensor.view(offsetBytes, shape);
      views.set(key, found);
    }
    return found;
  };
  const logits = (rows: number): Tensor => view("logits", all, 0, [rows, vocabSize]);
  // Most models are never asked to score anything.
  let picker: { readonly session: Session; readonly binding: Binding } | null = null;

  return {
    logits,
    async argMax(rows) {
      bestBinding.input("logits", logits(rows));
      bestBinding.output("ids", view("ids", ids, 0, [rows]));
      await best.run(bestBinding);
      return Array.from(ids.int64().subarray(0, rows), Number);
    },
    async top(temperatures, count) {
      const rows = temperatures.length;
      // Few distinct widths keep the number of bound views small.
      const width = Math.min(2 ** Math.ceil(Math.log2(count)), topLimit);
      inverseTemperatures.float32().set(temperatures.map((temperature) => 1 / temperature));
      k.int64()[0] = BigInt(width);
      rankedBinding.input("logits", logits(rows));
      rankedBinding.input("inverse_temperatures", view("inverse", inverseTemperatures, 0, [rows, 1]));
      rankedBinding.input("k", k);
      rankedBinding.output("top_logits", view("top_logits", topLogits, 0, [rows, width]));
      rankedBinding.output("top_ids", view("top_ids", topIds, 0, [rows, width]));
      rankedBinding.output("log_sum_exp", view("sums", sums, 0, [rows]));
      await ranked.run(rankedBinding);
      return temperatures.map((_, row) => ({
        ids: Array.from(topIds.int64().subarray(row * width, (row + 1) * width), Number),
        logits: topLogits.float32().slice(row * width, (row + 1) * width),
        count: width,
        logSumExp: sums.float32()[row]!,
      }));
    },
    async logProbabilities(picked) {
      const rows = picked.length;
      if (picker === null) {
        const session = await openSession(environment, device, { bytes: logProbabilityGraph(vocabSize) });
        picker = { session, binding: session.createBinding() };
      }
      ids.int64().set(picked.map(BigInt));
      picker.binding.input("logits", logits(rows));
      picker.binding.input("ids", view("picked", ids, 0, [rows, 1]));
      picker.binding.output("log_probabilities", view("values", sums, 0, [rows, 1]));
      await picker.session.run(picker.binding);
      return Array.from(sums.float32().subarray(0, rows));
    },
    async readRow(row) {
      if (copier === null) return all.float32().slice(row * vocabSize, (row + 1) * vocabSize);
      const target = Tensor.allocate(host, "float32", [1, 1, 1, vocabSize]);
      try {
        const source = device.isAddressable
          ? view("row", all, row * vocabSize * 4, [1, 1, 1, vocabSize])
          : view("row", all, 0, [1, 1, 1, vocabSize]);
        await copier.copy(source, target);
        return target.float32().slice();
      } finally {
        target.release();
      }
    },
    release() {
      copier?.release();
      bestBinding.release();
      rankedBinding.release();
      picker?.binding.release();
      picker?.session.release();
      for (const tensor of views.values()) tensor.release();
      for (const tensor of tensors) tensor.release();
      best.release();
      ranked.release();
    },
  };
}

/** Most candidates `top` gives; wider requests read whole rows. */
const MAX_CANDIDATES = 1024;

function argMaxGraph(vocabSize: number): Uint8Array {
  const graph = new GraphBuilder("argmax");
  const logits = graph.input("logits", "float32", ["rows", vocabSize]);
  graph.output("ids", graph.op("ArgMax", [logits], { axis: 1, keepdims: 0 }), "int64", ["rows"]);
  return graph.toBytes();
}

function topGraph(vocabSize: number): Uint8Array {
  const graph = new GraphBuilder("top");
  const logits = graph.input("logits", "float32", ["rows", vocabSize]);
  const inverseTemperatures = graph.input("inverse_temperatures", "float32", ["rows", 1]);
  const k = graph.input("k", "int64", [1]);
  const [values, ids] = graph.ops("TopK", [logits, k], 2, { axis: 1, largest: 1, sorted: 1 });
  const scaled = graph.op("Mul", [logits, inverseTemperatures]);
  const sums = graph.op("ReduceLogSumExp", [scaled, graph.ints([1])], { keepdims: 0 });
  graph.output("top_logits", values!, "float32", ["rows", "k"]);
  graph.output("top_ids", ids!, "int64", ["rows", "k"]);
  graph.output("log_sum_exp", sums, "float32", ["rows"]);
  return graph.toBytes();
}

function logProbabilityGraph(vocabSize: number): Uint8Array {
  const graph = new GraphBuilder("log_probabilities");
  const logits = graph.input("logits", "float32", ["rows", vocabSize]);
  const ids = graph.input("ids", "int64", ["rows", 1]);
  const picked = graph.op("GatherElements", [logits, ids], { axis: 1 });
  const sums = graph.op("ReduceLogSumExp", [logits, graph.ints([1])], { keepdims: 1 });
  graph.output("log_probabilities", graph.op("Sub", [picked, sums]), "float32", ["rows", 1]);
  return graph.toBytes();
}
