// Owns the ways in which sampled questions go wrong: said before in the dialogue, said by other dialogues, saying nothing.
// It knows questions and the dialogue they belong to, not what else was said there.
import { speaksAsAssistant } from "./assistant-phrases.ts";
import { NumberList } from "./number-list.ts";
import type { Rate } from "./quality-types.ts";
import { SeenTexts } from "./seen-texts.ts";
import { normaliseText, plainWords } from "./words.ts";

/** Function words and the small change of conversation, English only. A question of nothing else could be asked anywhere. */
const fillers = new Set(
  (
    "a about again ahead all also an and another any anything are as at be been but by can could did do does doing " +
    "elaborate else ever example examples explain for from further give go going good got great had has have hello help " +
    "helpful hey hi how i i'd i'll i'm i've if in interesting is it it's its just know let let's like list little lot " +
    "many may me mean might more much my need next nice no not now of oh ok okay on one only or other our out please " +
    "provide really right say see shall share should show so some something sounds such sure take tell than thank " +
    "thanks that that's the their them then there these they thing things think this those to too understand us very " +
    "want was we well were what what's when where which while who why will wish with would yeah yes you you'd you'll " +
    "you're you've your continue detail details topic question questions information more's ask asking bye day wonderful " +
    "awesome cool perfect excellent appreciate learn discuss talk"
  ).split(" "),
);

/** The different words that tell what a text is about. */
export function contentWords(text: string): ReadonlySet<string> {
  return new Set(plainWords(text).filter((word) => !fillers.has(word)));
}

/** Whether nothing in the question tells what it is about. */
export function isGenericQuestion(question: string): boolean {
  return contentWords(question).size === 0;
}

/** In place of a dialogue: more than one asked the question. */
const SEVERAL = -1;

/** Running over dialogues; of a question 64 bits of its hash and two numbers are kept. */
export class QuestionHabits {
  readonly #asked = new SeenTexts();
  /** By the number of the question: the dialogue that asked it first, or SEVERAL, and how often it was asked. */
  readonly #askedBy = new NumberList((length) => new Int32Array(length));
  readonly #times = new NumberList((length) => new Uint32Array(length));
  #dialogue = 0;
  #latestId = "";
  #count = 0;
  #repeats = 0;
  #generic = 0;
  #asAssistant = 0;
  #askedElsewhere = 0;

  /** Takes a dialogue's sampled questions; `given` came before them and may not be repeated either. */
  add(dialogueId: string, questions: readonly string[], given: readonly string[]): void {
    if (dialogueId !== this.#latestId) this.#dialogue += 1;
    this.#latestId = dialogueId;
    const earlier = new Set(given.map(normaliseText));
    for (const question of questions) {
      const normalised = normaliseText(question);
      this.#count += 1;
      if (earlier.has(normalised)) this.#repeats += 1;
      earlier.add(normalised);
      if (isGenericQuestion(question)) this.#generic += 1;
      if (speaksAsAssistant(question)) this.#asAssistant += 1;
      this.#countElsewhere(normalised);
    }
  }

  get count(): number {
    return this.#count;
  }

  rates(): Record<"verbatimRepeats" | "genericQuestions" | "questionsAskedElsewhere" | "assistantPhrases", Rate> {
    return {
      verbatimRepeats: rateOf(this.#repeats, this.#count),
      genericQuestions: rateOf(this.#generic, this.#count),
      assistantPhrases: rateOf(this.#asAssistant, this.#count),
      questionsAskedElsewhere: rateOf(this.#askedElsewhere, this.#count),
    };
  }

  // When a second dialogue asks it, every time it was asked so far counts; from then on each one more.
  #countElsewhere(question: string): void {
    const { number, isNew } = this.#asked.see(question);
    if (isNew) {
      this.#askedBy.push(this.#dialogue);
      this.#times.push(1);
      return;
    }
    const times = this.#times.at(number) + 1;
    this.#times.set(number, times);
    const asker = this.#askedBy.at(number);
    if (asker === SEVERAL) {
      this.#askedElsewhere += 1;
    } else if (asker !== this.#dialogue) {
      this.#askedBy.set(number, SEVERAL);
      this.#askedElsewhere += times;
    }
  }
}

export function rateOf(count: number, of: number): Rate {
  return { count, of, rate: of === 0 ? null : count / of };
}
