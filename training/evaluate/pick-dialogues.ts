// Owns which dialogues of a source an evaluation looks at: all, a sample drawn by a seed, or what a training run kept out.
// Nothing is cleaned. It does not know what is done with them.
import type { Conversation } from "../conversation.ts";
import { isGroupHeldOut } from "../prepare/prepare.ts";
import { readSource, type SourceOptions } from "../sources/read-source.ts";
import type { Options } from "./options.ts";
import { Sample } from "./sample.ts";

export interface Draw {
  readonly limit: number | null;
  readonly seed: number;
  /** The share of groups that is looked at, chosen as training chooses what it holds out. */
  readonly holdout: { readonly holdout: number; readonly seed: number };
  readonly store: SourceOptions["store"];
}

/** What the flags say. Throws UsageError. */
export function drawOf(options: Options): Draw {
  return {
    limit: options.wholeOrNull("limit"),
    seed: options.whole("seed", 1, 0),
    holdout: { holdout: options.share("holdout", 1), seed: options.whole("holdout-seed", 125, 0) },
    store: { data: options.text("store"), url: options.text("url") },
  };
}

/** In the order of the source; the same ones every time. Throws SourceError. */
export async function pickDialogues(
  source: string,
  { limit, seed, holdout, store }: Draw,
  signal: AbortSignal,
): Promise<{ readonly dialogues: readonly Conversation[]; readonly broken: number }> {
  const sample = new Sample<Conversation>(limit ?? Number.POSITIVE_INFINITY, seed);
  let broken = 0;
  for await (const row of readSource(source, { format: null, store }, signal)) {
    if (row.kind === "broken") broken += 1;
    if (row.kind !== "conversation" || !isGroupHeldOut(row.conversation.group, holdout)) continue;
    const said = row.conversation.utterances.map(({ role, content }) => `${role}\0${content}`);
    sample.add(said.join("\0"), row.conversation);
  }
  return { dialogues: sample.items(), broken };
}
