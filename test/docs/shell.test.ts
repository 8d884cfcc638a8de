import { describe, expect, it } from "vitest";
import { readCommands, readCurl } from "./shell.ts";

describe("a block is taken apart as a shell would", () => {
  it.each([
    [
      "npm ci && npm start",
      [
        ["npm", "ci"],
        ["npm", "start"],
      ],
    ],
    ["a  b\n\nc", [["a", "b"], ["c"]]],
    ["a # what it does\nb#c", [["a"], ["b#c"]]],
    ["a 'b \"c\"' \"d 'e'\" f'g'", [["a", 'b "c"', "d 'e'", "fg"]]],
    ["a '{\n  1\n}'", [["a", "{\n  1\n}"]]],
    ["a \\\n  b", [["a", "b"]]],
    ["a ''", [["a", ""]]],
  ])("%j", (block, commands) => expect(readCommands(block)).toEqual(commands));

  it("a quote that is not closed is an error", () => {
    expect(() => readCommands("a 'b")).toThrow("A quote is not closed");
  });
});

describe("a curl command", () => {
  it("is read as what it asks for", () => {
    expect(readCurl(["curl", "-N", "http://x/y", "-H", "A: b: c", "-d", "{}"])).toEqual({
      url: "http://x/y",
      headers: { A: "b: c" },
      body: "{}",
    });
  });

  it("with an unknown option, or without an address, is an error", () => {
    expect(() => readCurl(["curl", "--insecure", "http://x"])).toThrow("--insecure");
    expect(() => readCurl(["curl", "-N"])).toThrow("No address");
  });
});
