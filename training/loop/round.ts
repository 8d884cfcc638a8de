// Owns the order of a round: play, filter, measure, then for each role export, train, score, judge, accept; at the end the report.
// Every step goes through the record, so that one that is done is not done again. What steps do is theirs.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { acceptModel } from "./accept.ts";
import { linesOf, toPlayed } from "./dialogue-line.ts";
import { filterDialogues } from "./filter.ts";
import { exportRole, tidyTraining, trainRole } from "./fine-tune.ts";
import { type GateFigures, judgeCandidate, type Verdict } from "./gate.ts";
import { openGateway, type Surroundings } from "./gateway.ts";
import { type HeldOutReport, scoreRole } from "./held-out-scores.ts";
import { type JudgedAnswers, judgeAnswers } from "./judge-answers.ts";
import { measureRound } from "./measure-round.ts";
import { playRound } from "./play.ts";
import {
  type Hashes,
  type ModelPair,
  RoundRecord,
  type RoundRecordJson,
  type StepRecord,
  type StepResult,
} from "./record.ts";
import { writeReport } from "./report.ts";
import { acceptedId, type LoopModel, type LoopModels, type Run, SETTINGS_FILE } from "./run.ts";
import { loadModel } from "./selfplay-job.ts";
import { jsonText, writeWhole } from "./whole-file.ts";

/** What is told while a round runs. */
export interface RoundHooks extends Surroundings {
  /** A step begins, or a sentence on one that has ended. */
  readonly onNote: (sentence: string) => void;
  /** The latest of many: dialogues that are played, steps that are trained. */
  readonly onProgress: (text: string) => void;
  /** A step begins. */
  readonly onStepBegin?: (round: number, step: string) => void;
  /** The self-play job of the round, once it is there. */
  readonly onSelfplayJob?: (id: string) => void;
  /** A round is over, or was when the loop went on. */
  readonly onRoundEnd?: (record: RoundRecordJson) => void;
  /** For tests: between the end of a step and its place in the record, and behind that. */
  readonly onStep?: (name: string, moment: "made" | "recorded") => void;
}

/** The name of a round's folder within the run folder. */
export const roundFolder = (round: number) => `rounds/${round}`;

/** Plays a round, or what is left of it. Resolves to the models of the next one. */
export async function runRound(
  run: Run,
  round: number,
  models: LoopModels,
  hooks: RoundHooks,
  signal: AbortSignal,
): Promise<LoopModels> {
  const at = roundFolder(round);
  const record = await RoundRecord.open(run.folder, at, round, pairOf(models));
  const settings = { [SETTINGS_FILE]: run.settingsSha256 };
  const step = async (name: string, inputs: Hashes, make: () => Promise<StepResult>): Promise<StepRecord> => {
    signal.throwIfAborted();
    const isNew = record.json.steps[name] === undefined;
    const done = await record.step(name, { ...settings, ...inputs }, async () => {
      hooks.onNote(`round ${round}: ${name}`);
      hooks.onStepBegin?.(round, name);
      const made = await make();
      hooks.onStep?.(name, "made");
      return made;
    });
    if (isNew) hooks.onStep?.(name, "recorded");
    return done;
  };

  const files = {
    dialogues: `${at}/dialogues.jsonl`,
    kept: `${at}/kept.jsonl`,
    funnel: `${at}/funnel.json`,
    measures: `${at}/measures.json`,
  };
  const onProgress = (done: number, total: number) => hooks.onProgress(`${done} of ${total} dialogues`);
  const played = await step("play", { ...modelHash(models.user), ...modelHash(models.assistant) }, () =>
    playRound(run, round, models, files.dialogues, { ...hooks, onProgress }, signal),
  );
  const filtered = await step("filter", played.outputs, () => filterRound(run, files));
  const keptHash = only(filtered.outputs, files.kept);
  await step("measure", { ...played.outputs, ...keptHash, ...modelHash(models.assistant) }, () =>
    measureRound(run, models.assistant, { played: files.dialogues, kept: files.kept, to: files.measures }, signal),
  );

  const accepted: Partial<Record<ModelRole, LoopModel>> = {};
  for (const role of run.options.roles) accepted[role] = await trainAndJudge(role);
  // Killed behind it, a report stands among the steps already: it is not made from itself.
  const before = Object.entries(record.json.steps).flatMap(([name, { outputs }]) =>
    name === "report" ? [] : [outputs],
  );
  await step("report", merged(before, `${at}/`), () => writeReport(run, record.json, at));
  const next = { ...models, ...accepted };
  await record.end(pairOf(next));
  return next;

  /** The model that plays this role next. */
  async function trainAndJudge(role: ModelRole): Promise<LoopModel> {
    const parent = models[role];
    const data = `${at}/data-${role}`;
    const exported = await step(`export-${role}`, { ...keptHash, ...modelHash(parent) }, () =>
      exportRole(run, role, parent, files.kept, data, signal),
    );
    const places = { data, runFolder: `${at}/train-${role}`, candidates: `${at}/candidates` };
    const trained = await step(`train-${role}`, { ...exported.outputs, ...modelHash(parent) }, () => {
      if (!hasExamples(exported)) return Promise.resolve(failed("no dialogue was left to train on"));
      return trainRole(run, round, role, parent, places, trainHooks(hooks), signal);
    });
    await tidyTraining(join(run.folder, places.runFolder));
    const id = acceptedId(run, role, round);
    const hash = trained.outputs[`model ${id}`];
    if (hash === undefined) {
      await step(`gate-${role}`, {}, () => Promise.resolve(judged({ failure: failureOf(trained), comparison: null })));
      return parent;
    }
    const candidate = await findCandidate(places.candidates, id, hash);
    const report = `${at}/heldout-${role}.json`;
    const scored = await step(`score-${role}`, { ...run.heldout, ...modelHash(candidate), ...modelHash(parent) }, () =>
      scoreRole(run, role, candidate, parent, report, signal),
    );
    const judgedPath = `${at}/judged-${role}.json`;
    const asked =
      role === "assistant" && run.options.judge !== null
        ? await step(`judge-${role}`, { ...run.heldout, ...modelHash(candidate), ...modelHash(parent) }, () =>
            judgeAnswers(run, candidate, parent, { path: judgedPath, work: `${at}/judge-${role}` }, hooks, signal),
          )
        : null;
    const found = { ...only(scored.outputs, report), ...asked?.outputs, ...modelHash(candidate) };
    const gate = await step(`gate-${role}`, found, async () => {
      const { lines } = (await readJson(run, report)) as HeldOutReport;
      const word = asked === null ? null : ((await readJson(run, judgedPath)) as JudgedAnswers);
      return judged({ failure: null, comparison: lines.at(-1)?.comparison ?? null, judged: word });
    });
    if (!(gate.facts as unknown as Verdict).isAccepted) return parent;
    await step(`accept-${role}`, modelHash(candidate), async () => {
      await acceptModel(candidate, run.modelsFolder);
      await serveAccepted(run, candidate.id, hooks, signal);
      return { outputs: { [`served ${candidate.id}`]: candidate.hash }, facts: {} };
    });
    return { ...candidate, folder: servedFolder(candidate.id) };
  }

  function judged(figures: GateFigures): StepResult {
    const verdict = judgeCandidate(figures, run.options.gate);
    return { outputs: {}, facts: { ...verdict } };
  }

  /** Once accepted it lies in the models folder. */
  async function findCandidate(candidates: string, id: string, hash: string): Promise<LoopModel> {
    const waiting = join(run.folder, candidates, modelFolderName(id));
    const isWaiting = await readFile(join(waiting, "manifest.json")).then(
      () => true,
      () => false,
    );
    return { id, hash, folder: isWaiting ? waiting : servedFolder(id) };
  }

  function servedFolder(id: string): string {
    return join(run.modelsFolder, modelFolderName(id));
  }
}

