// Owns which tables and plots a report of statistics shows as a page. It measures nothing; escaping and drawing are training/report's.
import { dataTable } from "../report/figure.ts";
import { html, type Markup } from "../report/markup.ts";
import { reportPage, type Section } from "../report/page.ts";
import { columnPlot, histogramPlot, radarPlot, rowPlot } from "../report/plots.ts";
import { cellsOf, percentText, shownColumns, shownRates } from "./columns.ts";
import { reportNotes } from "./notes.ts";
import { unknownStopReason } from "./quality-dialogue.ts";
import type { Histograms, RowReport, StatsReport } from "./stats-report.ts";

/** A whole document, for a file of its own. */
export function htmlReport(report: StatsReport): string {
  const { rows } = report;
  const dialogues = rows.reduce((sum, { quality }) => sum + quality.dialogues.kept, 0);
  const summary = `${dialogues.toLocaleString("en")} dialogues of ${rows.map(({ name }) => name).join(", ")}.`;
  return reportPage({ title: "Dialogue statistics", summary }, [
    table5Section(report),
    lengthSection(rows),
    ...judgeSection(rows),
    habitSection(rows),
    ...stopSection(rows),
    funnelSection(report),
    ...correlationSection(report),
  ]);
}

function table5Section(report: StatsReport): Section {
  const { rows, paper } = report;
  const own = rows.map(({ name, quality }) => cellsOf(name, quality.table5));
  const reference = (paper ?? []).map((row) => cellsOf(`${row.name} (paper)`, row));
  const table = {
    caption: "Means over dialogues, utterances or questions; a dash: not measured",
    columns: ["Set", ...shownColumns.map(({ heading }) => heading)],
    rows: [...own, ...reference],
  };
  const notes = reportNotes(report).map((note) => html`<li>${note}</li>`);
  const alarms = rows.flatMap(({ name, quality }) =>
    quality.alarms.map(({ message }) => html`<li>${name}: ${message}</li>`),
  );
  return {
    title: "Table 5",
    content: [
      ...(alarms.length === 0
        ? []
        : [
            html`<ul class="alarms" aria-label="Alarms">
              ${alarms}
            </ul>`,
          ]),
      dataTable(table),
      html`<ul class="notes">
        ${notes}
      </ul>`,
    ],
  };
}

function lengthSection(rows: readonly RowReport[]): Section {
  const plot = (title: string, unit: string, key: keyof Histograms, note: string): Markup =>
    histogramPlot(
      { title, unit, note },
      rows.map(({ name, histograms }) => ({ name, bins: histograms[key] })),
    );
  return {
    title: "Lengths",
    note: "Shares of each set, so that sets of different sizes compare. Duplicates are left out.",
    content: [
      plot("Turns of a dialogue", "turns", "rounds", "Two utterances are one turn."),
      plot("Tokens of a session", "tokens", "sessionTokens", "All utterances joined and tokenized once."),
      plot("Tokens of a question", "tokens", "userTokens", "Utterances of the user."),
      plot("Tokens of an answer", "tokens", "assistantTokens", "Utterances of the assistant."),
      spreadTable(rows),
    ],
  };
}

function spreadTable(rows: readonly RowReport[]): Markup {
  const lines = rows.flatMap(({ name, quality: { turns, tokens } }) =>
    (
      [
        ["turns", turns],
        ["session tokens", tokens.session],
        ["session tokens, as the sum of utterances", tokens.sessionAsSum],
        ["user tokens", tokens.userUtterance],
        ["assistant tokens", tokens.assistantUtterance],
      ] as const
    ).map(([what, { mean, p10, p50, p90, p99, max }]) => [`${name}: ${what}`, mean, p10, p50, p90, p99, max]),
  );
  const columns = ["", "Mean", "10 %", "Median", "90 %", "99 %", "Most"];
  return dataTable({ caption: "Means and percentiles", columns, rows: lines });
}

/** A radar over the marks of the sets that were judged. */
function judgeSection(rows: readonly RowReport[]): Section[] {
  const criteria = ["complexity", "relevancy", "logicality"] as const;
  const series = rows.flatMap(({ name, quality: { table5 } }) => {
    const values = criteria.flatMap((criterion) => table5[criterion] ?? []);
    return values.length === criteria.length ? [{ name, values }] : [];
  });
  if (series.length === 0) return [];
  return [{ title: "Judge", content: [radarPlot({ title: "Marks for the questions", max: 10 }, criteria, series)] }];
}

