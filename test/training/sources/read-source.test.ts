// Holds how files become rows: lines and arrays, packed or not, folders, broken rows, and bounded memory.
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { readRawRows } from "../../../training/sources/raw-rows.ts";
import { readSource } from "../../../training/sources/read-source.ts";
import { folderOf, never, noStore, readText, rowsOf, textOf, told } from "./source-files.ts";

const said = (text: string) => ({ conversations: [{ from: "human", value: text }] });
const line = (text: string) => JSON.stringify(said(text));

it("reads lines and arrays alike, with a byte order mark, CRLF or white space before them", async () => {
  const expected = ["user: a", "user: b"];
  for (const content of [
    `${line("a")}\n${line("b")}`,
    `\uFEFF${line("a")}\r\n\r\n${line("b")}\r\n`,
    JSON.stringify([said("a"), said("b")]),
    `\uFEFF \n${JSON.stringify([said("a"), said("b")], null, 2)}\n`,
    gzipSync(`${line("a")}\n${line("b")}\n`),
  ]) {
    expect((await readText(content)).map(told)).toEqual(expected);
  }
});

const places = (rows: Awaited<ReturnType<typeof readText>>) =>
  rows.map((row) => (row.kind === "conversation" ? row.conversation.origin : row.origin).row);

it("numbers rows as an editor does: blank lines count, elements go from 1", async () => {
  expect(places(await readText(`\n${line("a")}\n\nnot\n${line("b")}`))).toEqual([2, 4, 5]);
  expect(places(await readText(`[${line("a")}, 5, ${line("b")}]`))).toEqual([1, 2, 3]);
});

it("reports every broken row with the reason and reads on", async () => {
  const rows = [
    "{",
    "5",
    '{"a":1}',
    '{"conversations":[]}',
    '{"conversations":[{"from":"dog","value":"x"}]}',
    '{"conversations":[{"from":"human"}]}',
    '{"conversations":[{"from":"human","value":"\\ud83d"}]}',
    '{"conversations":[{"from":"human","value":"a"},{"from":"system","value":"b"}]}',
    '{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}',
    line("last"),
  ];
  expect((await readText(rows.join("\n"))).map(told)).toEqual([
    "1: is not JSON.",
    "2: must be a JSON object.",
    "3: is of no known format; its fields are a.",
    "4: 'conversations' holds no turn of either side.",
    "5: 'conversations[0].from' is 'dog', which is no speaker's name.",
    "6: 'conversations[0].value' is missing.",
    "7: 'conversations[0].value' holds an unpaired surrogate.",
    "8: 'conversations[1]' is a system message that comes after the first turn.",
    "9: 'messages[0].content[0]' is no text.",
    "user: last",
  ]);
  const bytes = Buffer.concat([Buffer.from(`${line("a")}\n{"x":"`), Buffer.from([0xff]), Buffer.from('"}')]);
  expect((await readText(bytes)).map(told)).toEqual(["user: a", "2: is not UTF-8."]);
});

it("says that an array is cut off, and what comes after its end", async () => {
  expect((await readText(`[${line("a")}, {"conv`)).map(told)).toEqual([
    "user: a",
    "2: is cut off: the file ends before the bracket that closes its array.",
  ]);
  expect((await readText(`[${line("a")}] ${line("b")}`)).map(told)).toEqual([
    "user: a",
    "2: comes after the end of the file's array.",
  ]);
});

it("passes over a row that is longer than a row may be, in lines and in arrays", async () => {
  const long = line("x".repeat(1000));
  for (const content of [`${line("a")}\n${long}\n${line("b")}`, `[${line("a")},${long},${line("b")}]`]) {
    const pieces = content.match(/[^]{1,7}/g) ?? [];
    const rows = await Array.fromAsync(readRawRows(chunks(pieces), 100));
    expect(rows.map((row) => ("broken" in row ? row.broken : JSON.parse(row.bytes.toString())))).toEqual([
      said("a"),
      `has ${long.length} bytes, and a row may have 100.`,
      said("b"),
    ]);
  }
});

it("cuts any JSON into the same rows wherever the chunks end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.json(), { minLength: 1 }), fc.integer({ min: 1, max: 9 }), async (values, size) => {
      // The first line must not look like an array.
      for (const content of [["{}", ...values].join("\n"), `[{} ,${values.join(" ,")}]`]) {
        const bytes = Buffer.from(content);
        const pieces: Buffer[] = [];
        for (let from = 0; from < bytes.length; from += size) pieces.push(bytes.subarray(from, from + size));
        const rows = await Array.fromAsync(readRawRows(chunks(pieces)));
        const parsed = rows.map((row): unknown => ("bytes" in row ? JSON.parse(row.bytes.toString()) : row));
        expect(parsed).toEqual(["{}", ...values].map((value): unknown => JSON.parse(value)));
      }
    }),
  );
});

it("reads the data files of a folder in the order of their names, and says where there are none", async () => {
  const folder = await folderOf({ "b.json": `[${line("2")}]`, "a.jsonl.gz": gzipSync(line("1")), "c.txt": "no" });
  expect((await rowsOf(folder)).map(told)).toEqual(["user: 1", "user: 2"]);
  const empty = await folderOf({ "c.txt": "no" });
  await expect(rowsOf(empty)).rejects.toThrow(`${empty} holds no .json, .jsonl or .ndjson file`);
});

it("names the file that cannot be read", async () => {
  const folder = await folderOf({ "cut.jsonl.gz": gzipSync(line("x".repeat(5000))).subarray(0, 40) });
  await expect(rowsOf(join(folder, "none.json"))).rejects.toThrow(
    `${folder}/none.json cannot be read: there is no such file or folder.`,
  );
  await expect(rowsOf(folder)).rejects.toThrow(/cut\.jsonl\.gz cannot be read: unexpected end of file/);
});

it("reads no more of a file than is taken", async () => {
  const folder = await folderOf({ "a.jsonl": `${`${line("x".repeat(2000))}\n`.repeat(5000)}{` });
  for await (const row of readSource(folder, { format: null, store: noStore }, never)) {
    expect(row.kind === "conversation" && textOf(row.conversation)).toMatch(/^user: xxx/);
    break;
  }
});

async function* chunks(pieces: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}
