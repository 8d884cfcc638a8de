// Owns what a report of statistics holds: its JSON, which terminal and page are made from. docs/measures.md describes every field.
// It measures nothing; what is named here stays under its name as long as `format` does.
import type { QualitySnapshot } from "../measures/quality-types.ts";
import type { Bin } from "../report/plots.ts";
import { histogramsOver } from "./histograms.ts";
import type { Measured } from "./measure.ts";
import { type NamedRow, paperRows } from "./paper-rows.ts";
import { type CorrelationLine, correlateRows, type Scores } from "./scores.ts";
import type { RecordedJudgement } from "./sampled-judging.ts";
import type { TopTexts } from "./top-counts.ts";

export interface StatsReport {
  readonly format: "realchat-stats/1";
  readonly tokenizer: string;
  readonly encoder: string;
  readonly sources: readonly SourceReport[];
  /** A line for each source, or for each of its groups. */
  readonly rows: readonly RowReport[];
  /** The paper's rows; null unless asked for. */
  readonly paper: readonly NamedRow[] | null;
  /** null unless scores were given. */
  readonly correlations: readonly CorrelationLine[] | null;
  readonly judgements: readonly RecordedJudgement[];
  /** Why judging came to an early end; null when it did not. */
  readonly judgeFailure: string | null;
}

interface SourceReport {
  readonly name: string;
  readonly source: string;
  /** As the cleaning counts it. */
  readonly funnel: Readonly<Record<string, unknown>>;
  /** The same as a table of text. */
  readonly funnelTable: string;
}

export interface RowReport {
  readonly name: string;
  readonly source: string;
  /** null for a source that is not divided. */
  readonly group: string | null;
  readonly quality: StatsQuality;
  readonly histograms: Histograms;
  readonly firstWords: TopTexts;
  /** Openers that came at least twice. */
  readonly repeatedOpeners: TopTexts;
}

/** Figures that only a running job has are not among them. */
type StatsQuality = Omit<QualitySnapshot, "rates" | "userTurnPerplexity" | "intentOverlap"> & {
  readonly rates: Omit<QualitySnapshot["rates"], "guardrailRejects">;
};

export interface Histograms {
  readonly rounds: readonly Bin[];
  readonly sessionTokens: readonly Bin[];
  readonly userTokens: readonly Bin[];
  readonly assistantTokens: readonly Bin[];
}

const topSize = 20;

export interface MeasuredSource {
  readonly name: string;
  readonly source: string;
  readonly funnel: Readonly<Record<string, unknown>>;
  readonly funnelTable: string;
  readonly groups: readonly Measured[];
}

export interface ReportParts {
  readonly sources: readonly MeasuredSource[];
  readonly withPaper: boolean;
  readonly scores: Scores | null;
  readonly judgements: readonly RecordedJudgement[];
  readonly judgeFailure: string | null;
}

/** Throws an Error for scores that name no row. */
export function statsReport(parts: ReportParts): StatsReport {
  const { sources, withPaper, scores, judgements, judgeFailure } = parts;
  const measured = sources.flatMap((source) => source.groups.map((group) => ({ source, group })));
  const histograms = histogramsOfAll(measured.map(({ group }) => group));
  const rows = measured.map(({ source, group }, index) => rowOf(source, group, histograms[index] ?? noHistograms));
  const lines = rows.map(({ name, quality }) => Object.assign({ name }, quality.table5));
  return {
    format: "realchat-stats/1",
    tokenizer: rows[0]?.quality.tokens.tokenizer ?? "",
    encoder: rows[0]?.quality.topic.encoder ?? "",
    sources: sources.map(({ name, source, funnel, funnelTable }) => ({ name, source, funnel, funnelTable })),
    rows,
    paper: withPaper ? paperRows : null,
    correlations: scores === null ? null : correlateRows(lines, scores),
    judgements,
    judgeFailure,
  };
}

const noHistograms: Histograms = { rounds: [], sessionTokens: [], userTokens: [], assistantTokens: [] };

/** Both roles share their bins, so that questions and answers compare. */
function histogramsOfAll(measured: readonly Measured[]): Histograms[] {
  const lengths = measured.map(({ quality }) => quality.lengths);
  const rounds = histogramsOver(lengths.map((of) => of.rounds));
  const sessions = histogramsOver(lengths.map((of) => of.sessionTokens));
  const utterances = histogramsOver(lengths.flatMap((of) => [of.userTokens, of.assistantTokens]));
  return measured.map((_, index) => ({
    rounds: rounds[index] ?? [],
    sessionTokens: sessions[index] ?? [],
    userTokens: utterances[2 * index] ?? [],
    assistantTokens: utterances[2 * index + 1] ?? [],
  }));
}

function rowOf({ name, source }: MeasuredSource, measured: Measured, histograms: Histograms): RowReport {
  const { group, quality, firstWords, openers } = measured;
  const { userTurnPerplexity: _perplexity, intentOverlap: _overlap, rates, ...snapshot } = quality.snapshot();
  const { guardrailRejects: _rejects, ...counted } = rates;
  return {
    name: group === null ? name : `${name}: ${group}`,
    source,
    group,
    quality: { ...snapshot, rates: counted },
    histograms,
    firstWords: firstWords.top(topSize),
    repeatedOpeners: openers.top(topSize, 2),
  };
}

/** Short names for the table: files without folder and endings where that tells them apart, else as they were given. */
export function namesOf(sources: readonly string[]): string[] {
  const short = sources.map((source) =>
    source
      .replace(/\/+$/, "")
      .replace(/^.*\//, "")
      .replace(/(?:\.(?:json|jsonl|gz|parquet))+$/, ""),
  );
  return sources.map((source, index) => {
    const name = short[index] ?? "";
    return name !== "" && short.filter((other) => other === name).length === 1 ? name : source;
  });
}
