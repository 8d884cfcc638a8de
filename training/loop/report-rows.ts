// Owns the tables of a round's report: headings and cells, for Markdown and page alike. It draws nothing.
import type { Estimate } from "../evaluate/held-out.ts";
import { cellsOf, shownColumns } from "../stats/columns.ts";
import type { RoundRecordJson } from "./record.ts";
import type { RoleReport, RoundReport } from "./report.ts";

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What each rule of the filter took away. */
export function funnelTable({ funnel, played }: RoundReport): Table {
  const rows = funnel.map(({ rule, in: came, out }) => [rule, String(came - out), String(out)]);
  const failed = played.asked - played.dialogues;
  return {
    columns: ["rule", "dropped", "left"],
    rows: [["played", String(failed), String(played.dialogues)], ...rows],
  };
}

export function measuresTable({ measures }: RoundReport): Table {
  const rows = [cellsOf("played", measures.played.table5), cellsOf("kept", measures.kept.table5)];
  return { columns: ["dialogues of", ...shownColumns.map(({ heading }) => heading)], rows };
}

/** Bits a byte of candidate and parent, and their difference, all with 95 % intervals. */
export function heldoutTable({ heldout }: RoleReport): Table {
  const rows = heldout.map(({ file, comparison }) => [
    file ?? "all",
    String(comparison.dialogues),
    withInterval(comparison.model),
    withInterval(comparison.against),
    withInterval(comparison.difference),
    `${comparison.betterDialogues} of ${comparison.dialogues}`,
  ]);
  return { columns: ["held-out", "dialogues", "candidate", "parent", "gain", "better on"], rows };
}

/** One sentence on what became of a role's training. */
export function verdictText({ candidate, parent, verdict }: RoleReport): string {
  const what = candidate === null ? "No model came about" : `${candidate}, trained from ${parent}`;
  return `${what}: ${verdict.isAccepted ? "accepted" : "not accepted"}.`;
}

export function checkTexts({ verdict }: RoleReport): string[] {
  return verdict.checks.map(
    ({ rule, isPassed, sentence }) => `${isPassed ? "passed" : "not passed"}: ${rule}: ${sentence}.`,
  );
}

function withInterval(estimate: Estimate | null): string {
  if (estimate === null) return "–";
  const { value, low, high } = estimate;
  return `${value.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
}

/** A round in one line: who takes whose place. */
export function endingText({ round, begins, ends, steps }: RoundRecordJson): string {
  const kept = steps["filter"]?.facts["kept"];
  const changes = (["user", "assistant"] as const).flatMap((role) => {
    if (steps[`gate-${role}`] === undefined) return [];
    const next = ends?.[role].id ?? begins[role].id;
    return [next === begins[role].id ? `${next} stays` : `${next} takes the place of ${begins[role].id}`];
  });
  return `round ${round}: ${String(kept)} dialogues kept; ${changes.join("; ")}`;
}
