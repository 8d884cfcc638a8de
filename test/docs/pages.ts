// Owns reading the documentation: its pages, their fenced blocks, links and headings.
// It does not know what they ought to say.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");

export interface Page {
  /** From the repository's root. */
  readonly file: string;
  readonly text: string;
}

/** Every page people are meant to read. */
export function readPages(): Page[] {
  const files = globSync(["*.md", "docs/**/*.md", "models/*.md"], { cwd: root }).map(String).toSorted();
  return files.map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }));
}

/** The insides of the page's blocks fenced as `language`; the empty string means those without one. */
export function fencedBlocks({ text }: Page, language: string): string[] {
  const blocks: string[] = [];
  let open: { readonly isWanted: boolean; readonly indent: string; readonly lines: string[] } | null = null;
  for (const line of text.split("\n")) {
    const fence = /^(\s*)```(\w*)\s*$/.exec(line);
    if (fence === null) open?.lines.push(line.slice(open.indent.length));
    else if (open === null) open = { isWanted: fence[2] === language, indent: fence[1] ?? "", lines: [] };
    else {
      if (open.isWanted) blocks.push(open.lines.join("\n"));
      open = null;
    }
  }
  return blocks;
}

/** Targets of the page's links, code left out. */
export function links({ text }: Page): string[] {
  const prose = text.replaceAll(/^\s*```[\s\S]*?^\s*```/gm, "").replaceAll(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
}

/** What `#…` may name on the page. */
export function anchors({ text }: Page): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s-]/gu, "")
      .replaceAll(/\s/g, "-"),
  );
}
