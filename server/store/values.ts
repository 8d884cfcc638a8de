// Owns what a value must look like to be stored: PostgreSQL's text knows no NUL, its JSON no half of a surrogate pair.
// Models can say both; the sampled ids keep what was said.

/** Without what PostgreSQL's text cannot hold. */
export const toText = (text: string): string => text.replaceAll("\u0000", "").toWellFormed();

/** For a `::jsonb` parameter. */
export const toJsonText = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === "string" ? toText(inner) : inner));
