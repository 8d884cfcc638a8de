// Owns how many dialogues fit: each keeps one slot of each of its models from its first turn to its last.
// It counts what jobs take here; requests from elsewhere come and go between turns. It knows no engine.
import type { ModelCatalog } from "../../model-catalog.ts";
import type { JobPlan } from "./job-plan.ts";

/** Slots that one dialogue keeps, by model. */
export function slotsNeeded({ models: { user, assistant } }: JobPlan): ReadonlyMap<string, number> {
  if (user.id === assistant.id) return new Map([[user.id, 2]]);
  return new Map([
    [user.id, 1],
    [assistant.id, 1],
  ]);
}

/** Models elsewhere have no slots of ours; they bound their own requests. */
const remoteDialogues = 64;

export class SlotBook {
  readonly #catalog: ModelCatalog;
  readonly #slotsPerModel: number;
  readonly #taken = new Map<string, number>();

  constructor(catalog: ModelCatalog, slotsPerModel: number) {
    this.#catalog = catalog;
    this.#slotsPerModel = slotsPerModel;
  }

  /** A model with too few slots for even one dialogue plays one nevertheless, and computes some of its past anew. */
  hasRoom(needed: ReadonlyMap<string, number>): boolean {
    return [...needed].every(([id, slots]) => {
      const taken = this.#taken.get(id) ?? 0;
      const isRemote = this.#catalog.get(id)?.info.device === "remote";
      return taken === 0 || taken + slots <= (isRemote ? remoteDialogues : this.#slotsPerModel);
    });
  }

  /** Takes them until the returned function is called. */
  take(needed: ReadonlyMap<string, number>): () => void {
    this.#add(needed, 1);
    return () => this.#add(needed, -1);
  }

  #add(needed: ReadonlyMap<string, number>, sign: 1 | -1): void {
    for (const [id, slots] of needed) this.#taken.set(id, (this.#taken.get(id) ?? 0) + sign * slots);
  }
}
