// Owns what all simulators share: the guard-rails, stop rules and choice of answers of a request, as rules of the loop.
// It does not know how a user's side comes about: a simulator hands in its player.
import type { Course } from "../course.ts";
import { BestOfPlayer } from "../best-of.ts";
import { playDialogue } from "../dialogue.ts";
import type { DialogueEvent, Turn } from "../dialogue-types.ts";
import { objectionOf } from "../guardrails.ts";
import { hasRunItsCourse } from "../../../training/judge/judge.ts";
import type { HouseRules, Player, RoundEnd } from "../player.ts";
import { drawBelow, turnSeed } from "../seeds.ts";
import { Side, type SideSetup } from "../side.ts";
import type { SimulatedDialogueRequest } from "./simulator.ts";

/** Players that a simulator brings in place of the ordinary ones. */
export interface OwnPlayers {
  readonly user?: (setup: SideSetup, sessionId: string) => Player;
  readonly assistant?: (setup: SideSetup, sessionId: string) => Player;
}

/** Plays a dialogue by the rules of its request. */
export function playByRules(
  request: SimulatedDialogueRequest,
  signal: AbortSignal,
  players: OwnPlayers = {},
): AsyncGenerator<DialogueEvent, void> {
  return playDialogue({ ...request, maxTurns: mostTurns(request) }, signal, houseRules(request, players));
}

/** The rounds this very dialogue may have: of a range, the one that its seed draws. */
function mostTurns({
  maxTurns,
  seed,
  dialogueIndex,
  stopRules: { turnRange },
}: SimulatedDialogueRequest): number | null {
  if (turnRange === null) return maxTurns;
  const { min, max } = turnRange;
  const drawn = min + drawBelow(max - min + 1, seed, "turns", dialogueIndex);
  return Math.min(drawn, maxTurns ?? Number.POSITIVE_INFINITY);
}

function houseRules(request: SimulatedDialogueRequest, players: OwnPlayers): HouseRules {
  const { guardrails, stopRules, bestOf } = request;
  return {
    openPlayer(role, setup, dialogueId) {
      const own = players[role]?.(setup, `${dialogueId}/${role}`);
      if (own !== undefined) return own;
      const side = new Side(role, setup, dialogueId);
      return role === "assistant" && bestOf !== null ? new BestOfPlayer(side, bestOf) : side;
    },
    objection(question, { turns }) {
      if (guardrails === null) return null;
      const asked = turns.filter(({ role }) => role === "user").map(({ content }) => content);
      const { system } = request.user;
      return objectionOf(question, guardrails, system === null ? asked : [...asked, system]);
    },
    redraws: guardrails?.redraws ?? 0,
    hasEndToken: stopRules.hasEndToken,
    afterRound: (course, turns, signal) => afterRound(course, turns, request, signal),
  };
}

async function afterRound(
  { request: { dialogueIndex, seed } }: Course,
  turns: readonly Turn[],
  { stopRules: { maxDialogueTokens, judge } }: SimulatedDialogueRequest,
  signal: AbortSignal,
): Promise<RoundEnd> {
  if (maxDialogueTokens !== null && sampledTokens(turns) >= maxDialogueTokens) {
    return { stop: { reason: "budget", by: null }, verdict: null };
  }
  const round = turns.at(-1)?.turn ?? 0;
  if (judge === null || round < judge.fromTurn) return { stop: null, verdict: null };
  const judgeSeed = turnSeed(seed, { dialogueIndex, turn: round, role: "assistant" });
  // A verdict that cannot be had is none: the other rules still end the dialogue.
  const { value, model, usage } = await hasRunItsCourse(judge, turns, judgeSeed, signal);
  const stop = value === "stop" ? ({ reason: "judge", by: null } as const) : null;
  return { stop, verdict: { judge: model, verdict: value, usage } };
}

/** Of the turns that were kept and the samples they were picked from: the same after a resumption as without one. */
function sampledTokens(turns: readonly Turn[]): number {
  let sum = 0;
  for (const { origin } of turns) {
    if (origin === null) continue;
    sum += origin.usage.completionTokens;
    for (const { usage } of origin.choice?.losers ?? []) sum += usage.completionTokens;
  }
  return sum;
}
