// Holds what becomes of scraped HTML, on the real example and on what the page put around the words.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ModelRole } from "../../../runtime/chat-model.ts";
import { htmlToMarkdown, repairMarkdown } from "../../../training/clean/html-to-markdown.ts";
import { readOne } from "../sources/source-files.ts";
import { conversation } from "./conversations.ts";

function converted(content: string, role: ModelRole = "assistant"): string | undefined {
  return htmlToMarkdown(conversation([role, content]))?.utterances[0]?.content;
}

const page = (html: string) => `<div class="markdown prose w-full break-words dark:prose-invert light">${html}</div>`;

describe("a scraped reply", () => {
  it("becomes plain words in the real example, and the questions stay as they are", async () => {
    const file = join(import.meta.dirname, "..", "..", "fixtures", "conversations", "sharegpt-raw-html-example.jsonl");
    const raw = await readOne(JSON.parse(await readFile(file, "utf8")));
    const clean = htmlToMarkdown(raw);
    expect(clean?.utterances.map(({ content }) => content.slice(0, 60))).toEqual([
      "Are you familiar with the SAS programming language?",
      "Yes, I am familiar with the SAS programming language. SAS is",
      "Can you write a SAS proc that imports a dataset from a CSV s",
    ]);
    expect(clean?.utterances[1]?.content).not.toMatch(/[<>]/);
    expect(clean?.utterances[0]).toBe(raw.utterances[0]);
  });

  it("keeps code as it was, under the language that the bar above it names", () => {
    const bar = `<div class="flex"><span>python</span><button class="flex ml-auto gap-2"><svg></svg>Copy code</button></div>`;
    const code = `def snake_case(a):\n    return a &lt; 2 * 3 # "x"\n`;
    const block = `<pre><div class="bg-black rounded-md mb-4">${bar}<div class="p-4"><code class="hljs">${code}</code></div></div></pre>`;
    expect(converted(page(`<p>Look:</p>${block}<p>Done</p>`))).toBe(
      'Look:\n\n```python\ndef snake_case(a):\n    return a < 2 * 3 # "x"\n```\n\nDone',
    );
  });

  it("takes the language from the code's class, loses empty blocks, and fences code that holds a fence", () => {
    expect(converted(page(`<pre><code class="language-c++">int x;</code></pre>`))).toBe("```c++\nint x;\n```");
    expect(converted(page(`<p>a</p><pre><button>Copy code</button></pre><p>b</p>`))).toBe("a\n\nb");
    expect(converted(page("<pre><code>```\nx\n```</code></pre>"))).toBe("````\n```\nx\n```\n````");
  });

  it("keeps lists, tables, emphasis and snake_case without backslashes", () => {
    expect(converted(page("<ol><li>one</li><li>two_three * 4</li></ol><p><strong>b</strong> <em>i</em></p>"))).toBe(
      "1.  one\n2.  two_three * 4\n\n**b** *i*",
    );
    const table =
      "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>";
    expect(converted(page(table))).toBe("| a   | b   |\n| --- | --- |\n| 1   | 2   |");
  });

  it("is told from HTML that people talk about", () => {
    const asked = '<div class="card"><p>Why is this red?</p></div>';
    expect(converted(asked, "user")).toBe(asked);
    expect(converted("Use `<p>` like this: <p>hi</p>")).toBe("Use `<p>` like this: <p>hi</p>");
    expect(converted("<p>All of it</p>")).toBe("All of it");
  });
});

describe("what the page wrote around the words", () => {
  it.each([
    ["the button between language and code", "```pythonCopy codeprint(1)\n```", "```python\nprint(1)\n```"],
    ["the button on a line of its own", "```\nCopy code\nx\n```", "```\nx\n```"],
    ["an empty block", "a ```Copy code``` b", "a  b"],
    ["which of the regenerated replies it is", "2 / 3\n\nHello", "Hello"],
    ["lengths", "aCopy12 chars / 3 words", "a"],
    ["three newlines", "a\n\n\nb\n\n\n\nc", "a\nb\n\nc"],
  ])("%s goes", (_, before, after) => {
    expect(repairMarkdown(before)).toBe(after);
  });

  it("stays where it is not at the beginning, or is no counter", () => {
    expect(repairMarkdown("So 1 / 2 is a half")).toBe("So 1 / 2 is a half");
  });
});
