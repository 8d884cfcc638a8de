// The loop of two models: what each side is shown, what is kept, what is told, and that nothing stays held.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ChatEvent } from "../../../runtime/chat-model.ts";
import { EngineError } from "../../../runtime/errors.ts";
import { playDialogue } from "../../../server/selfplay/dialogue.ts";
import { turnSeed } from "../../../server/selfplay/seeds.ts";
import { dialogueRequest, play, playWell, sideSetup, transcript } from "./play.ts";
import { type Reply, SpellingModel } from "./spelling-model.ts";

/** Ids as SpellingModel samples them. */
const sampled = (text: string) => Array.from(text, (c) => 0x200000 + c.charCodeAt(0));
const roles = (model: SpellingModel, call: number) => model.requests[call]?.messages.map((m) => m.role);

test("a dialogue is told turn by turn, token by token, and ends with the whole of it", async () => {
  const user = new SpellingModel("user", [" Hi "]);
  const assistant = new SpellingModel("assistant", ["Yo"]);
  const { events, dialogue } = await play(dialogueRequest(user, assistant, { maxTurns: 1 }));
  const told = events.map((event) => (event.type === "token" ? `${event.role} '${event.text}'` : event.type));
  expect(told).toEqual([
    "turn_start",
    "user ' '",
    "user 'H'",
    "user 'i'",
    "user ' '",
    "turn_end",
    "turn_start",
    "assistant 'Y'",
    "assistant 'o'",
    "turn_end",
    "end",
  ]);
  expect(events[5]).toEqual({
    type: "turn_end",
    role: "user",
    turn: 1,
    content: "Hi",
    isKept: true,
    cause: "end_token",
    seed: turnSeed(7, { dialogueIndex: 0, turn: 1, role: "user" }),
    usage: { promptTokens: 2, cachedTokens: 0, completionTokens: 5 },
    tokenIds: sampled(" Hi "),
  });
  expect(dialogue).toMatchObject({ stopReason: "max_turns", stoppedBy: null, discarded: [] });
  expect(transcript(dialogue)).toEqual(["U: Hi", "A: Yo"]);
});

test("both sides see natural roles, their own turns as sampled, and the other's as text", async () => {
  const user = new SpellingModel("user", [" one\n", "two"]);
  const assistant = new SpellingModel("assistant", [" first ", "second"]);
  await playWell(dialogueRequest(user, assistant, { maxTurns: 2 }));

  expect(roles(user, 0)).toEqual([]);
  expect(roles(user, 1)).toEqual(["user", "assistant"]);
  expect(roles(assistant, 1)).toEqual(["user", "assistant", "user"]);
  expect(user.requests[1]?.messages).toMatchObject([
    { role: "user", content: "one", tokenIds: sampled(" one\n") },
    { role: "assistant", content: " first " },
  ]);
  expect(assistant.requests[1]?.messages).toMatchObject([
    { role: "user", content: "one" },
    { role: "assistant", content: " first ", tokenIds: sampled(" first ") },
    { role: "user", content: "two" },
  ]);
});

test.each([1, 2, 3, 4])(
  "a dialogue resumed after %i turns asks and tells what the undisturbed one did",
  async (count) => {
    const says = { user: ["one", "two", "three"], assistant: ["first", "second", "third"] };
    const open = (said: { user: number; assistant: number }) => {
      const user = new SpellingModel("user", says.user.slice(said.user));
      const assistant = new SpellingModel("assistant", says.assistant.slice(said.assistant));
      return { user, assistant, request: dialogueRequest(user, assistant, { maxTurns: 3 }) };
    };
    const whole = open({ user: 0, assistant: 0 });
    const { turns, stopReason } = await playWell(whole.request);
    const past = turns.slice(0, count);
    const resumed = open({ user: Math.ceil(count / 2), assistant: Math.floor(count / 2) });
    const again = await playWell({ ...resumed.request, past });
    // What is computed again is another matter: the resumed sides begin with empty caches.
    const withoutUsage = turns.map((turn) =>
      Object.assign({}, turn, { origin: { ...turn.origin, usage: expect.anything() as object } }),
    );
    expect([again.turns, again.stopReason]).toEqual([withoutUsage, stopReason]);
    for (const side of ["user", "assistant"] as const) {
      const asked = whole[side].requests.slice(says[side].length - resumed[side].requests.length);
      expect(resumed[side].requests).toEqual(asked);
    }
  },
);

