// Owns the running quality of one job: takes finished dialogues one by one, gives a verdict on each and all figures at any time.
// Nothing is stored: after a restart it is built again by adding the stored dialogues in the same order, which gives the same
// verdicts and figures. It knows no models but what it is handed: a tokenizer, an encoder, a classifier.
import { alarmsOf } from "./alarms.ts";
import { Distribution } from "./distribution.ts";
import { DuplicateIndex } from "./duplicates.ts";
import { hashedGramEncoder } from "./encoder.ts";
import type { SentenceEncoder } from "./encoder.ts";
import { humanProbability } from "./human-likeness.ts";
import type { HumanLikenessModel } from "./human-likeness.ts";
import { IntentOverlap } from "./intent-overlap.ts";
import { JudgeScores } from "./judge-scores.ts";
import type { Judgement } from "./judge-scores.ts";
import { Mean } from "./mean.ts";
import { mtldOfText, WordIds } from "./mtld.ts";
import { Openers } from "./openers.ts";
import type { JobQuality, QualityDialogue, QualitySnapshot, QualityVerdict } from "./quality-types.ts";
import { QuestionHabits, rateOf } from "./questions.ts";
import { SeenTexts } from "./seen-texts.ts";
import { table5Of } from "./table5.ts";
import { TopicSpread } from "./topic.ts";
import { type ScoredDialogue, TurnScores } from "./turn-scores.ts";
import { richnessWords } from "./words.ts";

export interface JobQualityOptions {
  /** Token counts of different tokenizers may not be compared: its name goes into the snapshot. */
  readonly tokenizer: { readonly name: string; readonly countTokens: (text: string) => number };
  /** The built-in one unless given. */
  readonly encoder?: SentenceEncoder;
  /** null leaves human-likeness unmeasured. */
  readonly humanLikeness?: HumanLikenessModel | null;
  /** What grows with the data stops growing there, and the snapshot says so; without limits unless given. */
  readonly limits?: { readonly comparedDialogues: number; readonly corpusWords: number };
}

/** Words from which on a question's MTLD says more than its length. */
const LONG_QUESTION_WORDS = 50;
const SHORT_DIALOGUE_ROUNDS = 2;
/** Shared, because verdicts are kept. */
const freshVerdict: QualityVerdict = {
  isExactDuplicate: false,
  isNearDuplicate: false,
  openerCollision: false,
  duplicateOf: null,
};
const collidedVerdict: QualityVerdict = { ...freshVerdict, openerCollision: true };

/** The running quality of one job, judges and scored turns included. */
export class RunningQuality implements JobQuality {
  readonly #options: JobQualityOptions;
  readonly #ids = new SeenTexts();
  /** By the number of the id. */
  readonly #verdicts: QualityVerdict[] = [];
  readonly #duplicates: DuplicateIndex;
  readonly #openers = new Openers();
  readonly #questions = new QuestionHabits();
  readonly #topic: TopicSpread;
  readonly #judges = new JudgeScores();
  readonly #scores = new TurnScores();
  readonly #intents = new IntentOverlap();
  readonly #words: WordIds;
  readonly #mtld = new Mean();
  readonly #longMtld = new Mean();
  readonly #turns = new Distribution();
  readonly #session = new Distribution();
  readonly #sessionAsSum = new Distribution();
  readonly #utterance = new Distribution();
  readonly #byRole = { user: new Distribution(), assistant: new Distribution() };
  readonly #stopReasons: Record<string, number> = {};
  readonly #turnCauses: Record<string, number> = {};
  readonly #counts = { empty: 0, exact: 0, near: 0, short: 0, human: 0, humanOf: 0, rejected: 0, drafts: 0 };
  #latest: QualitySnapshot | null = null;

  constructor(options: JobQualityOptions) {
    this.#options = options;
    this.#duplicates = new DuplicateIndex(options.limits?.comparedDialogues);
    this.#words = new WordIds(options.limits?.corpusWords);
    this.#topic = new TopicSpread(options.encoder ?? hashedGramEncoder());
  }

  add(dialogue: QualityDialogue): QualityVerdict {
    const { number } = this.#ids.see(dialogue.id);
    const known = this.#verdicts[number];
    if (known !== undefined) return known;
    this.#latest = null;
    const verdict = this.#judge(dialogue);
    this.#verdicts[number] = verdict;
    return verdict;
  }

  addJudgement(judgement: Judgement): void {
    this.#latest = null;
    this.#judges.add(judgement);
  }

  /** Takes how probable a model finds the user turns of one dialogue. */
  addScores(scored: ScoredDialogue): void {
    this.#latest = null;
    this.#scores.add(scored);
  }

  snapshot(): QualitySnapshot {
    this.#latest ??= this.#measure();
    return this.#latest;
  }

