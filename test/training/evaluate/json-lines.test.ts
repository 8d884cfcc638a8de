import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { openRowLog, readRows } from "../../../training/evaluate/json-lines.ts";

const schema = z.object({ n: z.int() });

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "rows-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

it("a half-written last row is cut off, and rows added at once do not mix", async () => {
  const path = join(await folder(), "new/rows.jsonl");
  const first = await openRowLog(path, schema);
  expect(first.before).toEqual([]);
  await Promise.all(Array.from({ length: 50 }, (_, n) => first.append({ n })));
  await first.close();
  await writeFile(path, `${await readFile(path, "utf8")}{"n":5`);
  const second = await openRowLog(path, schema);
  expect(second.before).toHaveLength(50);
  await second.append({ n: 50 });
  await second.close();
  expect((await readRows(path, schema)).map(({ n }) => n)).toEqual(Array.from({ length: 51 }, (_, n) => n));
});

it("any other row that cannot be read is refused with its line", async () => {
  const path = join(await folder(), "rows.jsonl");
  await writeFile(path, '{"n":1}\n{"n":"a"}\n{"n":2}\n');
  await expect(openRowLog(path, schema)).rejects.toThrow(`${path}, line 2: field n: `);
  expect(await readFile(path, "utf8")).toContain('"a"');
  await expect(readRows(`${path}.none`, schema)).rejects.toThrow(`${path}.none cannot be read.`);
  await writeFile(`${path}.gz`, gzipSync('{"n":1}\n'));
  expect(await readRows(`${path}.gz`, schema)).toEqual([{ n: 1 }]);
});
