// Owns an export from its command to its folder: model, funnel, measures and conversations put together. It prints nothing.
import { Funnel } from "../clean/funnel.ts";
import { openModelText } from "../examples/model-text.ts";
import { prepare } from "../prepare/prepare.ts";
import type { ExportCommand } from "./cli-options.ts";
import { exportFolder, type Incoming } from "./export-folder.ts";
import type { ExportRecord } from "./format.ts";
import { createMeasures } from "./measures.ts";

export interface ExportRun {
  readonly record: ExportRecord;
  readonly funnel: Funnel;
}

/** Writes the folder and resolves to its record. `tell` hears of what is left out, line by line. */
export async function runExport(
  command: ExportCommand,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<ExportRun> {
  const { sources, role, system } = command;
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
  return { record, funnel };
}

/** Its counts in sentences. */
export function summaryOf({ counts, leftOut }: ExportRecord): string[] {
  return [
    `${counts.train} conversations to train on, ${counts.heldout} held out; ${counts.rows} rows`,
    ...(counts.tokens > 0 ? [`${counts.tokens} tokens, ${counts.trainedTokens} of them trained`] : []),
    ...(counts.truncated > 0 ? [`${counts.truncated} cut at the end, ${counts.cutTurns} trained turns lost`] : []),
    ...(counts.retokenizedTurns > 0 ? [`${counts.retokenizedTurns} turns tokenized anew`] : []),
    ...(counts.contextTurnsInLoss > 0 ? [`${counts.contextTurnsInLoss} context turns are in the loss`] : []),
    ...Object.entries(leftOut).map(([reason, count]) => `${count} left out: ${reason}`),
  ];
}
