// Owns the sentences without which the figures would be misread: whose tokens, which encoder, which classifier, which judge.
// Made from a report alone, for every way of showing it.
import { percentText } from "./columns.ts";
import type { RowReport, StatsReport } from "./stats-report.ts";

/** One sentence or two each. */
export function reportNotes(report: StatsReport): string[] {
  const { rows, tokenizer, encoder, paper, judgeFailure } = report;
  return [
    `Tokens are those of ${tokenizer}; special tokens are not counted.`,
    `Topic cosine is that of the encoder ${encoder}. Never compare it across encoders.`,
    classifierNote(rows),
    judgeNote(rows),
    ...rows.flatMap(limitNotes),
    ...(judgeFailure === null ? [] : [`Judging ended early: ${judgeFailure}`]),
    ...(paper === null
      ? []
      : [
          "The paper's rows were measured with LLaMA's tokenizer, text-embedding-ada-002, a classifier and a judge of its own: " +
            "only turns and MTLD compare.",
        ]),
  ];
}

/** What a row had no room for: the figures are then estimates. */
function limitNotes({ name, quality: { dialogues, mtld } }: RowReport): string[] {
  const { kept, uncompared } = dialogues;
  const { corpusWords, wordsBeyondLimit } = mtld;
  const compared = `the first ${numberText(kept - uncompared)} different dialogues alone`;
  const read = `the first ${numberText(corpusWords)} of ${numberText(corpusWords + wordsBeyondLimit)} words`;
  return [
    ...(uncompared === 0 ? [] : [`${name}: near duplicates were looked for among ${compared}; their rate is too low.`]),
    ...(wordsBeyondLimit === 0 ? [] : [`${name}: MTLD of all questions together is an estimate, over ${read}.`]),
  ];
}

const numberText = (value: number) => value.toLocaleString("en-US");

function classifierNote(rows: readonly RowReport[]): string {
  const classifier = rows.find(({ quality }) => quality.humanLikeness.classifier !== null)?.quality.humanLikeness
    .classifier;
  if (classifier === undefined || classifier === null)
    return "Human ratio: no classifier was given (--human-likeness).";
  const { name, auc, ceiling, floor } = classifier;
  return (
    `Human ratio is that of the classifier ${name}: on held-out questions AUC ${auc.toFixed(3)}, real ones taken for human ` +
    `${percentText(ceiling)}, simulated ones ${percentText(floor)}.`
  );
}

function judgeNote(rows: readonly RowReport[]): string {
  const judges = rows.flatMap(({ name, quality }) => quality.judges.map((summary) => ({ name, summary })));
  if (judges.length === 0) return "Complexity, relevancy, logicality: no judge was given (--judge).";
  const [model, hash = ""] = (judges[0]?.summary.judge ?? "").split(" ");
  const counts = judges.map(
    ({ name, summary }) =>
      `${name}: ${summary.scored} scored, ${summary.skipped} too long, ${summary.failed} not readable${agreement(summary)}`,
  );
  return `The judge is ${model ?? ""}, asked with the instruction ${hash.slice(0, 12)}. ${counts.join("; ")}.`;
}

function agreement({ criteria }: RowReport["quality"]["judges"][number]): string {
  const told = Object.entries(criteria).flatMap(([name, { disagreement }]) =>
    disagreement === null ? [] : [`${name} ${disagreement.toFixed(2)}`],
  );
  return told.length === 0 ? "" : `, between two seeds ${told.join(", ")} apart`;
}
