// Owns tokenizers that several models of one process share: a fine-tuned model has its parent's, and building one of 50,000 tokens
// holds everybody up for most of a second. A tokenizer that no model has any more is forgotten.
// It knows a tokenizer by its file's hash, and no folder.
import { loadTokenizer, type Tokenizer } from "./tokenizer.ts";

export class TokenizerShelf {
  readonly #held = new Map<string, WeakRef<Tokenizer>>();

  /** The tokenizer whose tokenizer.json in `folder` has this hash; another model's where one has the same. Throws `bad_model`. */
  async load(folder: string, sha256: string, controlIds: readonly number[]): Promise<Tokenizer> {
    const key = [sha256, ...new Set(controlIds.toSorted((a, b) => a - b))].join(" ");
    const held = this.#held.get(key)?.deref();
    if (held !== undefined) return held;
    const tokenizer = await loadTokenizer(folder, controlIds);
    this.#held.set(key, new WeakRef(tokenizer));
    for (const [name, reference] of this.#held) if (reference.deref() === undefined) this.#held.delete(name);
    return tokenizer;
  }
}
