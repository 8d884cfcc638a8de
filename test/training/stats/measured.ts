// Measures the fixtures of statistics as the program does, with the tokenizer that their golden figures were counted with.
import { fileURLToPath } from "node:url";
import { renderFunnel } from "../../../training/clean/funnel-table.ts";
import { Funnel } from "../../../training/clean/funnel.ts";
import { measure, type MeasureOptions } from "../../../training/stats/measure.ts";
import { prepare } from "../../../training/prepare/prepare.ts";
import { readStatsCommand } from "../../../training/stats/flags.ts";
import { type MeasuredSource, namesOf, type ReportParts, statsReport } from "../../../training/stats/stats-report.ts";
import { tokenizerOfFolder } from "../../../training/stats/tokenizer.ts";

export const never = new AbortController().signal;
export const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/stats/${name}`, import.meta.url));
export const tokenizerFolder = fileURLToPath(new URL("../../fixtures/tokenizers/gpt2", import.meta.url));

export async function measuredSources(
  files: readonly string[],
  options: Partial<MeasureOptions> = {},
): Promise<MeasuredSource[]> {
  const command = readStatsCommand([...files, "--clean", "none", "--tokenizer", tokenizerFolder], (_, reason) => {
    throw new Error(reason);
  });
  if (command === null) throw new Error("Help was not asked for.");
  const tokenizer = await tokenizerOfFolder(tokenizerFolder, never);
  const names = namesOf(files);
  const sources: MeasuredSource[] = [];
  for (const [index, source] of files.entries()) {
    const funnel = new Funnel();
    const conversations = prepare([source], command.prepare, funnel, never);
    const groups = await measure(conversations, { tokenizer, judgeSample: 0, groupOf: null, ...options });
    const name = names[index] ?? source;
    sources.push({ name, source, funnel: funnel.toJson(), funnelTable: renderFunnel(funnel), groups });
  }
  return sources;
}

export const reportOf = (sources: readonly MeasuredSource[], parts: Partial<ReportParts> = {}) =>
  statsReport({ sources, withPaper: false, scores: null, judgements: [], judgeFailure: null, ...parts });
