// Rules language-characters and language-statistical: which conversations are in the language that is trained.
// A simulator that saw people switch languages would switch too; people who ask for a translation have a reason.
import { francAll } from "franc";
import type { Conversation } from "../conversation.ts";
import type { Clean } from "./rule.ts";

/** Below this many letters a guess is worth nothing. */
const MIN_LETTERS = 200;
/** Enough for a sure guess; the rest of a long text would only cost time. */
const MAX_UNITS = 4000;
/** The target may be this much behind the best guess: a few foreign names are enough for a near miss. */
const MIN_SHARE_OF_BEST = 0.995;
/** Small neighbours of large languages (Scots, Sardinian) are guessed for the large ones far more often than they are met. */
const LARGE_LANGUAGES =
  "arb ben bul cat ces cmn dan deu ell eng fin fra guj heb hin hrv hun ind ita jpn kor lit nld nno pan pes pol por ron rus slk slv spa srp swe swh tam tel tha tur ukr urd vie zlm".split(
    " ",
  );

/** Somebody asks for a translation. */
export function isTranslation({ utterances }: Conversation): boolean {
  return utterances.some(({ role, content }) => role === "user" && /\b[Tt]ranslat\w+/.test(content));
}

/** Drops a conversation in which any utterance has a character from U+0080 to U+FFFF; emoji beyond are kept. */
export const languageByCharacters: Clean = (conversation) =>
  // Without the flag u, so that halves of surrogate pairs are looked at one by one and told apart from the range.
  conversation.utterances.some(({ content }) => hasForeignCharacter(content)) ? null : conversation;

function hasForeignCharacter(text: string): boolean {
  return /[\u0080-\ud7ff\ue000-\uffff]/.test(text);
}

/** Drops a conversation one side of which is in another language, as the letters' frequencies tell. */
export function languageByStatistics(target: string): Clean {
  return (conversation) => {
    const isOther = (["user", "assistant"] as const).some((role) => {
      const prose = proseOf(conversation, role);
      return lettersOf(prose) >= MIN_LETTERS && !isIn(prose, target);
    });
    return isOther ? null : conversation;
  };
}

/** The side's words without code, which is in no language. */
function proseOf({ utterances }: Conversation, role: "user" | "assistant"): string {
  let prose = "";
  for (const utterance of utterances) {
    if (utterance.role === role) prose += `${utterance.content.replaceAll(/```[^]*?(?:```|$)|`[^`\n]*`/g, " ")}\n`;
    if (prose.length >= MAX_UNITS) break;
  }
  return prose.slice(0, MAX_UNITS);
}

const lettersOf = (text: string) => text.match(/\p{L}/gu)?.length ?? 0;

function isIn(text: string, target: string): boolean {
  const guess = francAll(text, { only: [...LARGE_LANGUAGES, target] }).find(([language]) => language === target);
  return guess !== undefined && guess[1] >= MIN_SHARE_OF_BEST;
}
