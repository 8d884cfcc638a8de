import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ModelRole } from "../../../runtime/chat-model.ts";
import { decodeText } from "../../../runtime/text/text-stream.ts";
import type { Conversation } from "../../../training/conversation.ts";
import { makeExample } from "../../../training/examples/example.ts";
import { type ModelText, openModelText } from "../../../training/examples/model-text.ts";
import { exportFolder } from "../../../training/exports/export-folder.ts";
import type { Format } from "../../../training/exports/format.ts";
import { formats } from "../../../training/exports/formats.ts";
import { opener } from "../../../training/exports/turns.ts";
import { anyConversation } from "../../support/conversations.ts";
import { writeModelFolder } from "../../support/model-folder.ts";
import { lettersOf } from "../../support/tokenizers.ts";
import { type Dialogue, dialogueOf, parquetRows, readBack } from "./read-back.ts";

const never = new AbortController().signal;
const roles: readonly ModelRole[] = ["user", "assistant"];
let scratch = "";
let models: Record<ModelRole, ModelText>;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "round-trip-"));
  const user = await openModelText(await writeModelFolder(join(scratch, "user")));
  const assistant = await openModelText(await writeModelFolder(join(scratch, "assistant"), { role: "assistant" }));
  models = { user, assistant };
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const fullOptions = { maxTokens: 4096, isLearningEnd: false };

const isHeldOut = ({ id }: Conversation) => Number(id.slice(1)) % 3 === 2;

async function exported(format: Format, role: ModelRole, given: readonly Conversation[], model: ModelText | null) {
  const out = join(scratch, "out");
  const kept: Conversation[] = [];
  const base = { format, role, model, maxTokens: 4096, out, isReplacing: true, learnsEnd: false };
  const incoming = given.map((one, index) => Object.assign({}, one, { id: `c${index}`, isHeldOut: index % 3 === 2 }));
  await exportFolder(
    incoming,
    {
      ...base,
      created: new Date(0),
      funnel: () => null,
      measures: () => Promise.resolve(null),
      onExported: (one) => kept.push(one),
      onLeftOut() {},
    },
    never,
  );
  return { out, train: kept.filter((one) => !isHeldOut(one)), heldout: kept.filter(isHeldOut) };
}

/** What a format is known to lose. */
function expectedOf(one: Conversation, format: Format, role: ModelRole): Dialogue {
  const { system, turns } = dialogueOf(one, role);
  const losesSystem = ["fastchat", "platolm"].includes(format.name);
  // Asked by nobody, it is not trained, and these trainers refuse it.
  const trainsGreeting = format.userSide === "swap" || ["trl", "unsloth"].includes(format.name);
  const [first] = turns;
  // What stands in the place of nobody's words cannot be told from the same words of somebody.
  const isOpener = format.userSide === "swap" && role === "user" && first?.content === opener;
  const losesGreeting = first?.role === "assistant" && (isOpener || (trainsGreeting && role === "assistant"));
  return { system: losesSystem ? null : system, turns: losesGreeting ? turns.slice(1) : turns };
}

async function labelsOf(given: Conversation, role: ModelRole): Promise<readonly number[] | string> {
  const result = await makeExample(given, models[role], { role, ...fullOptions }, never);
  return result.kind === "example" ? result.example.labels : result.kind;
}

const greetedWith = (content: string): Conversation => ({
  id: "c0",
  group: "c0",
  origin: { file: "test.jsonl", row: 1 },
  system: { user: null, assistant: null },
  utterances: [
    { role: "assistant", content },
    { role: "user", content: "hi" },
    { role: "assistant", content: "hi you" },
  ],
  isComplete: false,
  provenance: {},
});
const several = fc.array(anyConversation(), { minLength: 1, maxLength: 4 });
const textFormats = formats.filter(
  ({ userSide, name }) => userSide !== "ids" && !["trl-completion", "dpo"].includes(name),
);

describe.each(roles)(
  "whatever is said, an export of the %s's side is read back as it was, with the same labels:",
  (role) => {
    it.each(textFormats)("$name", async (format) => {
      await fc.assert(
        fc.asyncProperty(several, async (given) => {
          const { out, ...kept } = await exported(format, role, given, null);
          for (const part of ["train", "heldout"] as const) {
            const expected = kept[part].map((one) => expectedOf(one, format, role));
            const isThere = part === "train" || kept.heldout.length > 0;
            const back = isThere ? await readBack(out, format, role, part) : [];
            expect(back).toEqual(expected);
            for (const [index, { turns }] of back.entries()) {
              const original = kept[part][index] as Conversation;
              const skipped = original.utterances.length - turns.length;
              const imported = { ...original, utterances: [...original.utterances.slice(0, skipped), ...turns] };
              expect(await labelsOf(imported, role)).toEqual(await labelsOf(original, role));
            }
          }
        }),
        { numRuns: 8, examples: [[[greetedWith(opener)]]] },
      );
    });
  },
);

describe.each(roles)("exports of ids hold the labels of the %s's side for any text:", (role) => {
  it.each(formats.filter(({ userSide }) => userSide === "ids"))("$name", async (format) => {
    await fc.assert(
      fc.asyncProperty(several, async (given) => {
        const { out, train } = await exported(format, role, given, models[role]);
        const isParquet = format.name !== "tokenized";
        const rows = isParquet
          ? await parquetRows(join(out, "train.parquet"))
          : (await readFile(join(out, "train.jsonl"), "utf8"))
              .split("\n")
              .slice(0, -1)
              .map((line) => JSON.parse(line) as Record<string, unknown>);
        expect(rows).toHaveLength(train.length);
        for (const [index, row] of rows.entries()) {
          const original = train[index] as Conversation;
          const result = await makeExample(original, models[role], { role, ...fullOptions }, never);
          expect(result.kind).toBe("example");
          const { inputIds, labels, spans } = (result as Extract<typeof result, { kind: "example" }>).example;
          expect([row["input_ids"], row["labels"]]).toEqual([inputIds, labels]);
          const spoken = spans.map(({ start, end }) => {
            return decodeText(models[role].tokenizer, (row["input_ids"] as number[]).slice(start, end));
          });
          const own = spans.map(({ utterance }) => original.utterances[utterance ?? -1]?.content);
          expect(spoken).toEqual(own);
        }
      }),
      { numRuns: 8 },
    );
  });
});

it("sampled ids come out as they went in", async () => {
  const tokenIds = lettersOf("hi");
  const [first] = fc.sample(anyConversation(), 1);
  const utterances = [{ role: "user", content: "hi", tokenIds }] as const;
  const given = { ...(first as Conversation), utterances, system: { user: null, assistant: null } };
  const format = formats.find(({ name }) => name === "tokenized") as Format;
  const { out } = await exported(format, "user", [given], models.user);
  const row = JSON.parse(await readFile(join(out, "train.jsonl"), "utf8")) as { input_ids: number[] };
  expect(row.input_ids.slice(2, 4)).toEqual(tokenIds);
});
