// Owns how alike the first questions of dialogues are: openers asked before, and first-turn diversity.
// It knows openers and the seed item they grew from, nothing of the rest of a dialogue.
import { hashText } from "./hashing.ts";
import { jaccard } from "./min-hash.ts";
import { SeenTexts } from "./seen-texts.ts";
import { normaliseText, plainWords } from "./words.ts";

/** Openers per seed item that diversity is measured on: all of a small group, a fixed sample of a large one. */
const SAMPLE = 64;
/** Groups that keep a sample; a seed set of one dialogue an item has as many groups as dialogues, and no pairs in them. */
const MAX_GROUPS = 10_000;

interface Member {
  readonly rank: number;
  readonly words: ReadonlySet<string>;
}

/** Running over dialogues. */
export class Openers {
  readonly #asked = new SeenTexts();
  readonly #groups = new Map<string, Member[]>();
  #distance = 0;
  #pairs = 0;
  #collisions = 0;
  #count = 0;

  get collisions(): number {
    return this.#collisions;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether the same opener came before from the same seed item (or, in free mode, from any dialogue). */
  collide(opener: string, seedKey: string | null): boolean {
    const key = JSON.stringify([seedKey, normaliseText(opener)]);
    const isCollision = !this.#asked.see(key).isNew;
    this.#count += 1;
    if (isCollision) this.#collisions += 1;
    return isCollision;
  }

  /** Takes a kept dialogue's opener into the sample. The dialogue's id decides whether it stays, not the order of arrival. */
  sample(id: string, opener: string, seedKey: string | null): void {
    const key = seedKey ?? "";
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size === MAX_GROUPS) return;
      group = [];
      this.#groups.set(key, group);
    }
    const member = { rank: hashText(id), words: new Set(plainWords(opener)) };
    this.#distance += distanceTo(group, member);
    this.#pairs += group.length;
    group.push(member);
    if (group.length <= SAMPLE) return;
    const highest = group.reduce((worst, other) => (other.rank > worst.rank ? other : worst));
    group.splice(group.indexOf(highest), 1);
    this.#distance -= distanceTo(group, highest);
    this.#pairs -= group.length;
  }

  /** Mean Jaccard distance of the word sets of all pairs of openers that share a seed item. */
  diversity(): { value: number | null; pairs: number } {
    return { value: this.#pairs === 0 ? null : this.#distance / this.#pairs, pairs: this.#pairs };
  }
}

function distanceTo(group: readonly Member[], { words }: Member): number {
  return group.reduce((sum, other) => sum + 1 - jaccard(words, other.words), 0);
}
