// Owns taking apart the commands of the documentation: words as a shell would see them, and what a curl command asks for.
// It runs nothing.

/** The commands of a block, each as words. Knows quotes, `&&`, comments and continued lines; nothing else. */
export function readCommands(block: string): string[][] {
  const commands: string[][] = [[]];
  let word: string | null = null;
  let quote: string | null = null;
  const endWord = () => {
    if (word === "&&") commands.push([]);
    else if (word !== null) commands.at(-1)?.push(word);
    word = null;
  };
  for (let index = 0; index < block.length; index += 1) {
    const char = block[index] ?? "";
    if (quote !== null) {
      if (char === quote) quote = null;
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (char === "#" && word === null) {
      while (index + 1 < block.length && block[index + 1] !== "\n") index += 1;
    } else if (char === "\\" && block[index + 1] === "\n") {
      endWord();
      index += 1;
    } else if (/\s/.test(char)) {
      endWord();
      if (char === "\n") commands.push([]);
    } else word = (word ?? "") + char;
  }
  if (quote !== null) throw new Error(`A quote is not closed in: ${block}`);
  endWord();
  return commands.filter((words) => words.length > 0);
}

export interface CurlRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** Throws for options that the documentation has not used so far. */
export function readCurl(words: readonly string[]): CurlRequest {
  const headers: Record<string, string> = {};
  let url: string | null = null;
  let body: string | null = null;
  const rest = words.slice(1);
  while (rest.length > 0) {
    const word = rest.shift() ?? "";
    if (word === "-N") continue;
    if (word === "-d") body = rest.shift() ?? "";
    else if (word === "-H") {
      const [, name = "", value = ""] = /^([^:]+): (.*)$/.exec(rest.shift() ?? "") ?? [];
      headers[name] = value;
    } else if (word.startsWith("http") && url === null) url = word;
    else throw new Error(`Unknown to this test: ${word} in ${words.join(" ")}`);
  }
  if (url === null) throw new Error(`No address in: ${words.join(" ")}`);
  return { url, headers, body };
}
