// What the quality of a job's dialogues is measured from, and the figures that come of it.
// Types only; a snapshot is plain JSON. It knows neither jobs nor stores nor HTTP.
import type { Alarm } from "./alarms.ts";
import type { DistributionSummary } from "./distribution.ts";
import type { IntentOverlapSummary } from "./intent-overlap.ts";
import type { JudgeSummary } from "./judge-scores.ts";
import type { HumanLikenessReport } from "./human-likeness.ts";
import type { PerplexitySummary } from "./turn-scores.ts";

export interface QualityDialogue {
  readonly id: string;
  readonly turns: readonly { readonly role: "user" | "assistant"; readonly content: string }[];
  readonly stopReason: string;
  /** How many of the first turns were given rather than sampled; 0 unless said. */
  readonly givenTurns?: number;
  /** Finished turns that a guard-rail refused; 0 unless said. */
  readonly rejectedDrafts?: number;
  /** Which item of a seed set, intent or profile it grew from; null or absent in free mode. */
  readonly seedKey?: string | null;
  /** What the user was to be after; null or absent where that was left open. */
  readonly intent?: string | null;
  /** How each sampled turn ended, in any order; counted only. */
  readonly turnCauses?: readonly string[];
}

/** What a dialogue is in view of those added before it. A duplicate counts in the rates alone, not in the measures. */
export interface QualityVerdict {
  readonly isExactDuplicate: boolean;
  /** Never true together with isExactDuplicate. */
  readonly isNearDuplicate: boolean;
  /** Its first sampled question was asked before, at the same place, by a dialogue of the same seed item. */
  readonly openerCollision: boolean;
  /** The earlier dialogue it repeats. */
  readonly duplicateOf: string | null;
}

/** A share with what it was counted over. */
export interface Rate {
  readonly count: number;
  readonly of: number;
  /** null when there is nothing to count over. */
  readonly rate: number | null;
}

/** One line of the paper's Table 5; null where there is nothing to measure yet. */
export interface Table5Row {
  readonly dialogues: number;
  readonly turns: number | null;
  readonly sessionTokens: number | null;
  readonly utteranceTokens: number | null;
  /** Self pairs included, as in the paper: lower is more diverse. */
  readonly topicMeanCosine: number | null;
  readonly mtld: number | null;
  readonly humanRatio: number | null;
  readonly complexity: number | null;
  readonly relevancy: number | null;
  readonly logicality: number | null;
}

export interface QualitySnapshot {
  readonly dialogues: {
    readonly seen: number;
    /** Those measured: neither duplicates nor empty. */
    readonly kept: number;
    readonly empty: number;
    readonly exactDuplicates: number;
    readonly nearDuplicates: number;
    /** Kept ones with which no later one was compared for near duplicates, for want of room: with any, `nearDuplicates` is too low. */
    readonly uncompared: number;
  };
  readonly table5: Table5Row;
  readonly turns: DistributionSummary;
  readonly tokens: {
    readonly tokenizer: string;
    /** One tokenization of all turns joined without a separator, as the paper counts. */
    readonly session: DistributionSummary;
    /** The same dialogues, as the sum of their turns. */
    readonly sessionAsSum: DistributionSummary;
    readonly utterance: DistributionSummary;
    readonly userUtterance: DistributionSummary;
    readonly assistantUtterance: DistributionSummary;
  };
  /** Over every dialogue seen. */
  readonly stopReasons: Readonly<Record<string, number>>;
  readonly turnCauses: Readonly<Record<string, number>>;
  readonly topic: {
    readonly encoder: string;
    readonly questions: number;
    readonly meanCosine: number | null;
    readonly meanCosineWithoutSelfPairs: number | null;
    /** 1 − meanCosine. */
    readonly diversity: number | null;
    readonly diversityWithoutSelfPairs: number | null;
    /** Per dialogue, the mean cosine of each question with the one before. */
    readonly consecutiveCosine: DistributionSummary;
  };
  readonly mtld: {
    /** Mean over questions: the paper's value. */
    readonly perQuestion: number | null;
    readonly questions: number;
    /** Mean over questions of at least `longWords` words. */
    readonly longQuestions: { readonly minWords: number; readonly mean: number | null; readonly questions: number };
    /** One MTLD over all questions one after the other: over their first `corpusWords` words, `wordsBeyondLimit` more found no room. */
    readonly corpus: number | null;
    readonly corpusWords: number;
    readonly wordsBeyondLimit: number;
  };
  readonly humanLikeness: {
    readonly questions: number;
    readonly ratio: number | null;
    /** How good the classifier itself is; null while there is none. */
    readonly classifier: HumanLikenessReport | null;
  };
  readonly rates: {
    readonly exactDuplicates: Rate;
    readonly nearDuplicates: Rate;
    readonly openerCollisions: Rate;
    /** Dialogues of one or two rounds. */
    readonly shortDialogues: Rate;
    /** Sampled questions that repeat an earlier one of their dialogue. */
    readonly verbatimRepeats: Rate;
    /** Sampled questions that another dialogue asked in the same words. */
    readonly questionsAskedElsewhere: Rate;
    /** Sampled questions without a word of content. */
    readonly genericQuestions: Rate;
    /** Sampled questions in which the user speaks as an assistant does. */
    readonly assistantPhrases: Rate;
    /** Refused drafts among all sampled questions, refused ones included. */
    readonly guardrailRejects: Rate;
  };
  readonly firstTurnDiversity: { readonly value: number | null; readonly pairs: number };
  /** Of dialogues with an intent or a profile, how much of what users said stood in it. */
  readonly intentOverlap: IntentOverlapSummary;
  /** Of the sampled questions' tokens, one entry per model that scored some; values of different models are never mixed. */
  readonly userTurnPerplexity: readonly PerplexitySummary[];
  /** One entry per judge; scores of different judges are never mixed. */
  readonly judges: readonly JudgeSummary[];
  readonly alarms: readonly Alarm[];
}

/** The running quality of one job. Adding the same id again changes nothing and gives the same verdict. */
export interface JobQuality {
  add(dialogue: QualityDialogue): QualityVerdict;
  snapshot(): QualitySnapshot;
}
