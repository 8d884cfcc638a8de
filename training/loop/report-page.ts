// Owns how a round's report looks as a page: which plots and tables show what. It computes nothing and draws nothing itself.
import { dataTable } from "../report/figure.ts";
import { html, type Markup } from "../report/markup.ts";
import { reportPage, type Section } from "../report/page.ts";
import { columnPlot, linePlot, rowPlot } from "../report/plots.ts";
import type { RoleReport, RoundReport } from "./report.ts";
import { checkTexts, funnelTable, heldoutTable, measuresTable, type Table, verdictText } from "./report-rows.ts";

export function reportHtml(report: RoundReport): string {
  const { round, models, played } = report;
  const summary = `${models.user.id} and ${models.assistant.id} played ${played.dialogues} dialogues; ${played.kept} were kept.`;
  const sections: Section[] = [
    { title: "Dialogues", content: [funnelPlot(report), table("Funnel", funnelTable(report))] },
    {
      title: "Measures",
      note: "Table 5 of the paper, over all that were played and over those that were kept.",
      content: [stopPlot(report), table("Measures of the round's dialogues", measuresTable(report))],
    },
    ...report.roles.map(roleSection),
  ];
  return reportPage({ title: `Loop, round ${round}`, summary }, sections);
}

function roleSection(role: RoleReport): Section {
  const { examples } = role;
  const note =
    `${verdictText(role)} ${examples.train} examples to train on, ${examples.heldout} held out, ` +
    `${examples.trainedTokens} tokens in the loss.`;
  const checks = html`<ul>
    ${checkTexts(role).map((text) => html`<li>${text}</li> `)}
  </ul>`;
  return { title: `The ${role.role}`, note, content: [checks, ...lossPlot(role), ...heldoutParts(role)] };
}

function funnelPlot({ funnel, played }: RoundReport): Markup {
  const names = ["played", ...funnel.map(({ rule }) => `after ${rule}`)];
  const values = [played.dialogues, ...funnel.map(({ out }) => out)];
  const text = { title: "What the filter left", valueName: "dialogues", categoryName: "step" };
  return rowPlot(text, names, [{ name: "dialogues", values }]);
}

function stopPlot({ measures }: RoundReport): Markup {
  const stops = Object.entries(measures.played.stopReasons).toSorted(([a], [b]) => a.localeCompare(b));
  const text = { title: "Why dialogues ended", valueName: "dialogues", categoryName: "stop reason" };
  const values = stops.map(([, count]) => count);
  return columnPlot(
    text,
    stops.map(([reason]) => reason),
    [{ name: "dialogues", values }],
  );
}

function lossPlot({ losses }: RoleReport): Markup[] {
  if (losses.length === 0) return [];
  const text = { title: "Loss while training", xName: "step", yName: "nats a token" };
  return [
    linePlot(
      text,
      losses.map(({ step }) => step),
      [
        { name: "training", values: losses.map(({ loss }) => loss) },
        { name: "held-out part", values: losses.map(({ heldoutLoss }) => heldoutLoss) },
      ],
    ),
  ];
}

function heldoutParts(role: RoleReport): Markup[] {
  if (role.heldout.length === 0) return [];
  const text = { title: "Held-out human dialogues", valueName: "bits a byte", categoryName: "file" };
  const plot = columnPlot(
    text,
    role.heldout.map(({ file }) => file ?? "all"),
    [
      { name: "parent", values: role.heldout.map(({ comparison }) => comparison.against?.value ?? null) },
      { name: "candidate", values: role.heldout.map(({ comparison }) => comparison.model?.value ?? null) },
    ],
  );
  return [plot, table("Bits a byte, with 95 % intervals", heldoutTable(role))];
}

const table = (caption: string, { columns, rows }: Table) => dataTable({ caption, columns, rows });