function habitSection(rows: readonly RowReport[]): Section {
  const names = shownRates.map(([, what]) => what);
  const rates = columnsOf(rows, (row) => shownRates.map(([key]) => percentOf(row.quality.rates[key].rate)));
  const words = rows.map(({ name, firstWords }) =>
    rowPlot(
      {
        title: `First words of questions: ${name}`,
        note: `${firstWords.of.toLocaleString("en")} questions, ${firstWords.distinct.toLocaleString("en")} beginnings`,
        valueName: "questions",
        categoryName: "first words",
      },
      firstWords.top.map(({ text }) => text),
      [{ name, values: firstWords.top.map(({ count }) => count) }],
    ),
  );
  const openers = rows.flatMap(({ name, repeatedOpeners: { top } }) =>
    top.length === 0
      ? []
      : [
          dataTable({
            caption: `Openers that came more than once: ${name}`,
            columns: ["Opener", "Dialogues"],
            rows: top.map(({ text, count }) => [text, count]),
          }),
        ],
  );
  return {
    title: "Questions and repeats",
    content: [
      rowPlot({ title: "Repeats and habits", valueName: "share in %", categoryName: "rate" }, names, rates),
      measuresTable(rows),
      ...words,
      ...openers,
    ],
  };
}

function measuresTable(rows: readonly RowReport[]): Markup {
  const line = (what: string, of: (row: RowReport) => string | number | null) => {
    const cells: (string | number | null)[] = [what];
    for (const row of rows) cells.push(of(row));
    return cells;
  };
  return dataTable({
    caption: "Diversity and likeness",
    columns: ["", ...rows.map(({ name }) => name)],
    rows: [
      line("topic diversity (1 − mean cosine)", ({ quality }) => quality.topic.diversity),
      line("topic diversity without self pairs", ({ quality }) => quality.topic.diversityWithoutSelfPairs),
      line("cosine of consecutive questions", ({ quality }) => quality.topic.consecutiveCosine.mean),
      line("first-turn diversity", ({ quality }) => quality.firstTurnDiversity.value),
      line("MTLD of questions of 50 words and more", ({ quality }) => quality.mtld.longQuestions.mean),
      line("MTLD of all questions in one", ({ quality }) => quality.mtld.corpus),
      line("questions taken for a person's", ({ quality }) => percentText(quality.humanLikeness.ratio)),
    ],
  });
}

/** For sources that say how their dialogues ended. */
function stopSection(rows: readonly RowReport[]): Section[] {
  const told = rows.filter(({ quality }) =>
    Object.keys(quality.stopReasons).some((reason) => reason !== unknownStopReason),
  );
  if (told.length === 0) return [];
  const reasons = keysOf(told.map(({ quality }) => quality.stopReasons));
  const causes = keysOf(told.map(({ quality }) => quality.turnCauses));
  const plots = [
    columnPlot(
      { title: "How dialogues ended", valueName: "dialogues", categoryName: "stop reason" },
      reasons,
      columnsOf(told, ({ quality }) => reasons.map((reason) => quality.stopReasons[reason] ?? 0)),
    ),
    ...(causes.length === 0
      ? []
      : [
          columnPlot(
            { title: "How turns ended", valueName: "turns", categoryName: "cause" },
            causes,
            columnsOf(told, ({ quality }) => causes.map((cause) => quality.turnCauses[cause] ?? 0)),
          ),
        ]),
  ];
  return [{ title: "Ends", content: plots }];
}

function funnelSection({ sources }: StatsReport): Section {
  const content = sources.map(
    ({ name, funnelTable }) =>
      html`<figure class="wide">
        <figcaption><strong>Cleaning of ${name}</strong></figcaption>
        <pre tabindex="0">${funnelTable}</pre>
      </figure>`,
  );
  return { title: "Cleaning", note: "What every step left, in the order of the steps.", content };
}

function correlationSection({ correlations }: StatsReport): Section[] {
  if (correlations === null) return [];
  const rows = correlations.map(({ column, score, pearson, spearman }) => [
    column,
    score,
    pearson.r,
    spearman.r,
    pearson.p,
    pearson.n,
    pearson.warning,
  ]);
  const columns = ["Column", "Score", "Pearson", "Spearman", "p (Pearson)", "n", "Warning"];
  return [{ title: "Correlations", content: [dataTable({ caption: "Table 5 against scores", columns, rows })] }];
}

function columnsOf(rows: readonly RowReport[], of: (row: RowReport) => (number | null)[]) {
  return rows.map((row) => ({ name: row.name, values: of(row) }));
}

function keysOf(counts: readonly Readonly<Record<string, number>>[]): string[] {
  return [...new Set(counts.flatMap((of) => Object.keys(of)))].toSorted();
}

const percentOf = (share: number | null) => (share === null ? null : Number((share * 100).toFixed(2)));
