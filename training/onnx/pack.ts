// Joins examples into sequences of exactly the context, for a base model: every position is trained, and nothing is padded.
// A sequence sees the examples before it in the same cut.
import { type Example, type Examples, IGNORED, trainedTokensOf } from "./examples.ts";
import { shuffle } from "./schedule.ts";

/** Apart from what the epochs are shuffled with. */
const PACK_STREAM = 2;

/** In an order that the seed decides. The first id of an example is not in the loss: what came before says nothing of it. */
export function packedExamples(examples: Examples, contextTokens: number, seed: number): Examples {
  const order = [...examples.items];
  shuffle(order, { seed, epoch: 0 }, PACK_STREAM);
  const total = order.reduce((sum, { ids }) => sum + ids.length, 0);
  const ids = new Int32Array(total);
  const labels = new Int32Array(total);
  let end = 0;
  for (const example of order) {
    ids.set(example.ids, end);
    labels.set(example.labels, end);
    labels[end] = IGNORED;
    end += example.ids.length;
  }
  const items = Array.from({ length: Math.ceil(total / contextTokens) }, (_, cut): Example => {
    const [from, to] = [cut * contextTokens, (cut + 1) * contextTokens];
    const own = labels.slice(from, to);
    return { id: `pack-${from}`, ids: ids.slice(from, to), labels: own, trainedTokens: trainedTokensOf(own) };
  });
  return { ...examples, items: items.filter(({ trainedTokens }) => trainedTokens > 0) };
}
