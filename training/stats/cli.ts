// `npm run stats`: measures sources one after the other, has a sample judged on request, and writes table, JSON and page.
// Owns the process: flags, signals, exit codes, where output goes. Codes: 0 done, 1 failed, 2 bad flags.
import { readFile, writeFile } from "node:fs/promises";
import { EngineError } from "../../runtime/errors.ts";
import { renderFunnel } from "../clean/funnel-table.ts";
import { Funnel } from "../clean/funnel.ts";
import { type HumanLikenessModel, readHumanLikeness } from "../measures/human-likeness.ts";
import { FlagError } from "../prepare/flags.ts";
import { prepare } from "../prepare/prepare.ts";
import { readStatsCommand, STATS_HELP, type StatsCommand } from "./flags.ts";
import { measure, type MeasureOptions, statsLimits } from "./measure.ts";
import { provenanceAt } from "./quality-dialogue.ts";
import { judgeDialogues, type RecordedJudgement } from "./sampled-judging.ts";
import { readScores, type Scores } from "./scores.ts";
import { type MeasuredSource, namesOf, type StatsReport, statsReport } from "./stats-report.ts";
import { terminalReport } from "./terminal-report.ts";
import { tokenizerOfFolder, tokenizerOfModel } from "./tokenizer.ts";

const interruptedCode = 130;
/** Rows that cannot be read are told one by one up to here, and counted in any case. */
const toldBrokenRows = 10;

async function main(argv: readonly string[]): Promise<number> {
  let broken = 0;
  const command = readStatsCommand(argv, ({ file, row }, reason) => {
    broken += 1;
    if (broken <= toldBrokenRows) console.error(`${file}, row ${row}: ${reason}`);
  });
  if (command === null) {
    console.log(STATS_HELP);
    return 0;
  }
  const abort = new AbortController();
  // Once: a second Ctrl-C ends the process the ordinary way.
  process.once("SIGINT", () => abort.abort());
  process.once("SIGTERM", () => abort.abort());
  try {
    const report = await makeReport(command, abort.signal);
    if (broken > toldBrokenRows) console.error(`… and ${broken - toldBrokenRows} more rows that could not be read.`);
    await writeReport(command, report);
    return report.judgeFailure === null ? 0 : 1;
  } catch (error) {
    if (abort.signal.aborted) return interruptedCode;
    throw error;
  }
}

async function makeReport(command: StatsCommand, signal: AbortSignal): Promise<StatsReport> {
  const { tokenizer, by, judge } = command;
  // Whatever can be wrong with small files is told before a large one is read.
  const options: MeasureOptions = {
    tokenizer: await (tokenizer.kind === "model" ? tokenizerOfModel : tokenizerOfFolder)(tokenizer.folder, signal),
    humanLikeness: await classifierOf(command),
    limits: statsLimits,
    judgeSample: judge?.sample ?? 0,
    groupOf: by === null ? null : (conversation) => provenanceAt(conversation, by) ?? "(none)",
  };
  const scores = await scoresOf(command);
  const sources: MeasuredSource[] = [];
  const names = namesOf(command.sources);
  for (const [index, source] of command.sources.entries()) {
    const funnel = new Funnel();
    const groups = await measure(prepare([source], command.prepare, funnel, signal), options);
    const [funnelJson, funnelTable] = [funnel.toJson(), renderFunnel(funnel)];
    sources.push({ name: names[index] ?? source, source, funnel: funnelJson, funnelTable, groups });
  }
  const judgements: RecordedJudgement[] = [];
  const judgeFailure = judge === null ? null : await judgeAll(judge, sources, judgements, signal);
  return statsReport({ sources, withPaper: command.withPaper, scores, judgements, judgeFailure });
}

/** What stopped the judging, if anything did: figures that took an hour are not thrown away for it. */
async function judgeAll(
  flags: NonNullable<StatsCommand["judge"]>,
  sources: readonly MeasuredSource[],
  judgements: RecordedJudgement[],
  signal: AbortSignal,
): Promise<string | null> {
  const { openEndpoint, readJudgeKey } = await import("../judge/endpoint.ts");
  const model = openEndpoint({ baseUrl: flags.url, model: flags.model, apiKey: readJudgeKey(process.env) });
  const { rubric, parallel } = flags;
  const seeds = Array.from({ length: flags.seeds }, (_, seed) => seed);
  const options = { setup: { model, retries: 2 }, rubric, seeds, parallel };
  try {
    for (const { quality, sample } of sources.flatMap(({ groups }) => groups)) {
      const take = (judgement: RecordedJudgement): void => {
        judgements.push(judgement);
        quality.addJudgement(judgement);
      };
      await judgeDialogues(sample.dialogues, options, take, signal);
    }
    return null;
  } catch (error) {
    if (signal.aborted || !(error instanceof EngineError)) throw error;
    return error.message;
  }
}

async function classifierOf({ humanLikenessFile }: StatsCommand): Promise<HumanLikenessModel | null> {
  if (humanLikenessFile === null) return null;
  const content = await readFile(humanLikenessFile, "utf8");
  try {
    return readHumanLikeness(JSON.parse(content));
  } catch (cause) {
    throw new Error(`${humanLikenessFile}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function scoresOf({ scoresFile }: StatsCommand): Promise<Scores | null> {
  return scoresFile === null ? null : readScores(scoresFile, await readFile(scoresFile, "utf8"));
}

async function writeReport({ jsonFile, htmlFile }: StatsCommand, report: StatsReport): Promise<void> {
  const json = `${JSON.stringify(report, null, 2)}\n`;
  process.stdout.write(jsonFile === "-" ? json : terminalReport(report));
  if (jsonFile !== null && jsonFile !== "-") await writeFile(jsonFile, json);
  if (htmlFile === null) return;
  // The plots' library takes longer to load than a small source to measure.
  const { htmlReport } = await import("./html-report.ts");
  await writeFile(htmlFile, htmlReport(report));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // What a person can put right is one sentence; anything else is a fault of ours and shows where.
  const isOurs = !(error instanceof Error) || error instanceof TypeError || error instanceof RangeError;
  console.error(isOurs ? error : `stats: ${error.message}`);
  process.exitCode = error instanceof FlagError ? 2 : 1;
}
