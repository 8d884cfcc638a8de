// Owns how a report of statistics looks as text in a terminal. It measures nothing and writes nowhere.
import type { StatsReport, RowReport } from "./stats-report.ts";
import { cellsOf, percentText, shownColumns, shownRates } from "./columns.ts";
import { reportNotes } from "./notes.ts";
import { unknownStopReason } from "./quality-dialogue.ts";

const shownWords = 10;

/** Tables with a line for each source, then what is to be known of each. Text of a data set is on one line and without controls. */
export function terminalReport(report: StatsReport): string {
  const lines = [
    ...table5Lines(report),
    "",
    ...reportNotes(report),
    "",
    ...report.sources.flatMap(({ name, funnelTable }) => [
      `Cleaning of ${plain(name)}`,
      ...funnelTable.trimEnd().split("\n"),
      "",
    ]),
    ...report.rows.flatMap((row) => [...rowLines(row), ""]),
    ...correlationLines(report),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}

function table5Lines({ rows, paper }: StatsReport): string[] {
  const own = rows.map(({ name, quality }) => cellsOf(plain(name), quality.table5));
  const reference = (paper ?? []).map((row) => cellsOf(`(paper) ${row.name}`, row));
  return aligned([["set", ...shownColumns.map(({ short }) => short)], ...own, ...reference]);
}

function rowLines({ name, quality, firstWords, repeatedOpeners }: RowReport): string[] {
  const { tokens, turns, stopReasons, alarms, rates, firstTurnDiversity, mtld, topic } = quality;
  const spreads = [
    ["", "mean", "median", "90 %", "99 %", "most"],
    ...(
      [
        ["turns", turns],
        ["session tokens", tokens.session],
        ["user tokens", tokens.userUtterance],
        ["assistant tokens", tokens.assistantUtterance],
      ] as const
    ).map(([what, { mean, p50, p90, p99, max }]) => [what as string].concat([mean, p50, p90, p99, max].map(rounded))),
  ];
  const rateText = shownRates.map(([key, what]) => `${what} ${percentText(rates[key].rate)}`).join(", ");
  const stops = Object.entries(stopReasons).filter(([reason]) => reason !== unknownStopReason);
  const words = firstWords.top.slice(0, shownWords).map(({ text, count }) => `${plain(text)} ${count}`);
  const openers = repeatedOpeners.top.slice(0, 3).map(({ text, count }) => `"${plain(text)}" ${count}`);
  return [
    plain(name),
    ...aligned(spreads),
    `MTLD of long questions ${rounded(mtld.longQuestions.mean)}, of all in one ${rounded(mtld.corpus)}. ` +
      `Topic diversity ${fixed(topic.diversity)}, without self pairs ${fixed(topic.diversityWithoutSelfPairs)}. ` +
      `First-turn diversity ${fixed(firstTurnDiversity.value)}.`,
    `Rates: ${rateText}.`,
    ...(stops.length === 0
      ? []
      : [`Stop reasons: ${stops.map(([reason, count]) => `${plain(reason)} ${count}`).join(", ")}.`]),
    ...(words.length === 0 ? [] : [`Questions begin with: ${words.join(", ")}.`]),
    ...(openers.length === 0 ? [] : [`Openers that came again: ${openers.join(", ")}.`]),
    ...alarms.map(({ message }) => `ALARM ${message}`),
  ];
}

function correlationLines({ correlations }: StatsReport): string[] {
  if (correlations === null) return [];
  const cells = correlations.map(({ column, score, pearson, spearman }) => [
    column,
    plain(score),
    fixed(pearson.r),
    fixed(spearman.r),
    fixed(pearson.p),
    String(pearson.n),
    pearson.warning ?? "",
  ]);
  return ["Correlations", ...aligned([["column", "score", "Pearson", "Spearman", "p (Pearson)", "n", ""], ...cells])];
}

/** The first column to the left, the others to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || cell.length > 40 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** Nothing that a terminal would obey. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ");
}

const rounded = (value: number | null) =>
  value === null ? "–" : Number.isInteger(value) ? String(value) : value.toFixed(1);
const fixed = (value: number | null) => (value === null ? "–" : value.toFixed(4));