  /** Of the dialogues that are measured; they grow with it and are not to be added to. */
  get lengths() {
    const { user, assistant } = this.#byRole;
    return { rounds: this.#turns, sessionTokens: this.#session, userTokens: user, assistantTokens: assistant };
  }

  #judge(dialogue: QualityDialogue): QualityVerdict {
    const { id, turns, stopReason, givenTurns = 0, rejectedDrafts = 0, turnCauses = [] } = dialogue;
    increment(this.#stopReasons, stopReason);
    for (const cause of turnCauses) increment(this.#turnCauses, cause);
    const given = questionsOf(turns.slice(0, givenTurns));
    const sampled = questionsOf(turns.slice(givenTurns));
    this.#counts.rejected += rejectedDrafts;
    this.#counts.drafts += rejectedDrafts + sampled.length;
    if (turns.length === 0) {
      this.#counts.empty += 1;
      return freshVerdict;
    }
    if (roundsOf(dialogue) <= SHORT_DIALOGUE_ROUNDS) this.#counts.short += 1;
    this.#questions.add(id, sampled, given);
    const [opener] = sampled;
    const seedKey = dialogue.seedKey ?? null;
    const openerCollision = opener !== undefined && this.#openers.collide(opener, seedKey);
    // Roles in their order are the same in every dialogue: the texts alone tell two apart. The separator keeps turns apart.
    const duplicate = this.#duplicates.add(id, turns.map(({ content }) => content).join("\n"));
    if (duplicate === null) {
      this.#take(dialogue);
      if (opener !== undefined) this.#openers.sample(id, opener, seedKey);
      return openerCollision ? collidedVerdict : freshVerdict;
    }
    this.#counts[duplicate.kind] += 1;
    return {
      isExactDuplicate: duplicate.kind === "exact",
      isNearDuplicate: duplicate.kind === "near",
      openerCollision,
      duplicateOf: duplicate.id,
    };
  }

  /** Everything that is measured over the data set as it will be delivered. */
  #take(dialogue: QualityDialogue): void {
    const { turns } = dialogue;
    const { countTokens } = this.#options.tokenizer;
    let sum = 0;
    for (const { role, content } of turns) {
      const tokens = countTokens(content);
      sum += tokens;
      this.#utterance.add(tokens);
      this.#byRole[role].add(tokens);
    }
    this.#turns.add(roundsOf(dialogue));
    this.#session.add(countTokens(turns.map(({ content }) => content).join("")));
    this.#sessionAsSum.add(sum);
    const questions = questionsOf(turns);
    this.#topic.add(questions);
    const { intent = null, givenTurns = 0 } = dialogue;
    if (intent !== null) this.#intents.add(intent, questionsOf(turns.slice(givenTurns)));
    for (const question of questions) this.#takeQuestion(question);
  }

  #takeQuestion(question: string): void {
    const words = richnessWords(question);
    this.#words.push(words);
    const mtld = mtldOfText(question);
    if (mtld !== null) {
      this.#mtld.add(mtld);
      if (words.length >= LONG_QUESTION_WORDS) this.#longMtld.add(mtld);
    }
    const { humanLikeness } = this.#options;
    if (humanLikeness === null || humanLikeness === undefined) return;
    this.#counts.humanOf += 1;
    if (humanProbability(humanLikeness.weights, question) >= 0.5) this.#counts.human += 1;
  }

  #measure(): QualitySnapshot {
    const { empty, exact, near, short, human, humanOf, rejected, drafts } = this.#counts;
    const seen = this.#verdicts.length;
    const filled = seen - empty;
    const figures: Omit<QualitySnapshot, "table5" | "alarms"> = {
      dialogues: {
        seen,
        kept: filled - exact - near,
        empty,
        exactDuplicates: exact,
        nearDuplicates: near,
        uncompared: this.#duplicates.beyondLimit,
      },
      turns: this.#turns.summary(),
      tokens: {
        tokenizer: this.#options.tokenizer.name,
        session: this.#session.summary(),
        sessionAsSum: this.#sessionAsSum.summary(),
        utterance: this.#utterance.summary(),
        userUtterance: this.#byRole.user.summary(),
        assistantUtterance: this.#byRole.assistant.summary(),
      },
      stopReasons: { ...this.#stopReasons },
      turnCauses: { ...this.#turnCauses },
      topic: this.#topic.snapshot(),
      mtld: {
        perQuestion: this.#mtld.mean,
        questions: this.#mtld.count,
        longQuestions: { minWords: LONG_QUESTION_WORDS, mean: this.#longMtld.mean, questions: this.#longMtld.count },
        corpus: this.#words.mtld(),
        corpusWords: this.#words.length,
        wordsBeyondLimit: this.#words.beyondLimit,
      },
      humanLikeness: {
        questions: humanOf,
        ratio: rateOf(human, humanOf).rate,
        classifier: this.#options.humanLikeness?.report ?? null,
      },
      rates: {
        exactDuplicates: rateOf(exact, seen),
        nearDuplicates: rateOf(near, seen),
        openerCollisions: rateOf(this.#openers.collisions, this.#openers.count),
        shortDialogues: rateOf(short, filled),
        ...this.#questions.rates(),
        guardrailRejects: rateOf(rejected, drafts),
      },
      firstTurnDiversity: this.#openers.diversity(),
      intentOverlap: this.#intents.snapshot(),
      userTurnPerplexity: this.#scores.summaries(),
      judges: this.#judges.summaries(),
    };
    return { ...figures, table5: table5Of(figures), alarms: alarmsOf(figures) };
  }
}

function questionsOf(turns: QualityDialogue["turns"]): string[] {
  return turns.filter(({ role }) => role === "user").map(({ content }) => content);
}

/** As the paper counts: two turns are a round, a single one half of it. */
function roundsOf({ turns }: QualityDialogue): number {
  return turns.length / 2;
}

function increment(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
