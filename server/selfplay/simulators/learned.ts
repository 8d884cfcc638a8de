// The learned simulator: a model trained to write user turns, from nothing, from a seed round, or towards an intent or profile.
// It turns the item of a seed set into what the loop starts from; the model does the rest.
import type { Turn } from "../dialogue-types.ts";
import { playByRules } from "./play-by-rules.ts";
import type { SeedItem, SimulatedDialogueRequest, Simulator } from "./simulator.ts";

export const learnedSimulator: Simulator = {
  name: "learned",
  play: (request, signal) => playByRules(prepared(request), signal),
};

/** The request with its seed item in place; to be done once. */
export function prepared(request: SimulatedDialogueRequest): SimulatedDialogueRequest {
  const { mode, seedItem } = request;
  if (seedItem === null) return request;
  if (mode === "intent" || mode === "profile") {
    const system = [request.user.system, seedItem.prompt].filter((text) => text !== null).join("\n\n");
    return { ...request, user: { ...request.user, system } };
  }
  return mode === "seeded" ? { ...request, ...seedOf(request, seedItem) } : request;
}

/** A whole round of the seed is given; of a lone question, only that: the assistant answers it as it would any other. */
function seedOf(
  { past }: SimulatedDialogueRequest,
  { prompt, answer }: SeedItem,
): Pick<SimulatedDialogueRequest, "past"> & Partial<Pick<SimulatedDialogueRequest, "seedRounds">> {
  if (answer !== null) return { past, seedRounds: [{ user: prompt, assistant: answer }] };
  const question: Turn = { role: "user", turn: 1, content: prompt, origin: null };
  return { past: past.length > 0 ? past : [question] };
}
