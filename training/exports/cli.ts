// `npm run export`: conversations in, a folder for a trainer out.
// Exit codes: 0 done, 1 a source, a model or the disk, 2 bad flags, 130 interrupted.
import { EngineError } from "../../runtime/errors.ts";
import { Funnel } from "../clean/funnel.ts";
import { renderFunnel } from "../clean/funnel-table.ts";
import { openModelText } from "../examples/model-text.ts";
import { FlagError } from "../prepare/flags.ts";
import { prepare } from "../prepare/prepare.ts";
import { SourceError } from "../sources/source-error.ts";
import { EXPORT_HELP, type ExportCommand, parseExportArguments } from "./cli-options.ts";
import { ExportError, exportFolder, type Incoming } from "./export-folder.ts";
import type { ExportRecord } from "./format.ts";
import { createMeasures } from "./measures.ts";

/** Beyond so many, rows are only counted. */
const toldRows = 20;

process.exitCode = await main();

async function main(): Promise<number> {
  const abort = new AbortController();
  // For good: npm passes on an interrupt that the terminal has sent already, and the second must not cut the cleaning up.
  process.on("SIGINT", () => abort.abort()).on("SIGTERM", () => abort.abort());
  let told = 0;
  const tell = (line: string) => {
    told += 1;
    if (told <= toldRows) console.error(`export: ${line}`);
    if (told === toldRows) console.error("export: further rows are counted, and not told");
  };
  try {
    const command = parseExportArguments(process.argv.slice(2), ({ file, row }, reason) =>
      tell(`${file}, row ${row}: ${reason}`),
    );
    if (command === null) {
      console.log(EXPORT_HELP);
      return 0;
    }
    await run(command, tell, abort.signal);
    return 0;
  } catch (error) {
    if (abort.signal.aborted) {
      console.error("export: interrupted; nothing was left behind");
      return 130;
    }
    if (error instanceof FlagError) {
      console.error(`export: ${error.message} (--help shows every flag)`);
      return 2;
    }
    const isOurs = error instanceof SourceError || error instanceof ExportError || error instanceof EngineError;
    console.error(isOurs ? `export: ${error.message}` : error);
    return 1;
  }
}

async function run(command: ExportCommand, tell: (line: string) => void, signal: AbortSignal): Promise<void> {
  const { sources, role, system, format, out } = command;
  const model = command.modelFolder === null ? null : await openModelText(command.modelFolder);
  const funnel = new Funnel();
  const measures = command.isMeasured ? createMeasures(model) : null;
  async function* incoming(): AsyncGenerator<Incoming> {
    for await (const conversation of prepare(sources, command.prepare, funnel, signal, model)) {
      if (system === null) yield conversation;
      else yield { ...conversation, system: { ...conversation.system, [role]: system } };
    }
  }
  const record = await exportFolder(
    incoming(),
    {
      ...command,
      model,
      created: new Date(),
      funnel: () => funnel.toJson(),
      measures: () => Promise.resolve(measures?.result() ?? null),
      onExported: (conversation) => measures?.add(conversation),
      onLeftOut: ({ origin, id }, reason) => tell(`${origin.file}, row ${origin.row} (${id}): left out: ${reason}`),
    },
    signal,
  );
  process.stderr.write(renderFunnel(funnel));
  console.error(summary(record));
  console.log(out);
  if (record.counts.conversations === 0) console.error(`export: no conversation was left for ${format.name}`);
}

function summary({ counts, leftOut }: ExportRecord): string {
  const lines = [
    `${counts.train} conversations to train on, ${counts.heldout} held out; ${counts.rows} rows`,
    ...(counts.tokens > 0 ? [`${counts.tokens} tokens, ${counts.trainedTokens} of them trained`] : []),
    ...(counts.truncated > 0 ? [`${counts.truncated} cut at the end, ${counts.cutTurns} trained turns lost`] : []),
    ...(counts.retokenizedTurns > 0 ? [`${counts.retokenizedTurns} turns tokenized anew`] : []),
    ...(counts.contextTurnsInLoss > 0 ? [`${counts.contextTurnsInLoss} context turns are in the loss`] : []),
    ...Object.entries(leftOut).map(([reason, count]) => `${count} left out: ${reason}`),
  ];
  return lines.map((line) => `export: ${line}`).join("\n");
}
