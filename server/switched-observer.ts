// Owns what is told of an engine that shares its model's name with another for a while: what it did always counts, how it stands
// only while it is the one in service. It knows no metric.
import type { EngineObserver, EngineState } from "../runtime/chat-model.ts";

/** Passes on what an engine tells, and how it stands only while it is the one of its name. */
export class SwitchedObserver implements EngineObserver {
  isOn = true;
  readonly #target: EngineObserver;
  #state: EngineState | null = null;

  constructor(target: EngineObserver) {
    this.#target = target;
  }

  onStep: EngineObserver["onStep"] = (modelId, step) => this.#target.onStep(modelId, step);
  onSequenceEnd: EngineObserver["onSequenceEnd"] = (modelId, end) => this.#target.onSequenceEnd(modelId, end);
  onState: EngineObserver["onState"] = (modelId, state) => {
    this.#state = state;
    if (this.isOn) this.#target.onState(modelId, state);
  };

  /** Once more: another engine may have told its own meanwhile. */
  repeat(modelId: string): void {
    if (this.#state !== null) this.#target.onState(modelId, this.#state);
  }
}
