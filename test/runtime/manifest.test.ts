import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseManifest, readManifest, verifyFiles } from "../../runtime/manifest.ts";
import { manifestJson, writeModelFolder } from "../support/model-folder.ts";

const sha256 = "ab".repeat(32);
const complete = { ...manifestJson(), files: { "model.onnx": { bytes: 1, sha256 } } };
const never = new AbortController().signal;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "manifest-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("parseManifest", () => {
  it("fills in what may be left out", () => {
    expect(parseManifest(complete)).toMatchObject({
      id: "tiny",
      createdAtS: Date.UTC(2026, 0, 2, 3, 4, 5) / 1000,
      responseRole: "assistant",
      isBatchInvariant: false,
      tokens: { stopIds: [4, 5], endOfConversationId: 5, bosId: 0, padId: null },
    });
    expect(parseManifest({ ...complete, responseRole: "user", batchInvariant: true })).toMatchObject({
      responseRole: "user",
      isBatchInvariant: true,
    });
  });

  const { network, tokens } = manifestJson() as { network: object; tokens: object };
  const file = (name: string, value: unknown = { bytes: 1, sha256 }) => ({
    files: { "model.onnx": { bytes: 1, sha256 }, [name]: value },
  });
  it.each([
    [{ schema: 2 }, "field schema is 2, and this version reads 1 only"],
    [{ schema: undefined }, "field schema is missing"],
    [{ id: "../x" }, "field id must be letters"],
    [{ id: "" }, "field id must be letters"],
    [{ role: "judge" }, `field role must be "user" or "assistant", not "judge"`],
    [{ format: "gguf" }, `field format must be "realchat-decoder-1", not "gguf"`],
    [{ kvPrecision: "int3" }, `field kvPrecision must be "float32" or "float16"`],
    [{ contextWindow: 0 }, "field contextWindow must be a positive integer, found 0"],
    [{ contextWindow: "1024" }, `field contextWindow must be a positive integer, found "1024"`],
    [{ createdAt: "yesterday" }, "field createdAt must be a date"],
    [{ responseRole: "system" }, "field responseRole"],
    [{ network: null }, "field network is missing"],
    [{ network: { ...network, kvHeads: 1.5 } }, "field network.kvHeads must be a positive integer, found 1.5"],
    [{ tokens: undefined }, "field tokens is missing"],
    [{ tokens: { ...tokens, stopIds: [] } }, "field tokens.stopIds must be a list of at least one token id below 320"],
    [{ tokens: { ...tokens, stopIds: [320] } }, "field tokens.stopIds"],
    [
      { tokens: { ...tokens, endOfConversationId: 3 } },
      "field tokens.endOfConversationId must be one of tokens.stopIds",
    ],
    [{ tokens: { ...tokens, bosId: -1 } }, "field tokens.bosId must be null or a token id"],
    [{ provenance: "unknown" }, "field provenance must be an object"],
    [{ files: [] }, "field files must be an object"],
    [{ files: {} }, "field files must list model.onnx"],
    [file("../../etc/passwd"), `field files["../../etc/passwd"] must be a path inside the folder`],
    [file("/etc/passwd"), "must be a path inside the folder"],
    [file("a\\..\\b"), "must be a path inside the folder"],
    [file("C:x"), "must be a path inside the folder"],
    [file("a//b"), "must be a path inside the folder"],
    [file("a/.."), "must be a path inside the folder"],
    [file(".hidden"), "must be a path inside the folder"],
    [file("b", 3), `field files["b"] must hold bytes and sha256`],
    [file("b", { bytes: -1, sha256 }), `field files["b"].bytes must be a size in bytes`],
    [file("b", { bytes: 1, sha256: "AB" }), `field files["b"].sha256 must be 64 lower-case hexadecimal digits`],
  ])("refuses %j with the name of the field", (change, sentence) => {
    const refusal = { code: "bad_model", message: expect.stringContaining(sentence) };
    expect(() => parseManifest({ ...complete, ...change })).toThrow(expect.objectContaining(refusal));
  });
});

describe("the hash", () => {
  const { hash } = parseManifest(complete);

  it("does not depend on the order of keys, nor on words about the model", () => {
    const reversed = Object.fromEntries(Object.entries(complete).toReversed());
    expect(parseManifest({ ...reversed, licence: "MIT", provenance: {}, createdAt: "2027-01-01" }).hash).toBe(hash);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    [{ files: { "model.onnx": { bytes: 1, sha256: "cd".repeat(32) } } }],
    [{ files: { "model.onnx": { bytes: 1, sha256 }, "tokenizer.json": { bytes: 1, sha256 } } }],
    [{ tokens: { stopIds: [4], endOfConversationId: null, bosId: 0, padId: null } }],
    [{ network: { layers: 2, heads: 2, kvHeads: 1, headDim: 16, hiddenSize: 32, vocabSize: 320 } }],
  ])("changes when an answer could: %j", (change) => {
    expect(parseManifest({ ...complete, ...change }).hash).not.toBe(hash);
  });
});

describe("verifyFiles", () => {
  it("is content with a folder as its manifest says", async () => {
    const folder = await writeModelFolder(join(root, "whole"));
    await expect(verifyFiles(folder, await readManifest(folder), never)).resolves.toBeUndefined();
  });

  it.each([
    ["is gone", "missing", null, "listed in manifest.json, but there is no such file"],
    ["has another size", "longer", "no network!", "has 11 bytes, and manifest.json says 10"],
    ["has another content", "other", "no NETWORK", "has another content than manifest.json says"],
  ])("names folder and file when a file %s", async (_name, id, content, sentence) => {
    const folder = await writeModelFolder(join(root, id));
    if (content === null) await rm(join(folder, "model.onnx"));
    else await writeFile(join(folder, "model.onnx"), content);
    await expect(verifyFiles(folder, await readManifest(folder), never)).rejects.toThrow(
      `${folder}: model.onnx: ${sentence}`,
    );
  });

  it("stops when it is no longer wanted", async () => {
    const folder = await writeModelFolder(join(root, "aborted"));
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(verifyFiles(folder, await readManifest(folder), signal)).rejects.toThrow("stopped");
  });
});

describe("readManifest", () => {
  it("says which folder has no manifest, or one that is not JSON", async () => {
    await expect(readManifest(root)).rejects.toThrow(`${root}: manifest.json: missing`);
    const folder = await writeModelFolder(join(root, "broken"));
    await writeFile(join(folder, "manifest.json"), "{");
    await expect(readManifest(folder)).rejects.toThrow(`${folder}: manifest.json: not valid JSON`);
  });
});
