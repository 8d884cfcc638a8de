// What the flags of `npm run selfplay` stand for: the body that the HTTP endpoint would be sent.
import { expect, test } from "vitest";
import { validate } from "../../../server/openai/validation.ts";
import { helpText, readCommand, UsageError } from "../../../server/selfplay/cli-options.ts";
import { selfplaySchema } from "../../../server/selfplay/schema.ts";

const body = (...lines: string[]) => readCommand(lines.flatMap((line) => line.split(" "))).body;

test("no flags ask for an ordinary dialogue, in this process, shown live", () => {
  const command = readCommand([]);
  expect(command).toMatchObject({ url: null, isJson: false, isHelp: false });
  expect(command.body).toEqual({ system: {}, sampling: { user: {}, assistant: {} } });
});

test("every flag ends up in the body that the endpoint accepts", () => {
  const given = body(
    "--user u --assistant=a --seed -1 --max-turns 4 --format sharegpt",
    "--question q --answer a --user-system house --assistant-system brief",
  );
  expect(given).toEqual({
    user: "u",
    assistant: "a",
    seed: -1,
    max_turns: 4,
    format: "sharegpt",
    messages: [
      { role: "user", content: "q" },
      { role: "assistant", content: "a" },
    ],
    system: { user: "house", assistant: "brief" },
    sampling: { user: {}, assistant: {} },
  });
  expect(validate(selfplaySchema, given)).toMatchObject({ seed: -1, max_turns: 4 });
});

test("a sampling flag is for both sides, and one with a side's name goes before it", () => {
  const given = body(
    "--temperature 0.5 --user-temperature 1 --top-p 0.9 --assistant-top-k -1 --min-p 0.1 --presence-penalty -1",
    "--frequency-penalty 1 --repetition-penalty 1.1 --max-tokens 64 --user-stop ?",
  );
  const shared = { top_p: 0.9, min_p: 0.1, presence_penalty: -1, frequency_penalty: 1, repetition_penalty: 1.1 };
  expect(given["sampling"]).toEqual({
    user: { ...shared, temperature: 1, max_tokens: 64, stop: "?" },
    assistant: { ...shared, temperature: 0.5, max_tokens: 64, top_k: -1 },
  });
  expect(() => validate(selfplaySchema, given)).not.toThrow();
});

test("an address, JSON and help are the command's own", () => {
  expect(readCommand(["--url", "http://localhost:8080", "--json"])).toMatchObject({
    url: "http://localhost:8080",
    isJson: true,
  });
  expect(readCommand(["--help"]).isHelp).toBe(true);
});

test.each([
  [["--temperature", "hot"], /--temperature must be a number, not "hot"\./],
  [["--seed", ""], /--seed must be a number, not ""\./],
  [["--turns", "3"], /'--turns'.*--help lists every option/],
  [["a", "b"], /Unexpected argument 'a'/],
  [["--seed"], /--seed/],
  [["--question", "q"], /--question and --answer/],
  [["--answer", "a"], /--question and --answer/],
])("%j is told apart by one sentence", (argv, says) => {
  expect(() => readCommand(argv)).toThrow(UsageError);
  expect(() => readCommand(argv)).toThrow(says);
});

test("help names every flag", () => {
  for (const name of ["--user <text>", "--seed <number>", "--json", "--temperature <number>", "--stop <text>"]) {
    expect(helpText()).toContain(name);
  }
});
