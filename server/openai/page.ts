// Owns the shape of a page of objects: OpenAI's lists.

/** A page as OpenAI's lists are. */
export function listOf(data: readonly Readonly<Record<string, unknown>>[], hasMore: boolean) {
  const [first, last] = [data[0], data.at(-1)];
  return { object: "list", data, first_id: first?.["id"] ?? null, last_id: last?.["id"] ?? null, has_more: hasMore };
}
