// Owns remembering the ids of words: text says the same words again and again, and looking one up is far cheaper than merging its pieces.
// It knows neither what a word is nor how its ids come about. Memory is bounded by the number of words and by their length.

/** Words in a generation; there are two. */
const GENERATION = 1 << 14;
/** Longer words hardly come again. */
const LONGEST = 64;
/** From so many units on, V8 cuts a word out of a text without copying it. */
const SLICE_UNITS = 13;

export type IdsOfWord = (word: string) => readonly number[];

/** The same function with a memory. The words that were asked for last stay; `idsOf` must give the same for the same word. */
export function rememberWords(idsOf: IdsOfWord, generation = GENERATION): IdsOfWord {
  let recent = new Map<string, readonly number[]>();
  let before = new Map<string, readonly number[]>();
  return (word) => {
    const known = recent.get(word);
    if (known !== undefined) return known;
    if (word.length > LONGEST) return idsOf(word);
    const ids = before.get(word) ?? idsOf(word);
    if (recent.size >= generation) {
      before = recent;
      recent = new Map();
    }
    // A word that was cut out of a text would keep all of the text in memory.
    recent.set(word.length < SLICE_UNITS ? word : Array.from(word).join(""), ids);
    return ids;
  };
}
