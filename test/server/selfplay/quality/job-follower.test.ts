import { expect, it } from "vitest";
import { JobFollower } from "../../../../server/selfplay/quality/job-follower.ts";
import { RunningQuality } from "../../../../training/measures/job-quality.ts";
import { toQualityDialogue } from "../../../../server/selfplay/quality/of-stored.ts";
import type { Json, StoredDialogue, StoredTurn } from "../../../../server/selfplay/store/records.ts";

const usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
const turn = (ordinal: number, content: string, changes: Partial<StoredTurn> = {}): StoredTurn => ({
  ordinal,
  role: ordinal % 2 === 0 ? "user" : "assistant",
  turn: Math.floor(ordinal / 2) + 1,
  content,
  origin: { cause: "end_token", seed: 1, usage, tokenIds: [] },
  isKept: true,
  firstTokenMs: null,
  durationMs: null,
  ...changes,
});
const dialogue = (index: number, texts: readonly string[], changes: Partial<StoredDialogue> = {}): StoredDialogue => ({
  jobId: "job_1",
  index,
  status: "completed",
  stopReason: "window",
  stoppedBy: "user",
  record: null,
  seedItem: null,
  quality: null,
  error: null,
  attempts: 1,
  startedAtMs: 0,
  endedAtMs: 0,
  turns: texts.map((text, ordinal) => turn(ordinal, text)),
  ...changes,
});

/** A store of one job, read two dialogues at a time. */
function setUp(dialogues: StoredDialogue[]) {
  const written = new Map<number, Json>();
  const open = (): JobFollower =>
    new JobFollower(
      "job_1",
      {
        read: async (after) => dialogues.filter(({ index }) => index > after).slice(0, 2),
        write: async (index, flags) => {
          const stored = dialogues[index];
          if (stored !== undefined) dialogues[index] = { ...stored, quality: flags };
          written.set(index, flags);
        },
      },
      new RunningQuality({ tokenizer: { name: "letters/1", countTokens: (text) => text.length } }),
    );
  return { open, written };
}

it("dialogues are measured up to the first that has not ended, then on from there", async () => {
  const dialogues = ["why", "what", "how"].map((word, index) => dialogue(index, [`${word} is it so`, `since ${word}`]));
  const [, second] = dialogues;
  if (second === undefined) throw new Error("three dialogues");
  dialogues[1] = { ...second, status: "running", stopReason: null };
  const { open, written } = setUp(dialogues);
  const follower = open();
  expect((await follower.catchUp()).dialogues.kept).toBe(1);
  expect([...written.keys()]).toEqual([0]);
  dialogues[1] = second;
  const [snapshot, again] = await Promise.all([follower.catchUp(), follower.catchUp()]);
  expect(snapshot.dialogues).toMatchObject({ seen: 3, kept: 3 });
  expect(again).toBe(snapshot);
  expect([...written.keys()]).toEqual([0, 1, 2]);
});

it("another gateway comes to the same figures and writes nothing again", async () => {
  const { open, written } = setUp([
    dialogue(0, ["why is it so", "since it is"]),
    dialogue(1, [], { status: "failed", stopReason: "error" }),
    dialogue(2, ["Why is it so", "since it is"]),
    dialogue(3, ["cut off", "there"], { status: "cancelled", stopReason: "cancelled" }),
  ]);
  const snapshot = await open().catchUp();
  expect(snapshot.dialogues).toEqual({
    seen: 2,
    kept: 1,
    empty: 0,
    exactDuplicates: 1,
    nearDuplicates: 0,
    uncompared: 0,
  });
  expect(written.get(2)).toEqual({
    exact_duplicate: true,
    near_duplicate: false,
    opener_collision: true,
    duplicate_of: expect.stringMatching(/0$/),
  });
  expect([...written.keys()]).toEqual([0, 2]);
  written.clear();
  expect(await open().catchUp()).toEqual(snapshot);
  expect(written.size).toBe(0);
});

it("a store that fails is asked again", async () => {
  let failures = 1;
  const follower = new JobFollower(
    "job_1",
    {
      async read() {
        failures -= 1;
        if (failures === 0) throw new Error("the store is gone");
        return [];
      },
      async write() {},
    },
    new RunningQuality({ tokenizer: { name: "letters/1", countTokens: (text) => text.length } }),
  );
  await expect(follower.catchUp()).rejects.toThrow("the store is gone");
  expect((await follower.catchUp()).dialogues.seen).toBe(0);
});

it("what counts are whole rounds, with given turns, refused drafts and causes told apart", () => {
  const stored = dialogue(0, ["given", "too", "", "mine", "yours", "left alone"], {
    seedItem: { id: "item 7", row: 7 },
  });
  const turns = stored.turns.map((one, index) => (index < 2 ? Object.assign({}, one, { origin: null }) : one));
  const draft = turn(2, "as an AI", { isKept: false, rejection: "reasoning_leak" });
  const kept = [...turns.slice(0, 2), draft, turn(2, "mine"), turn(3, "yours"), turn(4, "left alone")];
  expect(toQualityDialogue("id", { ...stored, turns: kept })).toEqual({
    id: "id",
    turns: [
      { role: "user", content: "given" },
      { role: "assistant", content: "too" },
      { role: "user", content: "mine" },
      { role: "assistant", content: "yours" },
    ],
    stopReason: "window",
    givenTurns: 2,
    rejectedDrafts: 1,
    intent: null,
    seedKey: "item 7",
    turnCauses: ["end_token", "end_token"],
  });
});

it("the item of a job in mode intent or profile is what its user was after", () => {
  const found = ["intent", "profile", "seeded"].map((mode) => {
    const stored = dialogue(0, ["hi", "ho"], { record: { mode }, seedItem: { id: "1", prompt: "buy a car" } });
    return toQualityDialogue("id", stored)?.intent;
  });
  expect(found).toEqual(["buy a car", "buy a car", null]);
});
