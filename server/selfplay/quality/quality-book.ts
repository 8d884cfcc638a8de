// Owns the running figures of the jobs that somebody asked for, one follower each; the least recently asked go first.
// What it drops is built again from the store. It knows the store's reading and writing of dialogues, no HTTP.
import { EngineError } from "../../../runtime/errors.ts";
import type { ModelCatalog } from "../../model-catalog.ts";
import { planOf } from "../jobs/job-plan.ts";
import type { Database } from "../../store/database.ts";
import { findDialogue, listDialogues, storeQuality } from "../store/dialogue-store.ts";
import type { StoredJob } from "../store/records.ts";
import { JobFollower } from "./job-follower.ts";
import { loadHumanLikeness } from "./likeness-file.ts";
import { RunningQuality } from "../../../training/measures/job-quality.ts";
import type { HumanLikenessModel } from "../../../training/measures/human-likeness.ts";
import { type JudgedDialogues, judgeSample, type JudgeSampleRequest } from "./judge-sample.ts";
import { isScorer, type Scorer, scoreSample } from "./score-sample.ts";
import type { Judgement } from "../../../training/measures/judge-scores.ts";
import type { QualitySnapshot } from "../../../training/measures/quality-types.ts";

/** Jobs whose figures are kept at hand. */
const KEPT = 8;
const PAGE = 50;
/** Dialogues that are scored unless more are asked for: some hundred turns, and a minute of a slow machine at most. */
export const DEFAULT_SCORED = 16;
/** A job may hold every slot, and scoring needs one. */
const SCORE_WAIT_MS = 2000;

export class QualityBook {
  readonly #catalog: Pick<ModelCatalog, "get">;
  readonly #folder: string;
  /** In the order of their latest use. */
  readonly #followers = new Map<string, JobFollower>();
  /** Jobs whose sample is being scored: a second reader does not ask for it again. */
  readonly #scoring = new Set<string>();

  /** `folder` may hold a classifier of the operator's, human-likeness.json; one is read when a job is first asked for. */
  constructor(catalog: Pick<ModelCatalog, "get">, folder: string) {
    this.#catalog = catalog;
    this.#folder = folder;
  }

  /** The figures of a job as far as it has come. Verdicts that were not written yet are. */
  async measure(database: Database, job: StoredJob): Promise<QualitySnapshot> {
    const follower = await this.#followerOf(database, job);
    return follower.catchUp();
  }

  /**
   * The same, with the job's own user model asked how probable it finds the user turns of the first dialogues, where it is at
   * hand and can say. Waits no longer for that than a little while: what is missing then, the next call goes on with.
   */
  async figures(database: Database, job: StoredJob, signal: AbortSignal): Promise<QualitySnapshot> {
    const { id, model_hash: modelHash } = planOf(job).models.user;
    const model = this.#catalog.get(id);
    const isAtHand = isScorer(model) && model.info.modelHash === modelHash;
    if (!isAtHand || this.#scoring.has(job.id)) return this.measure(database, job);
    this.#scoring.add(job.id);
    try {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(SCORE_WAIT_MS)]);
      return await this.score(database, job, { model, sample: DEFAULT_SCORED }, patience);
    } catch (error) {
      signal.throwIfAborted();
      // Without them there are still all other figures.
      const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
      if (isTimeout || error instanceof EngineError) return await this.measure(database, job);
      throw error;
    } finally {
      this.#scoring.delete(job.id);
    }
  }

  /** Has the first dialogues scored by a model, then gives the figures. Throws what the model throws; scores until then stay. */
  async score(
    database: Database,
    job: StoredJob,
    { model, sample }: { readonly model: Scorer; readonly sample: number },
    signal: AbortSignal,
  ): Promise<QualitySnapshot> {
    const follower = await this.#followerOf(database, job);
    await follower.catchUp();
    const request = { jobId: job.id, indices: follower.firstKept(sample), model };
    await scoreSample(request, dialoguesOf(database, job), (scored) => follower.addScores(scored), signal);
    return follower.catchUp();
  }

  /** Has a sample judged, then gives the figures with its marks. Throws what the judge's model throws; marks given until then stay. */
  async judge(
    database: Database,
    job: StoredJob,
    request: Omit<JudgeSampleRequest, "jobId" | "count">,
    signal: AbortSignal,
  ): Promise<QualitySnapshot> {
    const follower = await this.#followerOf(database, job);
    await follower.catchUp();
    const onJudged = (judgement: Judgement): void => follower.addJudgement(judgement);
    const whole = { ...request, jobId: job.id, count: job.count };
    await judgeSample(whole, dialoguesOf(database, job), onJudged, signal);
    return follower.catchUp();
  }

  async #followerOf(database: Database, job: StoredJob): Promise<JobFollower> {
    let follower = this.#followers.get(job.id);
    if (follower === undefined) {
      const humanLikeness = await loadHumanLikeness(this.#folder);
      // Another request may have come first meanwhile.
      follower = this.#followers.get(job.id) ?? this.#follow(database, job, humanLikeness);
    }
    this.#followers.delete(job.id);
    this.#followers.set(job.id, follower);
    const [oldest] = this.#followers.keys();
    if (this.#followers.size > KEPT && oldest !== undefined) this.#followers.delete(oldest);
    return follower;
  }

  #follow(database: Database, job: StoredJob, humanLikeness: HumanLikenessModel | null): JobFollower {
    const everything = { limit: PAGE, statuses: [], stopReasons: [], simulators: [], withoutFlags: [] };
    const dialogues = {
      ...dialoguesOf(database, job),
      read: (after: number) => listDialogues(database, job.id, { ...everything, after }),
    };
    const tokenizer = this.#tokenizerOf(job);
    return new JobFollower(job.id, dialogues, new RunningQuality({ tokenizer, humanLikeness }));
  }

  /** The assistant's, as both sides' words are counted by one; the user's where that is not known; bytes where neither is. */
  #tokenizerOf(job: StoredJob): { name: string; countTokens: (text: string) => number } {
    const { user, assistant } = planOf(job).models;
    for (const { id } of [assistant, user]) {
      const model = this.#catalog.get(id);
      if (model?.countTokens !== undefined) return { name: id, countTokens: (text) => model.countTokens?.(text) ?? 0 };
    }
    return { name: "utf-8 bytes", countTokens: (text) => Buffer.byteLength(text) };
  }
}

function dialoguesOf(database: Database, { id }: StoredJob): JudgedDialogues {
  return {
    find: (index) => findDialogue(database, id, index),
    write: (index, quality) => storeQuality(database, id, index, quality),
  };
}
