// Whoever lacks Python or PyTorch is told in a sentence what to do, before anything is trained.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkPython, PythonError } from "../../../training/train/python.ts";

const never = new AbortController().signal;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "python-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program that answers the probe with a line of its own. */
async function python(name: string, script: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

async function complaint(program: string): Promise<string> {
  const error: unknown = await checkPython(program, ["torch", "transformers"], never).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(PythonError);
  return (error as PythonError).message;
}

test("a program that does not exist", async () => {
  expect(await complaint("no-such-python")).toBe(
    'There is no program "no-such-python": install Python 3.10 or newer, or name one with --python or REALCHAT_PYTHON',
  );
});

test("a program that is no Python", async () => {
  const program = await python("broken", "echo 'cannot load library' >&2; exit 127");
  expect(await complaint(program)).toBe(`"${program}" is no Python that works (cannot load library)`);
});

test("a Python that is too old", async () => {
  const program = await python("old", "echo 3 9");
  expect(await complaint(program)).toBe(
    `"${program}" is Python 3.9, and the recipe needs 3.10 or newer: name another with --python`,
  );
});

test("a Python without PyTorch names what is missing and the command that installs it", async () => {
  const program = await python("bare", "echo 3 11 torch transformers");
  const said = await complaint(program);
  expect(said).toContain(`"${program}" has no torch and no transformers: install what the recipe needs with`);
  expect(said).toMatch(/-m pip install -r .*training\/recipes\/pytorch\/requirements\.txt$/);
});

test("a Python that has all", async () => {
  const program = await python("good", "echo 3 12");
  expect(await checkPython(program, ["torch"], never)).toBeUndefined();
});
