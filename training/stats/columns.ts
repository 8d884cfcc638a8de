// Owns how Table 5's columns are headed and written, with the paper's decimals. It knows no terminal and no HTML.
import type { Table5Row } from "../measures/quality-types.ts";

interface Column {
  readonly key: Exclude<keyof Table5Row, "name">;
  readonly short: string;
  readonly heading: string;
  readonly decimals: number;
}

/** In the paper's order, after the number of dialogues. */
export const shownColumns: readonly Column[] = [
  { key: "dialogues", short: "dialogues", heading: "Dialogues", decimals: 0 },
  { key: "turns", short: "turns", heading: "Turns", decimals: 2 },
  { key: "sessionTokens", short: "session", heading: "Session tokens", decimals: 2 },
  { key: "utteranceTokens", short: "utterance", heading: "Utterance tokens", decimals: 2 },
  { key: "topicMeanCosine", short: "cosine", heading: "Topic cosine (lower is more diverse)", decimals: 4 },
  { key: "mtld", short: "MTLD", heading: "MTLD", decimals: 2 },
  { key: "humanRatio", short: "human", heading: "Human ratio", decimals: 4 },
  { key: "complexity", short: "complexity", heading: "Complexity", decimals: 4 },
  { key: "relevancy", short: "relevancy", heading: "Relevancy", decimals: 4 },
  { key: "logicality", short: "logicality", heading: "Logicality", decimals: 4 },
];

/** A row as it is shown, after its name; a dash for what was not measured. */
export function cellsOf(name: string, row: Table5Row): string[] {
  return [name].concat(shownColumns.map((column) => cellText(row, column)));
}

function cellText(row: Table5Row, { key, decimals }: Column): string {
  const value = row[key];
  return value === null ? "–" : value.toFixed(decimals);
}

export function percentText(share: number | null): string {
  return share === null ? "–" : `${(share * 100).toFixed(1)} %`;
}

/** Rates in the order in which reports show them. */
export const shownRates = [
  ["exactDuplicates", "exact duplicates"],
  ["nearDuplicates", "near duplicates"],
  ["openerCollisions", "opener collisions"],
  ["shortDialogues", "one or two rounds"],
  ["verbatimRepeats", "questions repeated in their dialogue"],
  ["questionsAskedElsewhere", "questions asked in other dialogues"],
  ["genericQuestions", "questions without a subject"],
  ["assistantPhrases", "questions in an assistant's words"],
] as const;