/** A running gateway is told; one of the loop's own is started with the models of its round. */
async function serveAccepted(run: Run, id: string, hooks: RoundHooks, signal: AbortSignal): Promise<void> {
  if (run.options.url === null) return;
  // No models are started for it: the address is one that was given.
  const gateway = await openGateway(run, run.start, hooks, signal);
  await loadModel(gateway, id, signal);
}

async function filterRound(
  run: Run,
  files: { readonly dialogues: string; readonly kept: string; readonly funnel: string },
): Promise<StepResult> {
  const lines = linesOf(await readFile(join(run.folder, files.dialogues), "utf8"));
  const dialogues = lines.map((line) => toPlayed(line));
  const { keptIds, funnel, dropped } = filterDialogues(dialogues, run.options.filter);
  const isKept = new Set(keptIds);
  const kept = lines.filter((_, index) => isKept.has(dialogues[index]?.id ?? ""));
  const outputs = {
    [files.kept]: await writeWhole(join(run.folder, files.kept), kept.map((line) => `${line}\n`).join("")),
    [files.funnel]: await writeWhole(join(run.folder, files.funnel), jsonText({ funnel, dropped })),
  };
  return { outputs, facts: { dialogues: lines.length, kept: kept.length } };
}

function trainHooks(hooks: RoundHooks) {
  return {
    onNote: hooks.onNote,
    onImport: () => {},
    onEvent: (event: {
      readonly event: string;
      readonly step?: number;
      readonly steps?: number;
      readonly loss?: number;
    }) => {
      if (event.event !== "step") return;
      hooks.onProgress(`step ${event.step} of ${event.steps}, loss ${event.loss?.toFixed(4)}`);
    },
  };
}

function hasExamples({ facts }: StepRecord): boolean {
  return (facts["counts"] as { readonly train: number }).train > 0;
}

const readJson = async ({ folder }: Run, path: string): Promise<unknown> =>
  JSON.parse(await readFile(join(folder, path), "utf8"));
const failed = (failure: string): StepResult => ({ outputs: {}, facts: { failure } });
const failureOf = ({ facts }: StepRecord) => String(facts["failure"]);
const modelHash = ({ id, hash }: LoopModel): Hashes => ({ [`model ${id}`]: hash });
const only = (hashes: Hashes, name: string): Hashes => ({ [name]: hashes[name] ?? "" });

function pairOf({ user, assistant }: LoopModels): ModelPair {
  return { user: { id: user.id, hash: user.hash }, assistant: { id: assistant.id, hash: assistant.hash } };
}

/** Of what was made, the files with names that begin so. */
function merged(all: readonly Hashes[], prefix: string): Hashes {
  const entries = all.flatMap((hashes) => Object.entries(hashes));
  return Object.fromEntries(entries.filter(([name]) => name.startsWith(prefix)));
}
