// Owns made-up ShareGPT sessions that cost what scraped ones cost: prose of varied length, lists, code, replies as the page's HTML,
// other languages, repeats, and the faults that cleaning looks for. The same seed gives the same bytes. It measures nothing.
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Random, randomOf } from "./random.ts";
import { type Voice, voicesOf } from "./synthetic-text.ts";

interface Message {
  readonly from: "human" | "gpt";
  readonly value: string;
}

/** What comes of a hundred sessions; the rest are plain. */
const shares = { repeat: 8, nearRepeat: 4, mention: 6, oneUtterance: 2, foreign: 14, curly: 12, translation: 2 };
/** Of a hundred sessions, those that were scraped as pages. */
const pageShare = 35;
/** Of a thousand sessions. */
const faults = { rateLimit: 4, empty: 6, repeatedSpeaker: 4 };
/** Sessions that a repeat may be of. */
const remembered = 500;

/** Writes sessions, one a line, until the file has that many bytes. */
export async function writeSharegpt(file: string, bytes: number, seed: number): Promise<{ readonly sessions: number }> {
  const random = randomOf(seed);
  const voices = voicesOf(await englishWords(), random);
  const out = createWriteStream(file);
  const recent: (readonly Message[])[] = [];
  let sessions = 0;
  for (let written = 0; written < bytes; sessions += 1) {
    const conversations = sessionOf(random, voices, recent);
    if (recent.length < remembered) recent.push(conversations);
    else recent[random.below(remembered)] = conversations;
    const line = `${JSON.stringify({ id: `${random.name(7)}_0`, conversations })}\n`;
    written += Buffer.byteLength(line);
    if (!out.write(line)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
  return { sessions };
}

type Voices = ReturnType<typeof voicesOf>;

function sessionOf(random: Random, voices: Voices, recent: readonly (readonly Message[])[]): readonly Message[] {
  let draw = random.below(100);
  const isDue = (share: number): boolean => {
    draw -= share;
    return draw < 0 && draw >= -share;
  };
  const earlier = recent[random.below(Math.max(1, recent.length))];
  const isRepeat = isDue(shares.repeat);
  const isNearRepeat = isDue(shares.nearRepeat);
  if (earlier !== undefined && isRepeat) return earlier;
  // Another question before the same answers.
  if (earlier !== undefined && isNearRepeat)
    return [...round(random, voices.english, false).slice(0, 1), ...earlier.slice(1)];
  if (isDue(shares.oneUtterance)) return round(random, voices.english, false).slice(0, 1);
  const isMention = isDue(shares.mention);
  const voice = isDue(shares.foreign) ? voices.foreign() : isDue(shares.curly) ? voices.curly : voices.english;
  const isPage = random.below(100) < pageShare;
  const rounds = 1 + random.geometric(2.5, 40);
  const messages = Array.from({ length: rounds }, () => round(random, voice, isPage)).flat();
  if (isMention) messages.splice(0, 1, { from: "human", value: `Are you ChatGPT? ${messages[0]?.value ?? ""}` });
  if (isDue(shares.translation)) {
    const value = `Translate this into Spanish: ${voices.curly.paragraph(20)}`;
    messages.splice(0, 1, { from: "human", value });
  }
  return withFault(random, messages);
}

function round(random: Random, voice: Voice, isPage: boolean): Message[] {
  const question = voice.paragraph(random.long(18, 400));
  const words = random.long(130, 900);
  return [
    { from: "human", value: question },
    { from: "gpt", value: isPage ? voice.page(words) : voice.markdown(words) },
  ];
}

function withFault(random: Random, messages: readonly Message[]): readonly Message[] {
  const at = random.below(messages.length);
  const draw = random.below(1000);
  const { rateLimit, empty, repeatedSpeaker } = faults;
  if (draw < rateLimit) {
    const value = "Too many requests in 1 hour. Try again later.";
    return messages.map((message, index) => (index === (at | 1) ? { from: "gpt", value } : message));
  }
  if (draw < rateLimit + empty) {
    return messages.map((message, index) => (index === at ? { from: message.from, value: " " } : message));
  }
  const said = messages[at];
  if (draw < rateLimit + empty + repeatedSpeaker && said !== undefined) return messages.toSpliced(at, 0, said);
  return messages;
}

/** As often as they come in the question sets and their reference answers, which never change. */
async function englishWords(): Promise<readonly string[]> {
  const data = join(import.meta.dirname, "..", "..", "training", "evaluate", "data");
  const names = ["question", "reference_answer"].flatMap((name) => [`mt-bench/${name}`, `vicuna-bench/${name}`]);
  const texts = await Promise.all(names.map((name) => readFile(join(data, `${name}.jsonl`), "utf8")));
  const words =
    texts
      .join(" ")
      .replaceAll(/\\[nt"]/g, " ")
      .match(/[a-zA-Z][a-zA-Z']*/g) ?? [];
  return words.filter((word) => !/openai|chatgpt|translat|_/i.test(word));
}
