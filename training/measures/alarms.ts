// Owns when a job's figures look like one of the known failures of self-play: limits, where they come from, what to say.
// A pure function of the figures. It stops nothing.
import type { QualitySnapshot, Rate } from "./quality-types.ts";

type AlarmCode =
  | "short_dialogues"
  | "duplicates"
  | "opener_collisions"
  | "verbatim_repeats"
  | "questions_asked_elsewhere"
  | "generic_questions"
  | "assistant_phrases"
  | "guardrail_rejects"
  | "human_likeness_at_floor";

export interface Alarm {
  readonly code: AlarmCode;
  readonly value: number;
  readonly limit: number;
  readonly message: string;
}

/** Fewer dialogues than this raise no alarm. */
export const ALARM_MIN_DIALOGUES = 20;

/** A rate above its limit raises the alarm. Limits without a source in their comment are this project's own choice. */
export const alarmLimits = {
  // Of real ShareGPT sessions 81.73 % have one to ten rounds, and of these 53.91 % have one or two.
  short_dialogues: 0.44,
  // The published free-mode set of 10,000 carries 3,146 duplicates in its file's name; a tenth of that is worth a look.
  duplicates: 0.03,
  // Real dialogues: 3 to 9 %.
  opener_collisions: 0.1,
  // Real users repeat themselves in 0.1 to 2.4 % of their questions (Self-dialogue, ShareGPT).
  verbatim_repeats: 0.05,
  // Real questions: 3 to 5 % in open talk, 17 to 37 % in booking and ordering. Grows with the number of dialogues.
  questions_asked_elsewhere: 0.3,
  // Real questions: 2 to 5 % in open talk (OpenAssistant, ShareGPT), up to 23 % in ordering and booking (Taskmaster).
  generic_questions: 0.3,
  // Real users: 0 to 0.2 %; assistants say such in 1 to 8 % of their turns.
  assistant_phrases: 0.02,
  guardrail_rejects: 0.3,
} as const;

type Figures = Pick<QualitySnapshot, "dialogues" | "rates" | "humanLikeness">;

/** Every alarm that the figures raise, in the order of the codes. */
export function alarmsOf({ dialogues, rates, humanLikeness }: Figures): Alarm[] {
  if (dialogues.seen < ALARM_MIN_DIALOGUES) return [];
  const alarms: Alarm[] = [];
  const raise = (code: keyof typeof alarmLimits, { count, of, rate }: Rate, what: string): void => {
    const limit = alarmLimits[code];
    if (rate === null || rate <= limit) return;
    const message = `${what}: ${count} of ${of} (${percent(rate)}, limit ${percent(limit)}).`;
    alarms.push({ code, value: rate, limit, message });
  };
  const duplicates = rates.exactDuplicates.count + rates.nearDuplicates.count;
  raise("short_dialogues", rates.shortDialogues, "Dialogues end after one or two rounds");
  raise(
    "duplicates",
    { count: duplicates, of: dialogues.seen, rate: duplicates / dialogues.seen },
    "Dialogues repeat earlier ones",
  );
  raise("opener_collisions", rates.openerCollisions, "Dialogues open with a question asked before");
  raise("verbatim_repeats", rates.verbatimRepeats, "Questions repeat an earlier one of their dialogue");
  raise("questions_asked_elsewhere", rates.questionsAskedElsewhere, "Questions are the same in several dialogues");
  raise("generic_questions", rates.genericQuestions, "Questions name no subject");
  raise("assistant_phrases", rates.assistantPhrases, "Users speak as assistants do");
  raise("guardrail_rejects", rates.guardrailRejects, "Drafts are refused by the guard-rails");
  const { ratio, classifier } = humanLikeness;
  if (ratio !== null && classifier !== null && ratio <= classifier.floor) {
    const message =
      `No more questions pass for a person's (${percent(ratio)}) than of the simulators the classifier knows ` +
      `(${percent(classifier.floor)}).`;
    alarms.push({ code: "human_likeness_at_floor", value: ratio, limit: classifier.floor, message });
  }
  return alarms;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
