// Owns how generated tables stand in Markdown files: cells, rows, and the markers between which a table is replaced.
// It does not know what the tables say.

/** A Markdown table; bars inside cells are escaped. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map(tableLine).join("\n");
}

const tableLine = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

/** `text` as code, or a dash for nothing. */
export const code = (text: string | number | null) => (text === null ? "–" : `\`${text}\``);

const begin = (name: string) => `<!-- ${name}: printed by \`npm run docs\` -->`;
const end = (name: string) => `<!-- end of ${name} -->`;

/** Puts `table` between the markers of `name`. Throws where they are not there exactly once. */
export function replaceTable(text: string, name: string, table: string): string {
  const [before, middle, ...more] = text.split(`${begin(name)}\n`);
  const [, after, ...evenMore] = (middle ?? "").split(`${end(name)}\n`);
  if (before === undefined || after === undefined || more.length > 0 || evenMore.length > 0) {
    throw new Error(`There must be one line ${begin(name)} and, below it, one line ${end(name)}.`);
  }
  return `${before}${begin(name)}\n\n${table}\n\n${end(name)}\n${after}`;
}
