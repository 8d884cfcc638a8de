// The reason why two models talk in one process: over a whole dialogue, each computes every token of its context once.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Turn } from "../../../server/selfplay/dialogue-types.ts";
import { toDialogueRequest } from "../../../server/selfplay/request.ts";
import { type EmbeddedPair, openEmbeddedPair } from "./embedded-pair.ts";
import { playWell } from "./play.ts";

const roles = ["user", "assistant"] as const;
let pair: EmbeddedPair;
beforeAll(async () => {
  pair = await openEmbeddedPair({ slotsPerModel: 2, contextWindowCap: 300 });
});
afterAll(() => pair.catalog.close());

/** Sampled tokens that were fed back: all but an end token, and but the last one of a turn that ran out of tokens. */
function fedTokens({ origin }: Turn): number {
  if (origin === null) return 0;
  return origin.tokenIds.length - (origin.cause === "max_tokens" ? 1 : 0);
}

const kinds: readonly [kind: string, body: object, seeds: readonly number[]][] = [
  ["free", {}, [1, 2, 3]],
  // One alone: the next would be the same, and would find all of it.
  ["greedy", { sampling: { user: { temperature: 0 }, assistant: { temperature: 0 } }, max_turns: 6 }, [1]],
  ["short of tokens", { sampling: { user: { max_tokens: 5 }, assistant: { max_tokens: 7 } }, max_turns: 12 }, [1, 2]],
  ["hot, up to the window", { sampling: { user: { temperature: 2 }, assistant: { temperature: 2 } } }, [1, 2]],
  [
    "seeded",
    {
      messages: [
        { role: "user", content: "I need a hotel in London." },
        { role: "assistant", content: "For which nights, and how many of you are there?" },
      ],
    },
    [1, 2, 3],
  ],
];

test.each(kinds)("a dialogue that is %s has each token computed once per model", async (_, body, seeds) => {
  let turns = 0;
  for (const seed of seeds) {
    const before = roles.map((role) => computed(role));
    const dialogue = await playWell(
      toDialogueRequest({ ...body, seed }, pair.catalog, `dlg_${JSON.stringify(body)}_${seed}`),
    );
    const said = [...dialogue.turns, ...dialogue.discarded].filter((turn) => turn.origin !== null);
    turns += said.length;
    for (const [index, role] of roles.entries()) {
      const own = said.filter((turn) => turn.role === role);
      const origins = own.flatMap((turn) => turn.origin ?? []);
      const fed = own.map(fedTokens);
      // What is found in the cache is exactly what was there when the side's last turn ended.
      const found = origins.slice(1).map(({ usage }) => usage.cachedTokens);
      const there = origins.slice(0, -1).map(({ usage }, turn) => usage.promptTokens + (fed[turn] ?? 0));
      expect(found).toEqual(there);
      // A first prompt may begin like another dialogue's: those few tokens are found, not computed.
      const foundAtStart = origins[0]?.usage.cachedTokens ?? 0;
      const context = (origins.at(-1)?.usage.promptTokens ?? 0) + (fed.at(-1) ?? 0);
      const { prefilledTokens } = dialogue.usage[role];
      const decoded = fed.reduce((sum, tokens) => sum + tokens, 0);
      expect(foundAtStart + prefilledTokens + decoded).toBe(context);
      // And not by our own books alone: the network ran over as many tokens. A single one is run with the one before it.
      const now = computed(role);
      const runs = origins.map(({ usage }) => Math.max(2, usage.promptTokens - usage.cachedTokens));
      expect(now.prefill - (before[index]?.prefill ?? 0)).toBe(runs.reduce((sum, tokens) => sum + tokens, 0));
      expect(now.decode - (before[index]?.decode ?? 0)).toBe(decoded);
    }
  }
  expect(turns).toBeGreaterThan(4);
});

function computed(role: (typeof roles)[number]) {
  const id = role === "user" ? "usergpt" : "realm";
  return { prefill: pair.computedTokens(id, "prefill"), decode: pair.computedTokens(id, "decode") };
}
