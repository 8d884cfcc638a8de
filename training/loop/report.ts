// Owns what the report of a round holds, and its three files: JSON, Markdown and a page. It is made from the round's record and files
// alone, so that equal rounds have equal reports. It computes no figure.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { parseRecipeEvent } from "../train/events.ts";
import type { FunnelStep } from "./filter.ts";
import type { Verdict } from "./gate.ts";
import type { HeldOutLine, HeldOutReport } from "./held-out-scores.ts";
import type { RoundMeasures } from "./measure-round.ts";
import type { ModelPair, RoundRecordJson, StepResult } from "./record.ts";
import { reportMarkdown } from "./report-markdown.ts";
import type { Run } from "./run.ts";
import { jsonText, writeWhole } from "./whole-file.ts";

interface LossPoint {
  readonly step: number;
  /** Nats a token. */
  readonly loss: number;
  /** Of the kept dialogues that only choose the best weights; null where it was not measured. */
  readonly heldoutLoss: number | null;
}

export interface RoleReport {
  readonly role: ModelRole;
  readonly parent: string;
  /** Null where no model came about. */
  readonly candidate: string | null;
  readonly examples: { readonly train: number; readonly heldout: number; readonly trainedTokens: number };
  readonly losses: readonly LossPoint[];
  /** For each held-out file, and for all together; empty without a candidate. */
  readonly heldout: readonly HeldOutLine[];
  readonly verdict: Verdict;
}

export interface RoundReport {
  readonly format: "realchat-loop-report/1";
  readonly round: number;
  readonly models: ModelPair;
  readonly played: {
    readonly asked: number;
    readonly failed: number;
    readonly dialogues: number;
    readonly kept: number;
  };
  readonly funnel: readonly FunnelStep[];
  readonly measures: RoundMeasures;
  readonly roles: readonly RoleReport[];
}

/** Writes report.json, report.md and report.html into the round's folder, `at` within the run folder. */
export async function writeReport(run: Run, record: RoundRecordJson, at: string): Promise<StepResult> {
  const report = await makeReport(run, record, at);
  // The plots' library takes longer to load than everything else.
  const { reportHtml } = await import("./report-page.ts");
  const texts = {
    "report.json": jsonText(report),
    "report.md": reportMarkdown(report),
    "report.html": reportHtml(report),
  };
  const outputs: Record<string, string> = {};
  for (const [name, text] of Object.entries(texts)) {
    outputs[`${at}/${name}`] = await writeWhole(join(run.folder, at, name), text);
  }
  return { outputs, facts: {} };
}

async function makeReport(run: Run, { round, begins, steps }: RoundRecordJson, at: string): Promise<RoundReport> {
  const factsOf = (step: string): unknown => {
    const found = steps[step];
    if (found === undefined) throw new Error(`round ${round} has no step ${step} yet`);
    return found.facts;
  };
  const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(run.folder, at, name), "utf8"));
  const play = factsOf("play") as Omit<RoundReport["played"], "kept">;
  const filter = factsOf("filter") as Pick<RoundReport["played"], "kept">;
  const { funnel } = (await read("funnel.json")) as { readonly funnel: readonly FunnelStep[] };
  const roles: RoleReport[] = [];
  for (const role of run.options.roles) {
    const { counts } = factsOf(`export-${role}`) as { readonly counts: RoleReport["examples"] };
    const { train, heldout, trainedTokens } = counts;
    const scored = steps[`score-${role}`];
    const report = scored === undefined ? null : ((await read(`heldout-${role}.json`)) as HeldOutReport);
    roles.push({
      role,
      parent: begins[role].id,
      candidate: report?.model.id ?? null,
      examples: { train, heldout, trainedTokens },
      losses: await readLosses(join(run.folder, at, `train-${role}`, "log.jsonl")),
      heldout: report?.lines ?? [],
      verdict: factsOf(`gate-${role}`) as Verdict,
    });
  }
  return {
    format: "realchat-loop-report/1",
    round,
    models: begins,
    played: { asked: play.asked, failed: play.failed, dialogues: play.dialogues, kept: filter.kept },
    funnel,
    measures: (await read("measures.json")) as RoundMeasures,
    roles,
  };
}

/** Steps that a killed training did twice stand in its log twice, with the same losses. */
async function readLosses(path: string): Promise<LossPoint[]> {
  const log = await readFile(path, "utf8").catch(() => "");
  const points = new Map<number, LossPoint>();
  for (const line of log.split("\n")) {
    const event = parseRecipeEvent(line);
    if (event?.event !== "step") continue;
    const { step, loss, heldout_loss: heldoutLoss = null } = event;
    points.set(step, { step, loss, heldoutLoss });
  }
  return [...points.values()].toSorted((a, b) => a.step - b.step);
}
