// Every way in which a dialogue can end, as a table: who says what, within which windows, and what is left of it.
import { expect, test } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import type { SeedRound, StopReason } from "../../../server/selfplay/dialogue-types.ts";
import { dialogueRequest, play, transcript } from "./play.ts";
import { type Reply, SpellingModel } from "./spelling-model.ts";

interface Case {
  readonly rule: string;
  readonly user: readonly (Reply | string)[];
  readonly assistant: readonly (Reply | string)[];
  readonly windows?: readonly [number, number];
  readonly seedRounds?: readonly SeedRound[];
  readonly maxTurns?: number;
  readonly stop: readonly [StopReason, "user" | "assistant" | null];
  readonly kept: readonly string[];
  readonly discarded?: readonly string[];
}

const overflow = new EngineError("context_length_exceeded", "Too long.");
const oneRound = ["U: ask", "A: tell"];
const seedRounds = [{ user: "ask", assistant: "tell" }];

const cases: readonly Case[] = [
  {
    rule: "as many rounds as asked for end it",
    user: ["ask", "more"],
    assistant: ["tell", "done"],
    maxTurns: 2,
    stop: ["max_turns", null],
    kept: [...oneRound, "U: more", "A: done"],
  },
  {
    rule: "a question that fills the user's window is discarded",
    user: ["ask", "a question too long"],
    assistant: ["tell"],
    windows: [20, 1000],
    stop: ["window", "user"],
    kept: oneRound,
    discarded: ["a quest"],
  },
  {
    rule: "a question that ends right at the limit is kept, and its answer has no limit",
    user: ["ask", "a quest", { text: "", refuses: overflow }],
    assistant: ["tell", "an answer far beyond the user's window"],
    windows: [20, 1000],
    stop: ["window", "user"],
    kept: [...oneRound, "U: a quest", "A: an answer far beyond the user's window"],
  },
  {
    rule: "a user's prompt that no longer fits ends it",
    user: ["ask", ""],
    assistant: ["an answer that leaves no room"],
    windows: [20, 1000],
    stop: ["window", "user"],
    kept: ["U: ask", "A: an answer that leaves no room"],
  },
  {
    rule: "an answer that fills the assistant's window is discarded with its question",
    user: ["ask", "more"],
    assistant: ["tell", "a long answer"],
    windows: [1000, 25],
    stop: ["window", "assistant"],
    kept: oneRound,
    discarded: ["more", "a long"],
  },
  {
    rule: "a question that does not fit the assistant's window is discarded",
    user: ["ask", "a question too long"],
    assistant: ["tell", ""],
    windows: [1000, 25],
    stop: ["window", "assistant"],
    kept: oneRound,
    discarded: ["a question too long"],
  },
  {
    rule: "an empty question ends it",
    user: ["ask", ""],
    assistant: ["tell"],
    stop: ["empty_turn", "user"],
    kept: oneRound,
    discarded: [""],
  },
  {
    rule: "a question of white space is empty",
    user: ["ask", " \n\t"],
    assistant: ["tell"],
    stop: ["empty_turn", "user"],
    kept: oneRound,
    discarded: [""],
  },
  {
    rule: "an empty answer ends it and takes its question along",
    user: ["ask", "more"],
    assistant: ["tell", " "],
    stop: ["empty_turn", "assistant"],
    kept: oneRound,
    discarded: ["more", " "],
  },
  {
    rule: "an end of conversation in place of a question ends it",
    user: ["ask", { text: "", cause: "end_of_conversation" }],
    assistant: ["tell"],
    stop: ["end_token", "user"],
    kept: oneRound,
    discarded: [""],
  },
  {
    rule: "words before the user's end of conversation are a last question, and it is answered",
    user: ["ask", { text: "Bye.", cause: "end_of_conversation" }],
    assistant: ["tell", "Bye!"],
    stop: ["end_token", "user"],
    kept: [...oneRound, "U: Bye.", "A: Bye!"],
  },
  {
    rule: "words before the assistant's end of conversation are a last answer",
    user: ["ask"],
    assistant: [{ text: "tell", cause: "end_of_conversation" }],
    stop: ["end_token", "assistant"],
    kept: oneRound,
  },
  {
    rule: "an end of conversation in place of an answer takes the question along",
    user: ["ask", "more"],
    assistant: ["tell", { text: "", cause: "end_of_conversation" }],
    stop: ["end_token", "assistant"],
    kept: oneRound,
    discarded: ["more", ""],
  },
  {
    rule: "a question or answer of as many tokens as allowed stands as it is",
    user: [{ text: "ask", cause: "max_tokens" }],
    assistant: [{ text: "tell", cause: "max_tokens" }],
    maxTurns: 1,
    stop: ["max_turns", null],
    kept: oneRound,
  },
  {
    rule: "an opener that is white space leaves an empty dialogue",
    user: [" "],
    assistant: [],
    stop: ["empty_turn", "user"],
    kept: [],
    discarded: [""],
  },
  {
    rule: "a seed that leaves no room for a prompt is too long",
    user: [""],
    assistant: [],
    seedRounds,
    windows: [10, 1000],
    stop: ["seed_too_long", "user"],
    kept: oneRound,
  },
  {
    rule: "a seed that leaves no room for a question is too long",
    user: ["a question too long"],
    assistant: [],
    seedRounds,
    windows: [20, 1000],
    stop: ["seed_too_long", "user"],
    kept: oneRound,
    discarded: ["a quest"],
  },
  {
    rule: "a seed that leaves the assistant no room is too long",
    user: ["more"],
    assistant: [""],
    seedRounds,
    windows: [1000, 15],
    stop: ["seed_too_long", "assistant"],
    kept: oneRound,
    discarded: ["more"],
  },
  {
    rule: "once a round has been added to a seed, a full window is just that",
    user: ["more", "a question too long"],
    assistant: ["done"],
    seedRounds,
    windows: [30, 1000],
    stop: ["window", "user"],
    kept: [...oneRound, "U: more", "A: done"],
    discarded: ["a que"],
  },
];

test.each(cases)("$rule", async ({ user, assistant, windows, seedRounds: seeds, maxTurns, stop, kept, discarded }) => {
  const userModel = new SpellingModel("user", user, windows?.[0]);
  const assistantModel = new SpellingModel("assistant", assistant, windows?.[1]);
  const request = dialogueRequest(userModel, assistantModel, { seedRounds: seeds ?? [], maxTurns: maxTurns ?? null });
  const { dialogue, events, failure } = await play(request);
  expect(failure).toBeNull();
  expect([dialogue?.stopReason, dialogue?.stoppedBy]).toEqual(stop);
  expect(transcript(dialogue)).toEqual(kept);
  expect(dialogue?.discarded.map((turn) => turn.content)).toEqual(discarded ?? []);
  const told = events.flatMap((event) => (event.type === "turn_discarded" ? [[event.role, event.turn]] : []));
  expect(told).toEqual(dialogue?.discarded.map((turn) => [turn.role, turn.turn]));
  expect([userModel.sessions.size, assistantModel.sessions.size]).toEqual([0, 0]);
});

test("a free dialogue whose first prompt does not fit is refused, not ended", async () => {
  const user = new SpellingModel("user", [""], 2);
  const { events, failure } = await play(dialogueRequest(user, new SpellingModel("assistant", [])));
  expect(events).toEqual([]);
  expect(failure).toMatchObject({ code: "context_length_exceeded" });
});