test("a dialogue resumed after a farewell ends as it would have", async () => {
  const user = new SpellingModel("user", [{ text: "bye", cause: "end_of_conversation" }]);
  const assistant = new SpellingModel("assistant", ["so long"]);
  const { turns } = await playWell(dialogueRequest(user, assistant));
  const silent = new SpellingModel("user", []);
  const again = await playWell({ ...dialogueRequest(silent, assistant), past: turns });
  expect([again.stopReason, again.stoppedBy, again.turns]).toEqual(["end_token", "user", turns]);
});

test("a turn cut at a stop string is remembered as text: its ids hold more than the turn", async () => {
  const user = new SpellingModel("user", [{ text: "one", cause: "stop_string" }, "two"]);
  const assistant = new SpellingModel("assistant", ["first", "second"]);
  await playWell(dialogueRequest(user, assistant, { maxTurns: 2 }));
  expect(user.requests[1]?.messages[0]).toEqual({ role: "user", content: "one" });
});

test("only the very first question of a free dialogue must be spoken", async () => {
  const user = new SpellingModel("user", ["a", "b"]);
  const assistant = new SpellingModel("assistant", ["c", "d"]);
  await playWell(dialogueRequest(user, assistant, { maxTurns: 2 }));
  expect(user.requests.map((request) => request.mustSpeak)).toEqual([true, false]);
  expect(assistant.requests.map((request) => request.mustSpeak)).toEqual([false, false]);

  const seeded = new SpellingModel("user", ["b"]);
  const seedRounds = [{ user: "a", assistant: "c" }];
  await playWell(dialogueRequest(seeded, new SpellingModel("assistant", ["d"]), { seedRounds, maxTurns: 2 }));
  expect(seeded.requests.map((request) => request.mustSpeak)).toEqual([false]);
});

test("a seed round is round 1, both sides know it, and it counts towards max_turns", async () => {
  const user = new SpellingModel("user", ["more"]);
  const assistant = new SpellingModel("assistant", ["sure"]);
  const seedRounds = [{ user: "q", assistant: "a" }];
  const dialogue = await playWell(dialogueRequest(user, assistant, { seedRounds, maxTurns: 2 }));
  expect(transcript(dialogue)).toEqual(["U: q", "A: a", "U: more", "A: sure"]);
  expect(dialogue.turns.map((turn) => [turn.turn, turn.origin === null])).toEqual([
    [1, true],
    [1, true],
    [2, false],
    [2, false],
  ]);
  expect(user.requests[0]?.messages).toEqual([
    { role: "user", content: "q" },
    { role: "assistant", content: "a" },
  ]);
  expect(assistant.requests[0]?.messages.at(-1)).toEqual({ role: "user", content: "more" });
});

test("a system message is shown to its own side alone", async () => {
  const user = new SpellingModel("user", ["a"]);
  const assistant = new SpellingModel("assistant", ["b"]);
  const request = dialogueRequest(user, assistant, {
    user: sideSetup(user, { system: "You want a house." }),
    assistant: sideSetup(assistant, { system: "Be brief." }),
    maxTurns: 1,
  });
  const dialogue = await playWell(request);
  expect(user.requests[0]?.messages).toEqual([{ role: "system", content: "You want a house." }]);
  expect(assistant.requests[0]?.messages[0]).toEqual({ role: "system", content: "Be brief." });
  expect(dialogue.sides).toMatchObject({
    user: { model: { id: "usergpt" }, system: "You want a house." },
    assistant: { model: { id: "realm" }, system: "Be brief." },
  });
});

