// A multipart body is read the same however the network cuts it, is never held whole, and whatever is none is refused.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ApiError } from "../../../server/openai/error.ts";
import { boundaryOf, readField, readParts } from "../../../server/openai/multipart.ts";

interface ReadPart {
  readonly name: string;
  readonly filename: string | null;
  readonly bytes: Buffer;
}

/** Cuts at the given places. */
async function* cut(bytes: Uint8Array, places: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const place of [...places].toSorted((a, b) => a - b)) {
    const to = Math.max(from, Math.min(place, bytes.length));
    yield bytes.subarray(from, to);
    from = to;
  }
  yield bytes.subarray(from);
}

async function readAll(chunks: AsyncIterable<Uint8Array>, boundary: string): Promise<ReadPart[]> {
  const parts: ReadPart[] = [];
  for await (const { name, filename, body } of readParts(chunks, boundary)) {
    const pieces: Buffer[] = [];
    for await (const piece of body) pieces.push(piece);
    parts.push({ name, filename, bytes: Buffer.concat(pieces) });
  }
  return parts;
}

const text = (body: string) => cut(Buffer.from(body), []);
const part = (headers: string, body: string) => `--b\r\n${headers}\r\n\r\n${body}\r\n`;
const field = 'Content-Disposition: form-data; name="a"';

describe("what the platform's own forms write", () => {
  const name = fc.string({ unit: "binary", maxLength: 20 }).filter((word) => word.isWellFormed());
  // A nameless file is told from a field by nobody.
  const filename = name.filter((word) => word !== "");
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    // What looks like the beginning of a boundary, over and over.
    fc.string({ unit: fc.constantFrom("\r", "\n", "-", "f"), maxLength: 200 }).map((word) => Buffer.from(word)),
  );

  it("comes back, wherever it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ name, filename: fc.option(filename), value }), { maxLength: 4 }),
        fc.array(fc.nat(2000), { maxLength: 12 }),
        async (parts, places) => {
          const form = new FormData();
          for (const { name: key, filename: called, value: bytes } of parts) {
            if (called === null) form.append(key, bytes.toString("latin1"));
            else form.append(key, new Blob([new Uint8Array(bytes)]), called);
          }
          // The form makes line ends of field names and values whole; what it would hand out itself is what must come.
          const response = new Response(form);
          const boundary = boundaryOf(response.headers.get("content-type") ?? "");
          const body = new Uint8Array(await response.arrayBuffer());
          const again = await new Response(body, { headers: response.headers }).formData();
          const expected = await Promise.all(
            [...again].map(async ([key, sent]) =>
              typeof sent === "string"
                ? { name: key, filename: null, bytes: Buffer.from(sent) }
                : { name: key, filename: sent.name, bytes: Buffer.from(await sent.arrayBuffer()) },
            ),
          );
          expect(await readAll(cut(body, places), boundary)).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });
});

it("parts that are not read, or only begun, are skipped", async () => {
  const body = `${part('Content-Disposition: form-data; name="x"; filename="f"', "1".repeat(1000))}${part(field, "2")}--b--`;
  const names: string[] = [];
  for await (const { name } of readParts(text(body), "b")) names.push(name);
  expect(names).toEqual(["x", "a"]);
  names.length = 0;
  const pieces = cut(Buffer.from(body), [100, 200, 300]);
  for await (const { name, body: rest } of readParts(pieces, "b")) {
    for await (const _piece of rest) break;
    names.push(name);
  }
  expect(names).toEqual(["x", "a"]);
});

it("a large part is handed on in pieces, and no more is read than is taken", async () => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  let read = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n');
    for (;;) {
      read += chunk.length;
      yield chunk;
    }
  }
  let taken = 0;
  for await (const { body } of readParts(endless(), "b")) {
    for await (const piece of body) {
      expect(piece.length).toBeLessThanOrEqual(2 * chunk.length);
      taken += piece.length;
      if (taken > 10 * chunk.length) break;
    }
    break;
  }
  expect(read - taken).toBeLessThanOrEqual(2 * chunk.length);
});

it.each([
  ['form-data; name="file"; filename="a\\"b\\\\c.jsonl"', 'a"b\\c.jsonl'],
  ['form-data; name="file"; filename="a%22b.jsonl"', 'a"b.jsonl'],
  ["form-data; name=file; filename=plain.jsonl", "plain.jsonl"],
  ["form-data; name=\"file\"; filename*=UTF-8''na%C3%AFve.jsonl", "naïve.jsonl"],
  ['form-data; name="file"; filename="naïve.jsonl"', "naïve.jsonl"],
  ['form-data; name="file"', null],
])("the names of %s are read", async (disposition, filename) => {
  const [read] = await readAll(text(`${part(`Content-Disposition: ${disposition}`, "x")}--b--`), "b");
  expect(read).toEqual({ name: "file", filename, bytes: Buffer.from("x") });
});

describe("what is no form is refused in a sentence", () => {
  it.each([
    ["nothing at all", "", "it ends before its last boundary"],
    ["no last boundary", part(field, "1"), "it ends before its last boundary"],
    ["a boundary that goes on", "--bc\r\n\r\n", "a boundary is followed by something else than a part"],
    ["a part without a name", `${part("Content-Disposition: form-data", "1")}--b--`, "a part has no name"],
    ["a part without headers", "--b\r\n\r\n1\r\n--b--", "a part has no name"],
    ["headers without end", `--b\r\nX: ${"y".repeat(20_000)}`, "the headers of a part are too long"],
    [
      "an encoding",
      `${part(`${field}\r\nContent-Transfer-Encoding: base64`, "1")}--b--`,
      "a part has a transfer encoding",
    ],
  ])("%s", async (_name, body, reason) => {
    const reading = readAll(text(body), "b");
    await expect(reading).rejects.toThrow(`We could not parse the multipart body of your request: ${reason}.`);
    await expect(reading).rejects.toBeInstanceOf(ApiError);
  });

  it.each([
    [
      "application/json",
      "Unsupported content type 'application/json'. Send the body as 'Content-Type: multipart/form-data'.",
    ],
    [undefined, "Unsupported content type ''. Send the body as 'Content-Type: multipart/form-data'."],
    ["multipart/form-data", "its content type names no boundary"],
    [`multipart/form-data; boundary=${"x".repeat(300)}`, "its content type names no boundary"],
  ])("the content type %s", (contentType, message) => {
    expect(() => boundaryOf(contentType)).toThrow(message);
  });

  it("a field that is too long", async () => {
    const [first] = await Array.fromAsync(readParts(text(`${part(field, "12345")}--b--`), "b"), (read) =>
      readField(read, 4).catch((error: unknown) => error),
    );
    expect(first).toMatchObject({ status: 400, body: { param: "a", code: "string_above_max_length" } });
  });
});
