// Owns made-up text in several languages: sentences, lists, code, as Markdown or as the HTML of a scraped page.
// Words come as often as in a given text, with names and numbers between that come once. It knows no sessions.
import type { Random } from "./random.ts";

export interface Voice {
  /** About so many words of prose. */
  paragraph(words: number): string;
  /** The same as a reply: paragraphs, a list or code. */
  markdown(words: number): string;
  page(words: number): string;
}

/** One word in so many is a name or a number that no other text has: tokenizers remember words, and must not know all of them. */
const newWordEvery = 25;

const foreignWords: readonly string[] = [
  "el la de que y en los del se las por un para con una su al lo como más pero sus le ya o este sí porque esta cuando muy sin sobre también niño año",
  "le la les des une et à il être et en avoir que pour dans ce qui ne sur se pas plus pouvoir par je avec tout faire son été même français où là",
  "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat daß sie nach über größe möglich",
  "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой что весь год так о для ты же все тот мочь",
];

/** Voices of people: plain English, English with typographic quotes and dashes, and one of several other languages. */
export function voicesOf(english: readonly string[], random: Random) {
  const plain = () => english[random.below(english.length)] ?? "";
  const others = foreignWords.map((words) => words.split(" "));
  const chinese = () =>
    Array.from({ length: 1 + random.below(12) }, () => String.fromCharCode(0x4e00 + random.below(3000))).join("");
  const all = others.map((words) => voiceOf(random, () => words[random.below(words.length)] ?? "", ["", ""]));
  const foreign = [...all, voiceOf(random, chinese, ["", ""])];
  return {
    english: voiceOf(random, plain, ["", ""]),
    curly: voiceOf(random, plain, ["“", "”"]),
    foreign: () => foreign[random.below(foreign.length)]!,
  };
}

function voiceOf(random: Random, word: () => string, [open, close]: readonly [string, string]): Voice {
  const sentence = (length: number): string => {
    const words = Array.from({ length }, () => (random.below(newWordEvery) === 0 ? newWord(random) : word()));
    const text = words.join(" ");
    const isQuoted = open !== "" && random.below(4) === 0;
    const whole = isQuoted ? `${open}${text}${close}` : text;
    return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}${[".", ".", ".", "?", ",", ":"][random.below(6)]}`;
  };
  const paragraph = (words: number): string => {
    const sentences: string[] = [];
    for (let left = words; left > 0;) {
      const length = Math.min(left, 4 + random.below(20));
      sentences.push(sentence(length));
      left -= length;
    }
    return sentences.join(" ");
  };
  const parts = (words: number): readonly Part[] => {
    const made: Part[] = [];
    for (let left = words; left > 0;) {
      const length = Math.min(left, 20 + random.below(80));
      const draw = random.below(10);
      if (draw < 6 || length < 20) made.push({ kind: "prose", text: paragraph(length) });
      else if (draw < 8) made.push({ kind: "list", items: [1, 2, 3, 4].map(() => paragraph(Math.ceil(length / 4))) });
      else made.push({ kind: "code", ...codeOf(random, Math.ceil(length / 6)) });
      left -= length;
    }
    return made;
  };
  return {
    paragraph,
    markdown: (words) => parts(words).map(asMarkdown).join("\n\n"),
    page: (words) =>
      `<div class="markdown prose w-full break-words dark:prose-invert light">${parts(words).map(asHtml).join("")}</div>`,
  };
}

type Part =
  | { readonly kind: "prose"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  | { readonly kind: "code"; readonly language: string; readonly lines: readonly string[] };

function asMarkdown(part: Part): string {
  if (part.kind === "prose") return part.text;
  if (part.kind === "list") return part.items.map((item, index) => `${index + 1}. ${item}`).join("\n");
  return `\`\`\`${part.language}\n${part.lines.join("\n")}\n\`\`\``;
}

function asHtml(part: Part): string {
  if (part.kind === "prose") return `<p>${part.text}</p>`;
  if (part.kind === "list") return `<ol>${part.items.map((item) => `<li><p>${item}</p></li>`).join("")}</ol>`;
  const bar = `<div class="flex items-center text-xs"><span>${part.language}</span><button class="flex ml-auto gap-2">Copy code</button></div>`;
  const code = part.lines.map((line) => line.replaceAll("&", "&amp;").replaceAll("<", "&lt;")).join("\n");
  return `<pre><div class="bg-black mb-4 rounded-md">${bar}<div class="p-4 overflow-y-auto"><code class="!whitespace-pre hljs language-${part.language}">${code}\n</code></div></div></pre>`;
}

function codeOf(random: Random, lines: number): { readonly language: string; readonly lines: readonly string[] } {
  const language = ["python", "javascript", "bash", "sql"][random.below(4)] ?? "python";
  const line = (): string => {
    const [left, right] = [random.name(3 + random.below(6)), random.name(3 + random.below(6))];
    const indent = "    ".repeat(random.below(3));
    const forms = [
      `${indent}${left} = ${right}(${random.below(1000)}, "${left}")`,
      `${indent}if ${left} < len(${right}):`,
      `${indent}return [${left} for ${left} in ${right} if ${left} > ${random.below(100)}]`,
      `${indent}print(f"{${left}}: {${right}}")`,
      "",
    ];
    return forms[random.below(forms.length)] ?? "";
  };
  return { language, lines: Array.from({ length: lines }, line) };
}

function newWord(random: Random): string {
  const draw = random.below(3);
  if (draw === 0) return String(random.below(100_000));
  if (draw === 1) return random.name(3 + random.below(8));
  const syllables = ["ka", "ro", "mi", "ten", "sul", "var", "lo", "nes", "pra", "du"];
  const name = Array.from({ length: 2 + random.below(3) }, () => syllables[random.below(syllables.length)]).join("");
  return name.charAt(0).toUpperCase() + name.slice(1);
}
