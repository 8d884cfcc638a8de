// Rule html-to-markdown: replies that were scraped as HTML become the Markdown that they were before.
// Only whole HTML is touched: HTML that people talk about is text. The repairs are for what the scraped page added.
import { gfm } from "@joplin/turndown-plugin-gfm";
import TurndownService from "turndown";
import { type Clean, mapContents } from "./rule.ts";

const block = "(?:div|p|pre|ol|ul|table|blockquote|h[1-6])";
const startsAsPage = /^<div class="(?:[^"]* )?(?:markdown|prose|whitespace-pre-wrap)[ "]/;
const isAllHtml = new RegExp(`^<${block}[\\s>][^]*</${block}>$`);

const converter = createConverter();

/** Drops conversations that the parser refuses. */
export const htmlToMarkdown: Clean = (conversation) => {
  try {
    return mapContents(conversation, ({ role, content }) => {
      const text = content.trim();
      const isHtml = startsAsPage.test(text) || (role === "assistant" && isAllHtml.test(text));
      return isHtml ? toMarkdown(text) : content;
    });
  } catch {
    return null;
  }
};

function toMarkdown(html: string): string {
  return repairMarkdown(converter.turndown(html).trim());
}

/** Takes out what the page wrote around the words; the order is that of the paper's cleaning. */
export function repairMarkdown(markdown: string): string {
  return (
    markdown
      // "```pythonCopy codeprint()```": the button's words, between the language and the code.
      .replaceAll(/```([\w+#.-]*?)\s*Copy code([^]*?)```/g, (_, language: string, code: string) => {
        const body = code.replace(/^\s*\n/, "").trimEnd();
        return body.trim() === "" ? "" : `\`\`\`${language}\n${body}\n\`\`\``;
      })
      // "2 / 3": which of the regenerated replies it is.
      .replace(/^\d+ \/ \d+/, "")
      .replaceAll(/Copy\d+ chars \/ \d+ words/g, "")
      .replaceAll(/```[\w+#.-]*\s*Copy code\s*```/g, "")
      .replaceAll("\n\n\n", "\n")
      .trim()
  );
}

function createConverter(): TurndownService {
  const service = new TurndownService({
    headingStyle: "atx",
    codeBlockStyle: "fenced",
    bulletListMarker: "-",
    emDelimiter: "*",
    hr: "---",
  });
  service.use(gfm);
  // Models write snake_case and 2 * 3 as they are: backslashes before them would be learnt.
  service.escape = (text) => text;
  service.addRule("codeOfPage", { filter: "pre", replacement: (_, node) => `\n\n${fenceOf(node as HtmlNode)}\n\n` });
  return service;
}

/** What is used of the parser's nodes; the DOM's types are not at hand. */
interface HtmlNode {
  readonly textContent: string | null;
  querySelector(selector: string): HtmlNode | null | undefined;
  getAttribute(name: string): string | null;
}

/** A code block of the page: the language and a button in a bar above, the code below. */
function fenceOf(pre: HtmlNode): string {
  const code = pre.querySelector("code") ?? null;
  const whole = pre.textContent ?? "";
  const bar = /^\s*([\w+#.-]*?)\s*Copy code/.exec(whole);
  const text = code === null ? whole.slice(bar?.[0].length ?? 0) : (code.textContent ?? "");
  const language = /\blanguage-([\w+#.-]+)/.exec(code?.getAttribute("class") ?? "")?.[1] ?? bar?.[1] ?? "";
  if (text.trim() === "") return "";
  const longest = Math.max(2, ...[...text.matchAll(/`{3,}/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text.replace(/\n+$/, "")}\n${fence}`;
}
