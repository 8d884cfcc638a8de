// Holds what a row of each format becomes, told by its fields alone.
import { expect, it } from "vitest";
import { readOne, readText, textOf, told } from "./source-files.ts";

it("reads ShareGPT under all names of the speakers; segments of a session are one group", async () => {
  const names = ["human", "gpt", "user", "assistant", "user", "bing", "user", "bard", "user", "chatgpt"];
  const conversations = names.map((from, index) => ({ from, value: `${index}` }));
  const read = await readOne({ id: "03iMgaN_89", conversations: [{ from: "system", value: "S" }, ...conversations] });
  expect(read.utterances.map(({ role }) => role)).toEqual(names.map((_, at) => (at % 2 === 0 ? "user" : "assistant")));
  expect(read).toMatchObject({
    id: "03iMgaN_89",
    group: "03iMgaN",
    origin: { row: 1 },
    system: { user: null, assistant: "S" },
    isComplete: false,
    provenance: { format: "sharegpt" },
  });
});

it("takes groups from what rows of a session, a tree or a worker have in common, else a row is its own", async () => {
  const conversations = [{ from: "human", value: "a" }];
  const group = async (fields: object) => (await readOne({ ...fields, conversations })).group;
  expect(await group({ id: "oasst-1", source: "oasst", tree: "t" })).toBe("t");
  expect(await group({ id: "x", worker: 7 })).toBe("7");
  expect(await group({ id: "identity_0" })).toBe("identity_0");
  expect(await group({ session_id: "s", num_of_rounds: 1 })).toBe("s");
  expect(await group({})).toBe("data-1");
});

it("keeps what the shared dialogues tell about themselves", async () => {
  const conversations = [{ from: "human", value: "a" }];
  const fields = { id: "tm4-1", source: "taskmaster-4", domain: "coffee", scenario: "latte", is_complete: true };
  expect(await readOne({ ...fields, conversations })).toMatchObject({
    isComplete: true,
    provenance: { format: "sharegpt", source: "taskmaster-4", domain: "coffee", scenario: "latte" },
  });
});

it("reads OpenAI's messages, text in parts, and weight 0 as context", async () => {
  const read = await readOne({
    messages: [
      { role: "developer", content: "S" },
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] },
      { role: "assistant", content: "c", weight: 0 },
      { role: "user", content: "d" },
      { role: "assistant", content: "e", weight: 1 },
    ],
  }); // prettier-ignore
  expect(textOf(read)).toBe("user: ab | assistant: c | user: d | assistant: e");
  expect(read.utterances.map(({ isContext }) => isContext)).toEqual([undefined, true, undefined, undefined]);
  expect(read.system.assistant).toBe("S");
});

it("reads PlatoLM's own form and UltraChat's lists of strings", async () => {
  const conversations = [{ from: "human", value: "a" }, { from: "gpt", value: "b" }]; // prettier-ignore
  expect(await readOne({ session_id: 12, num_of_rounds: 1, conversations })).toMatchObject({
    id: "12",
    provenance: { format: "platolm" },
  });
  const ultrachat = await readOne({ id: "5", data: ["q", "a", "q2"] });
  expect(textOf(ultrachat)).toBe("user: q | assistant: a | user: q2");
});

it("puts the task before the instruction of the three Dolly tasks that need it", async () => {
  const row = { instruction: "Who?", context: "Somebody did.", response: "Somebody", category: "closed_qa" };
  expect(textOf(await readOne(row))).toBe("user: This is a closed qa task.\nWho?\nSomebody did. | assistant: Somebody");
  expect(textOf(await readOne({ ...row, context: "", category: "open_qa" }))).toBe("user: Who? | assistant: Somebody");
});

it("reads Evol-Instruct in its three shapes and leaves out what came from Alpaca, counted", async () => {
  const conversations = [{ from: "human", value: "a" }, { from: "gpt", value: "b" }]; // prettier-ignore
  const rows = [
    { idx: "x_1", conversations },
    { idx: "alpaca_9", conversations },
    { instruction: "i", output: "o" },
    { idx: 1, Skill: "Math", Difficulty: 1, Instruction: "I" },
  ];
  expect((await readText(rows.map((row) => JSON.stringify(row)).join("\n"))).map(told)).toEqual([
    "user: a | assistant: b",
    "2: alpaca",
    "user: i | assistant: o",
    "user: I",
  ]);
});

it("reads the first instance of a Self-Instruct seed", async () => {
  const row = { id: "seed_task_0", name: "n", instruction: "Do", instances: [{ input: "it", output: "done" }] };
  expect(textOf(await readOne(row))).toBe("user: Do\nit | assistant: done");
});

const reply = (id: string, replies: readonly object[], more: object = {}) => ({
  message_id: id,
  role: id.startsWith("p") ? "prompter" : "assistant",
  text: id,
  replies,
  ...more,
});

it("makes a conversation of every way through a tree, and leaves out what was withdrawn, counted", async () => {
  const tree = reply("p0", [
    reply("a1", [reply("p2", [reply("a3", [])]), reply("p4", [])]),
    reply("a5", [reply("p6", [])], { deleted: true }),
    reply("a7", [reply("p8", [], { review_result: false })]),
  ]);
  const rows = await readText(JSON.stringify({ message_tree_id: "t", prompt: tree }));
  expect(rows.map(told)).toEqual([
    "1: withdrawn message",
    "user: p0 | assistant: a1 | user: p2 | assistant: a3",
    "user: p0 | assistant: a1 | user: p4",
    "1: withdrawn message",
    "user: p0 | assistant: a7",
  ]);
  const groups = rows.flatMap((row) => (row.kind === "conversation" ? [row.conversation.group] : []));
  expect(groups).toEqual(["t", "t", "t"]);
});

const messageRow = (tree: string, id: string, parent: string | null) =>
  JSON.stringify({ message_tree_id: tree, parent_id: parent, ...reply(id, []) });

it("gathers the messages of a tree that come as rows of their own", async () => {
  const rows = [
    messageRow("t", "p0", null),
    messageRow("t", "a1", "p0"),
    messageRow("t", "a2", "p0"),
    messageRow("u", "p3", null),
    messageRow("v", "a4", "p9"),
    '{"conversations":[{"from":"human","value":"x"}]}',
  ];
  expect((await readText(rows.join("\n"))).map(told)).toEqual([
    "user: p0 | assistant: a1",
    "user: p0 | assistant: a2",
    "user: p3",
    "5: holds messages of a tree whose prompt is not among them.",
    "user: x",
  ]);
});

it("takes the format that it is told, whatever the fields say", async () => {
  const row = JSON.stringify({ instruction: "i", output: "o", response: "r", category: "c" });
  expect((await readText(row)).map(told)).toEqual(["user: i | assistant: r"]);
  expect((await readText(row, "wizardlm")).map(told)).toEqual(["user: i | assistant: o"]);
});
