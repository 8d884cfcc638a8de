// Owns how text becomes HTML: whatever is put into a template is escaped, so that nothing a data set says is ever markup.
// It knows no page and no plot.

/** HTML that may stand as it is. Made by `html` and by `trustedMarkup` alone. */
export class Markup {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

type Insertion = string | number | Markup | readonly Markup[];

/** A template of HTML. Strings and numbers are escaped, for elements and for quoted attributes alike; Markup stands as it is. */
export function html(parts: TemplateStringsArray, ...insertions: readonly Insertion[]): Markup {
  const inserted = insertions.map((insertion, index) => toSource(insertion) + (parts[index + 1] ?? ""));
  return new Markup((parts[0] ?? "") + inserted.join(""));
}

/** For output of a renderer that escapes by itself. */
export function trustedMarkup(source: string): Markup {
  return new Markup(source);
}

function toSource(insertion: Insertion): string {
  if (typeof insertion === "string") return escapeHtml(insertion);
  if (typeof insertion === "number") return String(insertion);
  return insertion instanceof Markup ? insertion.source : insertion.map(({ source }) => source).join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Characters that HTML and XML allow nowhere become the replacement character. */
function escapeHtml(text: string): string {
  const allowed = Array.from(text.toWellFormed(), (character) => (isControl(character) ? "\ufffd" : character)).join(
    "",
  );
  return allowed.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}

function isControl(character: string): boolean {
  const code = character.charCodeAt(0);
  return (code < 32 && code !== 9 && code !== 10 && code !== 13) || (code >= 127 && code < 160);
}
