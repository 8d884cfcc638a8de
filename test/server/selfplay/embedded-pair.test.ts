// The repository's own two models at play: the same dialogue every time, whatever runs beside it, and good data at the end.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Dialogue } from "../../../server/selfplay/dialogue-types.ts";
import { toDialogueRequest } from "../../../server/selfplay/request.ts";
import type { SelfplayBody } from "../../../server/selfplay/schema.ts";
import { type EmbeddedPair, openEmbeddedPair } from "./embedded-pair.ts";
import { play, playWell } from "./play.ts";

let pair: EmbeddedPair;
beforeAll(async () => {
  pair = await openEmbeddedPair({ slotsPerModel: 8, contextWindowCap: 512 });
});
afterAll(() => pair.catalog.close());

let played = 0;
const request = (body: SelfplayBody) => toDialogueRequest(body, pair.catalog, `dlg_${(played += 1)}`);

/** All of a dialogue that does not depend on what was in the cache. */
const content = ({ turns, stopReason, stoppedBy }: Dialogue) => ({
  stopReason,
  stoppedBy,
  turns: turns.map(({ role, turn, content: text, origin }) => [role, turn, text, origin?.cause, origin?.tokenIds]),
});

test("a dialogue is the same token for token, alone and among as many others as there are slots for", async () => {
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
  const alone: unknown[] = [];
  for (const seed of seeds) alone.push(content(await playWell(request({ seed, max_turns: 4 }))));
  const together = await Promise.all(
    seeds.map(async (seed) => content(await playWell(request({ seed, max_turns: 4 })))),
  );
  expect(together).toEqual(alone);
  expect(new Set(together.map((dialogue) => JSON.stringify(dialogue))).size).toBe(seeds.length);
});

test("what they say is text: trimmed questions, no control tokens, an answer at the end", async () => {
  for (const seed of [11, 12, 13]) {
    const { turns, stopReason } = await playWell(request({ seed }));
    expect(["end_token", "empty_turn", "window"]).toContain(stopReason);
    expect(turns.length).toBeGreaterThan(1);
    expect(turns.at(-1)?.role).toBe("assistant");
    for (const { role, content: text } of turns) {
      expect(text).not.toMatch(/<\|\w*\|>|\ufffd/);
      expect(text.trim()).not.toBe("");
      expect(role === "assistant" || text === text.trim()).toBe(true);
    }
  }
});

test("an opener always comes, even from a model that would rather end at once", async () => {
  for (let seed = 100; seed < 115; seed += 1) {
    const dialogue = await playWell(request({ seed, max_turns: 1, sampling: { user: { temperature: 1.5 } } }));
    expect(dialogue.turns[0]?.content ?? dialogue.discarded[0]?.content).not.toBe("");
  }
});

test("a seed longer than the window is told apart from a dialogue that filled it", async () => {
  const long = "I would like to book a table for two people, please. ".repeat(60);
  const seeded = await playWell(
    request({
      messages: [
        { role: "user", content: long },
        { role: "assistant", content: "Where?" },
      ],
    }),
  );
  expect(seeded).toMatchObject({ stopReason: "seed_too_long", turns: [{ turn: 1 }, { turn: 1 }] });
  const { failure } = await play(request({ system: { user: long } }));
  expect(failure).toMatchObject({ code: "context_length_exceeded" });
});
