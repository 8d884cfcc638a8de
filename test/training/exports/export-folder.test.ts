import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Conversation } from "../../../training/conversation.ts";
import { type ModelText, openModelText } from "../../../training/examples/model-text.ts";
import { exportFolder, type ExportOptions } from "../../../training/exports/export-folder.ts";
import { tokenized } from "../../../training/exports/tokenized.ts";
import { conversation } from "../../support/conversations.ts";
import { writeModelFolder } from "../../support/model-folder.ts";
import { lettersOf, tiny } from "../../support/tokenizers.ts";

const never = new AbortController().signal;
let scratch = "";
let model: ModelText;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "exports-"));
  model = await openModelText(await writeModelFolder(join(scratch, "model")));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

function optionsFor(name: string, more: Partial<ExportOptions> = {}): ExportOptions {
  return {
    format: tokenized,
    role: "user",
    model,
    maxTokens: null,
    out: join(scratch, name),
    isReplacing: false,
    learnsEnd: false,
    created: new Date("2026-01-02T03:04:05Z"),
    funnel: () => ({ read: 3 }),
    measures: () => Promise.resolve(null),
    onExported() {},
    onLeftOut() {},
    ...more,
  };
}

const given = (...all: readonly (Conversation & { isHeldOut?: boolean })[]) =>
  all.map((one) => Object.assign({}, one, { isHeldOut: one.isHeldOut ?? false }));

const linesOf = async (path: string): Promise<unknown[]> =>
  (await readFile(path, "utf8"))
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);

const row = (id: string, letter: string) => ({
  id,
  input_ids: [tiny.begin, tiny.user, ...lettersOf(letter), tiny.end],
  labels: [-100, -100, ...lettersOf(letter), tiny.end],
});

describe("a folder of ids", () => {
  it("has the held-out part in a file of its own, and says for which model the ids are right", async () => {
    const options = optionsFor("ids");
    const [a, b] = [conversation(["a", "x"], { id: "a" }), conversation(["b", "x"], { id: "b" })];
    const record = await exportFolder(given(a, { ...b, isHeldOut: true }), options, never);
    expect(await linesOf(join(options.out, "train.jsonl"))).toEqual([row("a", "a")]);
    expect(await linesOf(join(options.out, "heldout.jsonl"))).toEqual([row("b", "b")]);
    expect(JSON.parse(await readFile(join(options.out, "meta.json"), "utf8"))).toEqual(record);
    expect(record).toMatchObject({
      role: "user",
      maxTokens: 64,
      model: { id: "tiny", templateHash: model.template.hash, template: model.templateSource },
      counts: { conversations: 2, train: 1, heldout: 1, tokens: 8, trainedTokens: 4, truncated: 0 },
      funnel: { read: 3 },
    });
    expect(await linesOf(join(options.out, "_meta.heldout.jsonl"))).toMatchObject([{ id: "b", rows: 1 }]);
    expect((await readdir(options.out)).toSorted()).toEqual(
      ["README.md", "_meta.heldout.jsonl", "_meta.train.jsonl", "heldout.jsonl", "meta.json", "train.jsonl"].toSorted(),
    );
  });

  it("counts what it leaves out and what it cuts, and tells", async () => {
    const told: string[] = [];
    const options = optionsFor("counts", {
      maxTokens: 5,
      onLeftOut: (one, reason) => told.push(`${one.id}: ${reason}`),
    });
    const record = await exportFolder(
      given(
        conversation(["a", "b", "cccc"], { id: "cut" }),
        conversation(["aaaaaaaa", "b"], { id: "long" }),
        conversation(["a"], { id: "none", first: "assistant" }),
      ),
      options,
      never,
    );
    expect(record.counts).toMatchObject({ conversations: 1, truncated: 1, cutTurns: 1 });
    expect(told).toEqual(["long: first trained turn ends beyond the most tokens", "none: no turn to train on"]);
    expect(Object.values(record.leftOut)).toEqual([1, 1]);
    expect(await readFile(join(options.out, "README.md"), "utf8")).toContain("1 cut at the end, 1 trained turns lost");
  });
});

describe("a folder has its name only when it is whole:", () => {
  it("an error or an abort leaves nothing behind, and what was there before", async () => {
    const options = optionsFor("whole");
    await exportFolder(given(conversation(["a", "b"], { id: "old" })), options, never);
    const before = await readdir(scratch);
    async function* broken() {
      yield* given(conversation(["a", "b"]));
      throw new Error("the source broke");
    }
    const replacing = { ...options, isReplacing: true };
    await expect(exportFolder(broken(), replacing, never)).rejects.toThrow("the source broke");
    await expect(exportFolder(given(conversation(["a"])), replacing, AbortSignal.abort())).rejects.toThrow("aborted");
    expect(await readdir(scratch)).toEqual(before);
    expect(await linesOf(join(options.out, "train.jsonl"))).toMatchObject([{ id: "old" }]);
  });

  it("a name that is taken is refused before the work, unless it may be replaced", async () => {
    const options = optionsFor("taken");
    await exportFolder(given(conversation(["a", "b"], { id: "old" })), options, never);
    await expect(exportFolder([], options, never)).rejects.toThrow("is already there; --force replaces it.");
    await exportFolder(given(conversation(["a", "b"], { id: "new" })), { ...options, isReplacing: true }, never);
    expect(await linesOf(join(options.out, "train.jsonl"))).toMatchObject([{ id: "new" }]);
  });
});
