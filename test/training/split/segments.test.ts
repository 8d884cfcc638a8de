// Holds where sessions are cut: the paper's vectors, its program's fault, and what is true of every session.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ModelRole } from "../../../runtime/chat-model.ts";
import { type SplitRule, splitSession } from "../../../training/split/segments.ts";

const MAX = 100;

/** "h20 g30" and the cuts as names of utterances. */
function cut(rule: SplitRule, text: string): readonly string[] {
  const turns = text.split(" ");
  const names = turns.map((turn, index) => `${turn[0] ?? ""}${index}`);
  const lengths = turns.map((turn) => Number(turn.slice(1)));
  const roles = turns.map((turn): ModelRole => (turn.startsWith("h") ? "user" : "assistant"));
  return segmentsOf(rule, roles, lengths).map(({ from, to }) => names.slice(from, to + 1).join(" "));
}

function segmentsOf(rule: SplitRule, roles: readonly ModelRole[], lengths: readonly number[], max = MAX) {
  return splitSession(rule, roles, (from, to) => sum(lengths.slice(from, to + 1)) > max);
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe("the paper's rule", () => {
  it.each([
    ["h20 g30 h20 g30 h20 g30", ["h0 g1 h2 g3", "g3 h4 g5"]],
    ["h20 g40 h20 g60 h20 g30", ["h0 g1 h2 g3", "g3 h4 g5"]],
    ["h20 g20 h20 g20 h10", ["h0 g1 h2 g3"]],
    ["h20 g150 h20 g20", ["h0 g1", "g1", "g1 h2 g3"]],
    ["h20 g40 h20 g60", ["h0 g1 h2 g3"]],
  ])("cuts %s as the paper's program does", (session, segments) => {
    expect(cut("paper", session)).toEqual(segments);
  });

  it("makes no empty segments where the first question alone is too long", () => {
    expect(cut("paper", "h150 g20 h20 g20")).toEqual(["g1 h2 g3"]);
    expect(cut("paper", "h150 g150 h20 g20")).toEqual(["g1", "g1", "g1 h2 g3"]);
    expect(cut("paper", "h150")).toEqual([]);
  });
});

describe("the fitting rule", () => {
  it.each([
    ["h20 g30 h20 g30 h20 g30", ["h0 g1 h2 g3", "g3 h4 g5"]],
    ["h20 g40 h20 g60 h20 g10", ["h0 g1", "h2 g3", "g3 h4 g5"]],
    ["h20 g40 h20 g30 h20 g30", ["h0 g1", "g1 h2 g3", "g3 h4 g5"]],
    ["h20 g20 h20 g20 h10", ["h0 g1 h2 g3"]],
    ["h20 g150 h20 g20", ["h2 g3"]],
    ["h150 g20 h20 g20", ["g1 h2 g3"]],
    ["h20", []],
  ])("cuts %s so that each part fits", (session, segments) => {
    expect(cut("fit", session)).toEqual(segments);
  });
});

const anySession = fc.record({
  startsWithUser: fc.boolean(),
  lengths: fc.array(fc.integer({ min: 1, max: 160 }), { maxLength: 30 }),
});

describe("any session", () => {
  it("is cut into segments that are not empty, end with an answer, go forward and share no more than one answer", () => {
    fc.assert(
      fc.property(anySession, fc.constantFrom<SplitRule>("fit", "paper"), ({ startsWithUser, lengths }, rule) => {
        const roles = lengths.map((_, index): ModelRole =>
          (index % 2 === 0) === startsWithUser ? "user" : "assistant",
        );
        const segments = segmentsOf(rule, roles, lengths);
        for (const [index, { from, to }] of segments.entries()) {
          const before = segments[index - 1] ?? { from: 0, to: rule === "fit" ? -1 : 0 };
          expect(to).toBeGreaterThanOrEqual(from);
          expect(roles[to]).toBe("assistant");
          expect(from).toBeGreaterThanOrEqual(before.to);
          expect(to).toBeGreaterThanOrEqual(before.to + (rule === "fit" ? 1 : 0));
        }
      }),
    );
  });

  it("fits the window under the fitting rule, and loses no round that would fit by itself", () => {
    fc.assert(
      fc.property(anySession, ({ startsWithUser, lengths }) => {
        const roles = lengths.map((_, index): ModelRole =>
          (index % 2 === 0) === startsWithUser ? "user" : "assistant",
        );
        const segments = segmentsOf("fit", roles, lengths);
        for (const { from, to } of segments) expect(sum(lengths.slice(from, to + 1))).toBeLessThanOrEqual(MAX);
        for (const [index, role] of roles.entries()) {
          if (role !== "user" || index + 1 >= roles.length || lengths[index]! + lengths[index + 1]! > MAX) continue;
          expect(segments.some(({ from, to }) => from <= index && index < to)).toBe(true);
        }
      }),
    );
  });
});
