// A model folder is whole or absent, never overwritten by accident, and the same whenever it is made from the same.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { importCheckpoint } from "../../../runtime/importer/import-checkpoint.ts";
import type { ImportProgress } from "../../../runtime/importer/import-checkpoint.ts";
import { readManifest, verifyFiles } from "../../../runtime/manifest.ts";
import {
  copyOf,
  editJson,
  importOptions,
  importQuietly,
  recordedFolder,
  scratchFolder,
} from "../../support/checkpoints.ts";

const scratch = await scratchFolder();
const source = recordedFolder("smollm2");
const never = new AbortController().signal;
let counter = 0;

const newOut = () => join(scratch, `out-${counter++}`);
const everything = (folder: string) => readdir(folder).catch(() => []);

describe("importCheckpoint", () => {
  test("writes a folder that the manifest reader accepts and that says what it was made from", async () => {
    const folder = await importQuietly(
      importOptions(source, newOut(), {
        id: "small",
        role: "assistant",
        precision: "int4",
        contextWindow: 32,
        responseRole: "assistant",
        isBatchInvariant: true,
        licence: "CC-BY-4.0",
        baseModel: "smaller",
      }),
    );
    const manifest = await readManifest(folder);
    await verifyFiles(folder, manifest, never);
    expect(manifest).toMatchObject({
      id: "small",
      role: "assistant",
      architecture: "llama",
      precision: "int4",
      kvPrecision: "float32",
      contextWindow: 32,
      createdAtS: Date.UTC(2026, 0, 2, 3, 4, 5) / 1000,
      responseRole: "assistant",
      isBatchInvariant: true,
      network: { layers: 2, heads: 2, kvHeads: 2, headDim: 16, hiddenSize: 32, vocabSize: 64 },
      tokens: { stopIds: [2], endOfConversationId: null, bosId: 1, padId: 0 },
      licence: "CC-BY-4.0",
    });
    const sha256 = createHash("sha256")
      .update(await readFile(join(source, "model.safetensors")))
      .digest("hex");
    expect(manifest.provenance).toMatchObject({ source: "made for tests", baseModel: "smaller" });
    expect(manifest.provenance["sourceSha256"]).toMatchObject({ "model.safetensors": sha256 });
    expect((await readdir(folder)).toSorted()).toEqual([
      "generation_config.json",
      "manifest.json",
      "model.onnx",
      "model.onnx.data",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect((await stat(folder)).mode & 0o777).toBe(0o755);
  });

  test("takes a template file along", async () => {
    const withTemplate = await copyOf("smollm2", scratch, "with-template");
    await writeFile(join(withTemplate, "chat_template.jinja"), "{{ messages }}");
    const folder = await importQuietly(importOptions(withTemplate, newOut()));
    expect(await readFile(join(folder, "chat_template.jinja"), "utf8")).toBe("{{ messages }}");
    expect([...(await readManifest(folder)).files.keys()]).toContain("chat_template.jinja");
  });

  test("the same checkpoint, options and time give the same bytes", async () => {
    const [one, two] = await Promise.all([newOut(), newOut()].map((out) => importQuietly(importOptions(source, out))));
    for (const name of await readdir(one ?? "")) {
      expect(await readFile(join(one ?? "", name))).toEqual(await readFile(join(two ?? "", name)));
    }
  });

  test("a widened head is what the manifest says the cache holds", async () => {
    const folder = await importQuietly(importOptions(recordedFolder("qwen3"), newOut()));
    expect((await readManifest(folder)).network.headDim).toBe(32);
  });

  test("reports checksums of the source, then weights, each up to its total", async () => {
    const seen: ImportProgress[] = [];
    await importCheckpoint(importOptions(source, newOut()), (progress) => seen.push(progress), never);
    for (const phase of ["checksums", "weights"] as const) {
      const steps = seen.filter((progress) => progress.phase === phase);
      expect(steps.at(-1)?.done).toBe(steps.at(-1)?.total);
      expect(steps.map(({ done }) => done)).toEqual(steps.map(({ done }) => done).toSorted((x, y) => x - y));
    }
  });

  test("an existing folder stays as it is unless it is to be replaced", async () => {
    const out = newOut();
    await mkdir(join(out, "imported"), { recursive: true });
    await writeFile(join(out, "imported", "precious"), "");
    await expect(importQuietly(importOptions(source, out))).rejects.toMatchObject({
      code: "invalid_request",
      message: `${join(out, "imported")} exists already; --force replaces it`,
    });
    expect(await readdir(out)).toEqual(["imported"]);
    expect(await readdir(join(out, "imported"))).toEqual(["precious"]);

    await importQuietly(importOptions(source, out, { isReplacing: true }));
    expect(await readdir(out)).toEqual(["imported"]);
    expect(await readdir(join(out, "imported"))).not.toContain("precious");
  });

  test("a replacement that fails leaves the old folder", async () => {
    const out = newOut();
    await importQuietly(importOptions(source, out));
    const before = await readFile(join(out, "imported", "manifest.json"), "utf8");
    const broken = await copyOf("smollm2", scratch, "broken-replacement");
    await editJson(join(broken, "config.json"), { num_hidden_layers: 3 });
    await expect(importQuietly(importOptions(broken, out, { isReplacing: true }))).rejects.toThrow("is missing");
    expect(await readFile(join(out, "imported", "manifest.json"), "utf8")).toBe(before);
    expect(await readdir(out)).toEqual(["imported"]);
  });

  test.each<[string, (folder: string) => Promise<void>, RegExp]>([
    [
      "an unknown architecture",
      (folder) => editJson(join(folder, "config.json"), { model_type: "gpt2" }),
      /^config\.json: field model_type is "gpt2"/,
    ],
    [
      "a missing tensor",
      (folder) => editJson(join(folder, "config.json"), { num_hidden_layers: 3 }),
      /^model\.safetensors: tensor model\.layers\.2\.\S+ is missing$/,
    ],
    [
      "a wrong shape",
      (folder) => editJson(join(folder, "config.json"), { intermediate_size: 96 }),
      /has shape \[64, 32\], but config\.json asks for \[96, 32\]$/,
    ],
    [
      "a corrupted header",
      (folder) => writeFile(join(folder, "model.safetensors"), new Uint8Array(99).fill(255)),
      /corrupted or truncated$/,
    ],
    [
      "a truncated file",
      (folder) => truncate(join(folder, "model.safetensors"), 30_000),
      /^model\.safetensors: tensor \S+ ends at byte \d+, but the file has 30000: truncated$/,
    ],
    [
      "a config.json that is no JSON",
      (folder) => writeFile(join(folder, "config.json"), "{"),
      /^config\.json: not valid JSON/,
    ],
    ["a missing tokenizer", (folder) => truncate(join(folder, "tokenizer.json")), /^tokenizer\.json: not valid JSON/],
  ])("%s leaves nothing behind", async (_, damage, message) => {
    const folder = await copyOf("smollm2", scratch, `damaged-${counter++}`);
    await damage(folder);
    const out = newOut();
    await expect(importQuietly(importOptions(folder, out))).rejects.toMatchObject({
      code: "bad_model",
      message: expect.stringMatching(message) as string,
    });
    expect(await everything(out)).toEqual([]);
  });

  test("being stopped at any point leaves nothing behind", async () => {
    const reports: ImportProgress[] = [];
    await importCheckpoint(importOptions(source, newOut()), (progress) => reports.push(progress), never);
    for (const stopAt of [0, 1, 2, Math.floor(reports.length / 2), reports.length - 1]) {
      const out = newOut();
      const abort = new AbortController();
      let seen = 0;
      const onProgress = () => {
        if (seen++ === stopAt) abort.abort();
      };
      await expect(importCheckpoint(importOptions(source, out), onProgress, abort.signal)).rejects.toThrow("aborted");
      expect(await everything(out)).toEqual([]);
    }
  });

  test.each(["", "../up", ".hidden", "a/b", "x".repeat(129), "sp ace"])("refuses the id %j", async (id) => {
    const out = newOut();
    await expect(importQuietly(importOptions(source, out, { id }))).rejects.toMatchObject({ code: "invalid_request" });
    expect(await everything(out)).toEqual([]);
  });

  test("a context beyond the trained one is refused", async () => {
    await expect(importQuietly(importOptions(source, newOut(), { contextWindow: 65 }))).rejects.toMatchObject({
      code: "invalid_request",
      message: "--context 65 is beyond the 64 positions of config.json",
    });
  });

  test("a sliding window is honoured by a context that it never cuts, and refused by a longer one", async () => {
    const sliding = recordedFolder("mistral");
    await expect(importQuietly(importOptions(sliding, newOut()))).rejects.toMatchObject({
      code: "bad_model",
      message: expect.stringMatching(/^config\.json: field sliding_window is 64; .* --context 64 or less$/) as string,
    });
    const folder = await importQuietly(importOptions(sliding, newOut(), { contextWindow: 64 }));
    expect((await readManifest(folder)).contextWindow).toBe(64);
  });
});