test("each turn is sampled with the seed of its place, whatever was said before", async () => {
  for (const opener of ["a", "another, longer opener"]) {
    const user = new SpellingModel("user", [opener, "b"]);
    const assistant = new SpellingModel("assistant", ["c", "d"]);
    await playWell(dialogueRequest(user, assistant, { maxTurns: 2, dialogueIndex: 5 }));
    for (const model of [user, assistant]) {
      const { role } = model.info;
      expect(model.requests.map((request) => request.sampling.seed)).toEqual([
        turnSeed(7, { dialogueIndex: 5, turn: 1, role }),
        turnSeed(7, { dialogueIndex: 5, turn: 2, role }),
      ]);
    }
  }
});

test("a model is asked only after the reader has taken the turn before", async () => {
  const user = new SpellingModel("user", ["a", "b"]);
  const assistant = new SpellingModel("assistant", ["c", "d"]);
  const signal = new AbortController().signal;
  for await (const event of playDialogue(dialogueRequest(user, assistant, { maxTurns: 2 }), signal)) {
    if (event.type !== "turn_end") continue;
    const asked = user.requests.length + assistant.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(user.requests.length + assistant.requests.length).toBe(asked);
    expect(user.running + assistant.running).toBe(0);
  }
});

test("both sessions are one per side and dialogue, and ended before the end is told", async () => {
  const user = new SpellingModel("user", ["a", "b"]);
  const assistant = new SpellingModel("assistant", ["c", "d"]);
  const signal = new AbortController().signal;
  let heldAtEnd = -1;
  for await (const event of playDialogue(dialogueRequest(user, assistant, { maxTurns: 2 }), signal)) {
    if (event.type === "end") heldAtEnd = user.sessions.size + assistant.sessions.size;
  }
  expect(heldAtEnd).toBe(0);
  expect(new Set(user.requests.map((request) => request.sessionId))).toEqual(new Set(["dlg_test/user"]));
  expect(new Set(assistant.requests.map((request) => request.sessionId))).toEqual(new Set(["dlg_test/assistant"]));
  expect([user.endedSessions, assistant.endedSessions]).toEqual([["dlg_test/user"], ["dlg_test/assistant"]]);
});

test("leaving the loop early cancels the model at work and ends both sessions", async () => {
  const user = new SpellingModel("user", ["a"]);
  const assistant = new SpellingModel("assistant", ["a long answer"]);
  const signal = new AbortController().signal;
  for await (const event of playDialogue(dialogueRequest(user, assistant), signal)) {
    if (event.type === "token" && event.role === "assistant") break;
  }
  expect([user.running, assistant.running]).toEqual([0, 0]);
  expect([user.sessions.size, assistant.sessions.size]).toEqual([0, 0]);
});

test("a failure before the first event is thrown and nothing is told", async () => {
  const refusal = new EngineError("queue_full", "The queue is full.");
  const user = new SpellingModel("user", [{ text: "", refuses: refusal }]);
  const told = await play(dialogueRequest(user, new SpellingModel("assistant", [])));
  expect(told).toEqual({ events: [], dialogue: null, failure: refusal });
  expect(user.endedSessions).toEqual(["dlg_test/user"]);
});

test("a later failure is thrown after the end, which holds the whole rounds so far", async () => {
  const failure = new EngineError("ort_failed", "The device is gone.");
  const user = new SpellingModel("user", ["a", "b"]);
  const assistant = new SpellingModel("assistant", ["c", { text: "d", fails: failure }]);
  const told = await play(dialogueRequest(user, assistant));
  expect(told.failure).toBe(failure);
  expect(told.dialogue).toMatchObject({ stopReason: "error", stoppedBy: "assistant" });
  expect(transcript(told.dialogue)).toEqual(["U: a", "A: c"]);
  expect(told.dialogue?.discarded.map((turn) => turn.content)).toEqual(["b"]);
  expect([user.sessions.size, assistant.sessions.size]).toEqual([0, 0]);
});

