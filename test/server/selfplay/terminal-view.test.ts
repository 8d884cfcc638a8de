// What a person sees of a dialogue, event by event.
import { expect, test } from "vitest";
import { type Paint, TerminalView } from "../../../server/selfplay/terminal-view.ts";
import { toWireEvent } from "../../../server/selfplay/wire.ts";
import { dialogueRequest, play } from "./play.ts";
import { type Script, SpellingModel } from "./spelling-model.ts";

const plain: Paint = (_, text) => text;
const tagged: Paint = (style, text) => `<${style}>${text}</${style}>`;

/** The screen after a dialogue in which every event takes 100 ms. */
async function screen(user: Script, assistant: Script, paint = plain, maxTurns: number | null = null): Promise<string> {
  const view = new TerminalView(paint);
  const models = [new SpellingModel("user", user), new SpellingModel("assistant", assistant)] as const;
  const { events } = await play(dialogueRequest(...models, { maxTurns }));
  const options = { format: "openai", createdAtS: 0, hasTokenIds: false } as const;
  const shown = events.map((event, index) => view.show(toWireEvent("dlg", event, options), index * 100));
  return shown.join("") + view.summary("cancelled");
}

test("turns stand below each other, and the last line says how it ended, how long and how fast it was", async () => {
  expect(await screen([" Hi", ""], ["Yo\nman"])).toBe(
    [
      "user       Hi",
      "assistant  Yo",
      "           man",
      "user       (nothing)",
      "",
      "empty_turn · 1 turn · 12 tokens in 1.6 s · 7.5 tokens/s · seed 7",
      "",
    ].join("\n"),
  );
});

test("each side has its own colour", async () => {
  const shown = await screen(["a"], ["b"], tagged, 1);
  expect(shown).toContain("<bold><cyan>user       </cyan></bold><cyan>a</cyan>");
  expect(shown).toContain("<bold><green>assistant  </green></bold><green>b</green>");
  expect(shown).toContain("<dim>max_turns · 1 turn");
});

test("a turn that was said and does not count is marked, one in which nothing was said is not", async () => {
  expect(await screen(["a"], [{ text: "", cause: "end_of_conversation" }])).toContain(
    [
      "user       a",
      "assistant  (ends the conversation)",
      "           (the user's turn 1 is taken back)",
      "",
      "end_token · 0 turns",
    ].join("\n"),
  );
});

test("a turn that did not end by itself says why it ended", async () => {
  expect(await screen([{ text: "a", cause: "max_tokens" }], ["b"], plain, 1)).toContain("user       a [max_tokens]\n");
});

test("a dialogue that never came to its end is summed up from what was seen", () => {
  const view = new TerminalView(plain);
  view.show({ type: "turn_start", role: "user", turn: 1 }, 0);
  expect(view.show({ type: "token", role: "user", turn: 1, text: "a" }, 1000)).toBe("a");
  expect(view.summary("cancelled")).toBe("\n\ncancelled · 0 turns · 0 tokens in 1.0 s · 0.0 tokens/s\n");
  expect(new TerminalView(plain).summary("cancelled")).toBe("\ncancelled · 0 turns · 0 tokens in 0.0 s\n");
});

test("a model's control characters never reach the terminal, and unknown events are passed over", () => {
  const view = new TerminalView(plain);
  const token = { type: "token", role: "user", turn: 1, text: "a\u001b[2J\u0007\tb\u009b" };
  expect(view.show(token, 0)).toBe("a[2J\tb");
  expect(view.show({ type: "weather", sky: "blue" }, 0)).toBe("");
});
