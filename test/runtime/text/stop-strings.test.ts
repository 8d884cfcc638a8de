import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createStopStrings } from "../../../runtime/text/stop-strings.ts";

interface Outcome {
  readonly text: string;
  readonly isStopped: boolean;
}

/** The rule, said as plainly as possible: the first end of a stop string, and of those that end there the longest. */
function cutNaively(text: string, stops: readonly string[]): Outcome {
  for (let end = 1; end <= text.length; end++) {
    const matches = stops.filter((stop) => stop !== "" && text.slice(0, end).endsWith(stop));
    if (matches.length > 0)
      return { text: text.slice(0, end - Math.max(...matches.map((stop) => stop.length))), isStopped: true };
  }
  return { text, isStopped: false };
}

/** The longest end of a text that begins a stop string without being one. */
function heldNaively(text: string, stops: readonly string[]): string {
  for (let from = 0; from < text.length; from++) {
    const end = text.slice(from);
    if (stops.some((stop) => stop.startsWith(end))) return end;
  }
  return "";
}

function scan(pieces: readonly string[], stops: readonly string[]): Outcome {
  const stopStrings = createStopStrings(stops);
  let text = "";
  for (const piece of pieces) {
    const found = stopStrings.push(piece);
    text += found.text;
    if (found.isStopped) return { text, isStopped: true };
  }
  return { text: text + stopStrings.flush(), isStopped: false };
}

// Few letters, so that stop strings overlap with themselves, with each other and with the text.
const letters = fc.string({ unit: fc.constantFrom("a", "b", "🙂") });
const stopsOf = fc.array(letters, { maxLength: 4 });
const piecesOf = fc.array(letters, { maxLength: 8 });

describe("any text and any stop strings", () => {
  it("are cut as the rule says, however the text is split", () => {
    fc.assert(
      fc.property(piecesOf, stopsOf, (pieces, stops) => {
        expect(scan(pieces, stops)).toEqual(cutNaively(pieces.join(""), stops));
      }),
      { numRuns: 2000 },
    );
  });

  it("hold back exactly the longest end that can still become a stop string", () => {
    fc.assert(
      fc.property(piecesOf, stopsOf, (pieces, stops) => {
        const stopStrings = createStopStrings(stops);
        let pushed = "";
        let shown = "";
        for (const piece of pieces) {
          pushed += piece;
          const found = stopStrings.push(piece);
          if (found.isStopped) return;
          shown += found.text;
          expect(pushed.slice(shown.length)).toBe(heldNaively(pushed, stops));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

it.each([
  [["Hello wor", "ld"], [" world"], { text: "Hello", isStopped: true }],
  [["abcd"], ["bc", "abcd"], { text: "a", isStopped: true }],
  [["xabc"], ["bc", "abc", "c"], { text: "x", isStopped: true }],
  [["aa", "ab"], ["aab"], { text: "a", isStopped: true }],
  [["one\n", "\ntwo"], ["\n\n"], { text: "one", isStopped: true }],
  [["never\n"], ["\n\n"], { text: "never\n", isStopped: false }],
  [["text"], [], { text: "text", isStopped: false }],
  [["text"], [""], { text: "text", isStopped: false }],
])("%j with the stop strings %j gives %j", (pieces, stops, outcome) => {
  expect(scan(pieces, stops)).toEqual(outcome);
});

it("half a character is no stop string inside a whole one", () => {
  const half = "🙂".charAt(1);
  expect(scan(["a🙂b"], [half])).toEqual({ text: "a🙂b", isStopped: false });
});

it("the time does not grow with what is held back", () => {
  const stop = `${"a".repeat(20_000)}b`;
  const start = performance.now();
  expect(
    scan(
      Array.from({ length: 60_000 }, () => "a"),
      [stop],
    ).isStopped,
  ).toBe(false);
  expect(performance.now() - start).toBeLessThan(3000);
});
