// Owns how a round's report reads as Markdown. What stands in its tables is report-rows.ts's.
import { textTable } from "../evaluate/text-table.ts";
import type { RoleReport, RoundReport } from "./report.ts";
import { checkTexts, funnelTable, heldoutTable, measuresTable, type Table, verdictText } from "./report-rows.ts";

export function reportMarkdown(report: RoundReport): string {
  const { round, models, played } = report;
  const parts = [
    `# Round ${round}`,
    `${models.user.id} and ${models.assistant.id} played ${played.dialogues} dialogues; ${played.kept} were kept.`,
    ...report.roles.map((role) => `- **${role.role}**: ${verdictText(role)}`),
    "## Funnel",
    tableText(funnelTable(report)),
    "## Measures",
    tableText(measuresTable(report)),
    ...report.roles.flatMap(roleParts),
  ];
  return `${parts.join("\n\n")}\n`;
}

function roleParts(role: RoleReport): string[] {
  const { examples, losses } = role;
  const [first, last] = [losses[0], losses.at(-1)];
  const course =
    first === undefined || last === undefined
      ? []
      : [`Loss ${first.loss.toFixed(4)} at step ${first.step}, ${last.loss.toFixed(4)} at step ${last.step}.`];
  return [
    `## The ${role.role}`,
    `${examples.train} examples to train on, ${examples.heldout} held out, ${examples.trainedTokens} tokens in the loss.`,
    ...course,
    ...(role.heldout.length === 0 ? [] : ["Held-out human dialogues, bits a byte:", tableText(heldoutTable(role))]),
    checkTexts(role)
      .map((text) => `- ${text}`)
      .join("\n"),
  ];
}

const tableText = ({ columns, rows }: Table) => textTable(columns, rows);