test("an abort ends the dialogue as cancelled, on its last whole round, without a throw", async () => {
  const abort = new AbortController();
  const user = new SpellingModel("user", ["a", "b"]);
  const assistant = new SpellingModel("assistant", (_, call) => {
    if (call === 1) setImmediate(() => abort.abort());
    return call === 0 ? "c" : "a very long answer that nobody will hear the end of";
  });
  const told = await play(dialogueRequest(user, assistant), abort.signal);
  expect(told.failure).toBeNull();
  expect(told.dialogue).toMatchObject({ stopReason: "cancelled", stoppedBy: null });
  expect(transcript(told.dialogue)).toEqual(["U: a", "A: c"]);
  expect([user.running, assistant.running]).toEqual([0, 0]);
  expect([user.sessions.size, assistant.sessions.size]).toEqual([0, 0]);
});

async function* breakOff(): AsyncGenerator<ChatEvent> {
  yield { type: "text", text: "a" };
}

test("a model that stops without an end is an error that names it", async () => {
  const user = new SpellingModel("user", ["a"]);
  user.generate = breakOff;
  const { failure } = await play(dialogueRequest(user, new SpellingModel("assistant", [])));
  expect(String(failure)).toContain("Model 'usergpt' stopped in the middle of a turn");
});

const reply = fc.record({
  text: fc.string({ maxLength: 12 }),
  cause: fc.constantFrom<NonNullable<Reply["cause"]>[]>("end_token", "end_token", "end_of_conversation", "max_tokens"),
});

test("whatever the models do, data holds whole rounds and each token was prefilled once per model", async () => {
  const script = fc.infiniteStream(reply);
  const window = fc.integer({ min: 3, max: 120 });
  await fc.assert(
    fc.asyncProperty(
      script,
      script,
      window,
      window,
      fc.boolean(),
      async (us, as, userWindow, assistantWindow, seeded) => {
        const next = (replies: typeof us) => () => replies.next().value;
        const user = new SpellingModel("user", next(us), userWindow);
        const assistant = new SpellingModel("assistant", next(as), assistantWindow);
        const seedRounds = seeded ? [{ user: "hello", assistant: "hi" }] : [];
        const dialogue = await playWell(dialogueRequest(user, assistant, { seedRounds, maxTurns: 6 }));
        dialogue.turns.forEach((turn, index) => {
          expect(turn.role).toBe(index % 2 === 0 ? "user" : "assistant");
          expect(turn.turn).toBe(1 + Math.floor(index / 2));
          expect(turn.content.trim()).not.toBe("");
          expect(turn.origin?.cause).not.toBe("window");
        });
        expect(dialogue.turns.length % 2).toBe(0);
        expect(dialogue.discarded.length).toBeLessThanOrEqual(2);

        for (const model of [user, assistant]) {
          for (const [index, prompt] of model.prompts.entries()) {
            const before = model.prompts[index - 1] ?? [];
            expect(prompt.slice(0, before.length)).toEqual(before);
          }
          const said = [...dialogue.turns, ...dialogue.discarded].filter((turn) => turn.role === model.info.role);
          const origins = said.flatMap((turn) => turn.origin ?? []);
          const decoded = origins.reduce((sum, origin) => sum + origin.tokenIds.length, 0);
          const last = origins.at(-1);
          const context = last === undefined ? 0 : last.usage.promptTokens + last.tokenIds.length;
          expect(dialogue.usage[model.info.role].prefilledTokens + decoded).toBe(context);
          expect(model.sessions.size).toBe(0);
        }
      },
    ),
    { numRuns: 200 },
  );
});
