// Holds each cleaning rule on the smallest conversation that shows it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exactDuplicates, nearDuplicates } from "../../../training/clean/duplicates.ts";
import { HashSet64 } from "../../../training/clean/hash-set.ts";
import { isTranslation, languageByCharacters, languageByStatistics } from "../../../training/clean/language.ts";
import {
  emptyMessage,
  lineEnds,
  mentions,
  oneUtterance,
  rateLimit,
  repeatedSpeaker,
} from "../../../training/clean/text-rules.ts";
import { textOf } from "../sources/source-files.ts";
import { conversation } from "./conversations.ts";

const question = ["user", "q"] as const;
const asks = (text: string) => conversation(["user", text], ["assistant", "a"]);

it("line-ends makes one kind of them, and ids that stood for other words go", () => {
  const before = asks("a\r\nb\rc");
  const sampled = {
    ...before,
    utterances: before.utterances.map((turn) => Object.assign({}, turn, { tokenIds: [1] })),
  };
  expect(lineEnds(sampled)?.utterances).toEqual([
    { role: "user", content: "a\nb\nc" },
    { role: "assistant", content: "a", tokenIds: [1] },
  ]);
  const clean = asks("a\nb");
  expect(lineEnds(clean)).toBe(clean);
});

it("one-utterance drops what nobody answered", () => {
  expect(oneUtterance(conversation(question))).toBeNull();
  expect(oneUtterance(asks("q"))).not.toBeNull();
});

it("mentions drops a conversation in which either side names the model or its maker, in any case", () => {
  for (const text of ["OpenAI", "as ChatGPT,", "xopenaix"]) expect(mentions(asks(text))).toBeNull();
  expect(mentions(conversation(question, ["assistant", "I am ChatGPT"]))).toBeNull();
  expect(mentions(asks("open AI, chat GPT"))).not.toBeNull();
});

it("rate-limit cuts before the service's error, and only where the assistant begins with it", () => {
  const error = "Too many requests in 1 hour. Try again later.";
  const cut = rateLimit(conversation(question, ["assistant", "a"], question, ["assistant", error], question));
  expect(cut && textOf(cut)).toBe("user: q | assistant: a | user: q");
  expect(cut?.isComplete).toBe(false);
  expect(rateLimit(conversation(["assistant", error], question))).toBeNull();
  const second = "Only one message at a time. Please allow any other responses to complete.";
  expect(rateLimit(conversation(question, ["assistant", second]))?.utterances).toHaveLength(1);
  const quoted = conversation(["user", error], ["assistant", `It says: ${error}`]);
  expect(rateLimit(quoted)).toBe(quoted);
});

it("empty-message cuts before the first message without words", () => {
  const cut = emptyMessage(conversation(question, ["assistant", "a"], ["user", " \n"], ["assistant", "b"]));
  expect(cut && textOf(cut)).toBe("user: q | assistant: a");
  expect(emptyMessage(conversation(["user", ""]))).toBeNull();
});

it("repeated-speaker joins what one speaker sent in a row", () => {
  const joined = repeatedSpeaker(conversation(question, ["user", "r"], ["user", "s"], ["assistant", "a"]));
  expect(joined?.utterances.map(({ content }) => content)).toEqual(["q\n\nr\n\ns", "a"]);
  const alternating = asks("q");
  expect(repeatedSpeaker(alternating)).toBe(alternating);
});

function isKept(language: string, user: string, assistant: string): boolean {
  return languageByStatistics(language)(conversation(["user", user], ["assistant", assistant])) !== null;
}

describe("language", () => {
  it("by characters goes by the range that the paper's program looks at", () => {
    for (const text of ["voilà", "“q”", "a — b", "20°", "中", "\u00a0"])
      expect(languageByCharacters(asks(text))).toBeNull();
    for (const text of ["plain", "a 😀 b", "tab\t\u007f"]) expect(languageByCharacters(asks(text))).not.toBeNull();
  });

  it("excepts whoever asks for a translation, on the user's side alone", () => {
    expect(isTranslation(asks("please Translate this"))).toBe(true);
    expect(isTranslation(asks("a translation"))).toBe(true);
    expect(isTranslation(asks("mistranslated, TRANSLATE, translat"))).toBe(false);
    expect(isTranslation(conversation(question, ["assistant", "translated"]))).toBe(false);
  });

  const english =
    "The weather in the north of the country has been rather cold this week, and most of the people who live there have stayed at home with a good book, a cup of tea and the radio for company, waiting for the sun to come back to them.";
  const german =
    "Das Wetter im Norden des Landes war in dieser Woche ziemlich kalt, und die meisten Leute, die dort leben, sind mit einem guten Buch, einer Tasse Tee und dem Radio zu Hause geblieben und haben darauf gewartet, dass die Sonne endlich zu ihnen zurückkommt.";

  it("by statistics drops a conversation one side of which is in another language", () => {
    expect(isKept("eng", english, english)).toBe(true);
    expect(isKept("eng", english, german)).toBe(false);
    expect(isKept("eng", german, english)).toBe(false);
    expect(isKept("deu", german, german)).toBe(true);
    expect(isKept("eng", "Guten Tag", "Hallo")).toBe(true);
    expect(isKept("eng", english, "```\n".concat(german, "\n```"))).toBe(true);
  });
});

describe("duplicates", () => {
  it("exact ones have the same words in a row, whoever says them", () => {
    const rule = exactDuplicates();
    expect(rule(conversation(["user", "ab"], ["assistant", "c"]))).not.toBeNull();
    expect(rule(conversation(["user", "a"], ["assistant", "bc"]))).toBeNull();
    expect(rule(conversation(["user", "a"], ["assistant", "b"]))).not.toBeNull();
  });

  it("near ones share four of five runs of words", () => {
    const rule = nearDuplicates();
    const words = Array.from({ length: 200 }, (_, index) => `word${index}`);
    expect(rule(asks(words.join(" ")))).not.toBeNull();
    expect(rule(asks(words.with(100, "other").join(" ")))).toBeNull();
    expect(rule(asks(words.toReversed().join(" ")))).not.toBeNull();
  });

  it("near ones are not made by an answer that a split repeats", () => {
    const rule = nearDuplicates();
    const answer = Array.from({ length: 200 }, (_, index) => `word${index}`).join(" ");
    const before = conversation(["user", "q"], ["assistant", answer]);
    const after = conversation(["assistant", answer], ["user", "and then?"], ["assistant", "nothing"]);
    expect(rule(before)).not.toBeNull();
    const [context, ...fresh] = after.utterances;
    expect(context && rule({ ...after, utterances: [{ ...context, isContext: true }, ...fresh] })).not.toBeNull();
    expect(rule(after)).toBeNull();
  });

  it("the set of hashes is a set, also while it grows and where hashes meet", () => {
    const word = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(
      fc.property(fc.array(fc.tuple(word, word), { maxLength: 3000 }), (hashes) => {
        const ours = new HashSet64();
        const real = new Set<string>();
        for (const [low, high] of hashes) {
          const name = low === 0 && high === 0 ? "1 0" : `${low} ${high}`;
          expect(ours.add(low, high)).toBe(!real.has(name));
          real.add(name);
        }
        expect(ours.size).toBe(real.size);
      }),
      { numRuns: 20 },
    );
  });
});
