// Owns a side whose turns are picked from several samples by a judge, the others kept as preferences.
// Samples come one after the other in one session: the prompt is computed once, and what stays is the last word either way.
// It does not know the rules of a dialogue, and remembers turns as the side that it wraps does.
import type { ChatEvent, ModelRole } from "../../runtime/chat-model.ts";
import type { Choice, Loser } from "./dialogue-types.ts";
import { pickBest } from "../../training/judge/judge.ts";
import type { JudgedTurn } from "../../training/judge/render.ts";
import type { Player, PlayerEvent } from "./player.ts";
import type { BestOf } from "./simulators/simulator.ts";
import type { Side, SpeakOptions, SpokenTurn } from "./side.ts";

type Ending = Extract<ChatEvent, { type: "end" }>;

interface Sample {
  readonly text: string;
  readonly end: Ending;
  /** Unfinished or empty turns would only end the dialogue. */
  readonly canStand: boolean;
}

/** Speaks several times and says what the judge picks. */
export class BestOfPlayer implements Player {
  readonly role: ModelRole;
  readonly #side: Side;
  readonly #bestOf: BestOf;
  readonly #heard: JudgedTurn[] = [];

  constructor(side: Side, bestOf: BestOf) {
    this.role = side.role;
    this.#side = side;
    this.#bestOf = bestOf;
  }

  get modelId(): string {
    return this.#side.modelId;
  }

  async *speak(options: SpeakOptions, signal: AbortSignal): AsyncGenerator<PlayerEvent, void> {
    const samples: Sample[] = [];
    for (let choiceIndex = 0; choiceIndex < this.#bestOf.count; choiceIndex += 1) {
      let text = "";
      let end: Ending | null = null;
      for await (const event of this.#side.speak({ ...options, choiceIndex }, signal)) {
        if (event.type === "prompt" && choiceIndex === 0) yield event;
        if (event.type === "text") text += event.text;
        if (event.type === "end") end = event;
      }
      if (end === null) throw new Error(`Model '${this.modelId}' stopped in the middle of a turn without saying why.`);
      samples.push({ text, end, canStand: end.cause !== "window" && text.trim() !== "" });
    }
    const { picked, pickedBy, judge } = await this.#pick(samples, options.seed, signal);
    const losers = samples.flatMap((sample, index) => (index === picked ? [] : [toLoser(sample, index)]));
    const winner = samples[picked];
    if (winner === undefined) throw new RangeError(`There is no sample ${picked}.`);
    if (winner.text !== "") yield { type: "text", text: winner.text };
    yield { type: "choice", choice: { picked, pickedBy, losers, judge } };
    yield winner.end;
  }

  keep(turn: SpokenTurn): void {
    this.#heard.push({ role: this.role, content: turn.text });
    this.#side.keep(turn);
  }

  hear(role: ModelRole, content: string): void {
    this.#heard.push({ role, content });
    this.#side.hear(role, content);
  }

  end(): void {
    this.#side.end();
  }

  async #pick(samples: readonly Sample[], seed: number, signal: AbortSignal): Promise<Omit<Choice, "losers">> {
    const able = samples.flatMap(({ canStand }, index) => (canStand ? [index] : []));
    const first = able[0] ?? 0;
    const texts = able.map((index) => samples[index]?.text ?? "");
    // Nothing to choose: none, one, or the same words every time.
    if (new Set(texts).size < 2) return { picked: first, pickedBy: "only", judge: null };
    const answer = await pickBest(this.#bestOf.judge, this.#heard, texts, seed, signal);
    const { model, promptHash, reply, usage } = answer;
    const judge = { model, promptHash, reply, usage };
    if (answer.value === null) return { picked: first, pickedBy: "fallback", judge };
    return { picked: able[answer.value] ?? first, pickedBy: "judge", judge };
  }
}

function toLoser({ text, end: { cause, usage, tokenIds } }: Sample, choiceIndex: number): Loser {
  return { choiceIndex, content: text, cause, usage, tokenIds };
}
