// The pre-query simulator: an assistant model is shown the opening of a user's turn and goes on writing it.
// It needs a model whose chat template is at hand; nothing tells the model what to ask.
import { playByRules } from "./play-by-rules.ts";
import { PromptedPlayer } from "./prompted-player.ts";
import type { Simulator } from "./simulator.ts";

export const prequerySimulator: Simulator = {
  name: "prequery",
  play: (request, signal) =>
    playByRules(request, signal, {
      user: (setup, sessionId) =>
        new PromptedPlayer("user", setup, sessionId, (past) => ({ messages: [...past], writeAs: "user" })),
    }),
};
