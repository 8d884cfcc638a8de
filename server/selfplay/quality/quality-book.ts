// Owns the running figures of the jobs that somebody asked for, one follower each; the least recently asked go first.
// What it drops is built again from the store. It knows the store's reading and writing of dialogues, no HTTP.
import type { ModelCatalog } from "../../model-catalog.ts";
import { planOf } from "../jobs/job-plan.ts";
import type { Database } from "../store/database.ts";
import { listDialogues, storeQuality } from "../store/dialogue-store.ts";
import type { StoredJob } from "../store/records.ts";
import { JobFollower } from "./job-follower.ts";
import { RunningQuality } from "./job-quality.ts";
import type { HumanLikenessModel } from "./human-likeness.ts";
import type { QualitySnapshot } from "./quality-types.ts";

/** Jobs whose figures are kept at hand. */
const KEPT = 8;
const PAGE = 50;

export class QualityBook {
  readonly #catalog: ModelCatalog;
  readonly #humanLikeness: HumanLikenessModel | null;
  /** In the order of their latest use. */
  readonly #followers = new Map<string, JobFollower>();

  constructor(catalog: ModelCatalog, humanLikeness: HumanLikenessModel | null = null) {
    this.#catalog = catalog;
    this.#humanLikeness = humanLikeness;
  }

  /** The figures of a job as far as it has come. Verdicts that were not written yet are. */
  async measure(database: Database, job: StoredJob): Promise<QualitySnapshot> {
    const follower = this.#followers.get(job.id) ?? this.#follow(database, job);
    this.#followers.delete(job.id);
    this.#followers.set(job.id, follower);
    const [oldest] = this.#followers.keys();
    if (this.#followers.size > KEPT && oldest !== undefined) this.#followers.delete(oldest);
    return follower.catchUp();
  }

  #follow(database: Database, job: StoredJob): JobFollower {
    const everything = { limit: PAGE, statuses: [], stopReasons: [], simulators: [], withoutFlags: [] };
    const dialogues = {
      read: (after: number) => listDialogues(database, job.id, { ...everything, after }),
      write: (index: number, flags: Record<string, unknown>) => storeQuality(database, job.id, index, flags),
    };
    const tokenizer = this.#tokenizerOf(job);
    return new JobFollower(job.id, dialogues, new RunningQuality({ tokenizer, humanLikeness: this.#humanLikeness }));
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
