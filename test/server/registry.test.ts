import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EngineObserver } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import type { OpenEngine } from "../../runtime/load-model.ts";
import { readConfig } from "../../server/config.ts";
import type { ModelChange } from "../../server/model-catalog.ts";
import { openRegistry } from "../../server/registry.ts";
import { tinyVocabSize, writeModelFolder } from "../support/model-folder.ts";
import { createScriptedEngine, type ScriptedEngine } from "../support/scripted-engine.ts";

const never = new AbortController().signal;
const observer: EngineObserver = { onStep: () => {}, onSequenceEnd: () => {}, onState: () => {} };

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "registry-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const configOf = (...flags: string[]) => readConfig(flags, {});

/** Opens scripted engines; `failing` is the id whose engine cannot be opened. */
function scriptedOpen(failing?: string) {
  const engines = new Map<string, ScriptedEngine>();
  const open: OpenEngine = async (_folder, manifest, _settings, _observer, onDeviceFallback) => {
    if (manifest.id === failing) throw new EngineError("ort_failed", "no such operator");
    if (manifest.id.startsWith("fallback")) onDeviceFallback("no CUDA here");
    const engine = createScriptedEngine({ vocabSize: tinyVocabSize });
    engines.set(manifest.id, engine);
    return { engine, device: "cpu" };
  };
  return { open, engines };
}

describe("the catalog", () => {
  it("holds the roots' models by folder name, then the single ones as given", async () => {
    const models = join(root, "models");
    await writeModelFolder(join(models, "b"), { id: "second" });
    await writeModelFolder(join(models, "a"), { id: "first" });
    const single = await writeModelFolder(join(root, "elsewhere"), { id: "third", role: "assistant" });
    await mkdir(join(models, "not-a-model"));
    await writeModelFolder(join(models, ".half-written"), { id: "hidden" });
    const catalog = await openRegistry(
      configOf("--models", models, "--model", single),
      observer,
      never,
      scriptedOpen().open,
    );
    expect(catalog.list().map((model) => model.info.id)).toEqual(["first", "second", "third"]);
    expect(catalog.get("third")?.info.role).toBe("assistant");
    expect(catalog.get("fourth")).toBeUndefined();
  });

  it("holds a folder once, however often it is named", async () => {
    const folder = await writeModelFolder(join(root, "models", "a"));
    await symlink(folder, join(root, "link"));
    const config = configOf("--models", join(root, "models"), "--model", folder, "--model", join(root, "link"));
    const catalog = await openRegistry(config, observer, never, scriptedOpen().open);
    expect(catalog.list()).toHaveLength(1);
  });

  it("says what is ready, and why another device is used", async () => {
    await writeModelFolder(join(root, "a"), { id: "plain" });
    await writeModelFolder(join(root, "b"), { id: "fallback", role: "assistant" });
    const catalog = await openRegistry(configOf("--models", root), observer, never, scriptedOpen().open);
    expect(catalog.ready()).toEqual({
      ready: true,
      models: [
        { id: "plain", role: "user", device: "cpu", precision: "int8", ready: true },
        { id: "fallback", role: "assistant", device: "cpu", precision: "int8", ready: true, detail: "no CUDA here" },
      ],
    });
  });

  it("closes every model, and is no longer ready from the first moment", async () => {
    await writeModelFolder(join(root, "a"), { id: "first" });
    await writeModelFolder(join(root, "b"), { id: "second" });
    const { open, engines } = scriptedOpen();
    const catalog = await openRegistry(configOf("--models", root), observer, never, open);
    const closing = catalog.close();
    expect(catalog.ready().ready).toBe(false);
    await closing;
    await catalog.close();
    expect([...engines.values()].map((engine) => engine.isClosed)).toEqual([true, true]);
  });
});

/** A catalog of one model, and what each look at its folders changes. */
async function openWith() {
  await writeModelFolder(join(root, "a"), { id: "first" });
  const { open, engines } = scriptedOpen();
  const catalog = await openRegistry(configOf("--models", root), observer, never, open);
  const changes: ModelChange[] = [];
  catalog.loader?.watch((change) => changes.push(change));
  const look = async () => {
    await catalog.loader?.refresh(never);
    return changes
      .splice(0)
      .map((change) => [change.kind, change.kind === "failed" ? change.sentence : change.info.id]);
  };
  return { catalog, engines, look };
}

describe("a look through the folders", () => {
  it("loads what is new, replaces what has changed, and leaves alone what is as it was", async () => {
    const { catalog, look } = await openWith();
    expect(await look()).toEqual([]);
    await writeModelFolder(join(root, "b"), { id: "second" });
    expect(await look()).toEqual([["loaded", "second"]]);
    expect(await look()).toEqual([]);
    const before = catalog.get("second")?.info.modelHash;
    await writeModelFolder(join(root, "b"), { id: "second", files: { "model.onnx": "another network" } });
    expect(await look()).toEqual([["replaced", "second"]]);
    expect(catalog.get("second")?.info.modelHash).not.toBe(before);
    expect(catalog.list().map(({ info }) => info.id)).toEqual(["first", "second"]);
  });

  it("unloads fine-tuned models that are gone, and no others, and none with the disk that held them", async () => {
    const { catalog, look } = await openWith();
    for (const id of ["ft:x", "ft:y"]) await writeModelFolder(join(root, id), { id });
    await look();
    await rm(join(root, "ft:x"), { recursive: true });
    await rm(join(root, "a"), { recursive: true });
    expect(await look()).toEqual([["unloaded", "ft:x"]]);
    await rm(root, { recursive: true });
    expect(await look()).toEqual([]);
    expect(catalog.list().map(({ info }) => info.id)).toEqual(["first", "ft:y"]);
  });

  it("tells once of a folder that cannot be served, and serves it when it can be", async () => {
    const { catalog, look } = await openWith();
    await writeModelFolder(join(root, "b"), { id: "second", files: { "model.onnx": "one" } });
    await writeFile(join(root, "b", "model.onnx"), "half");
    expect(await look()).toEqual([["failed", expect.stringContaining("model.onnx: has 4 bytes")]]);
    expect(await look()).toEqual([]);
    expect(catalog.get("second")).toBeUndefined();
    await writeFile(join(root, "b", "model.onnx"), "one");
    await catalog.loader?.load("second", never);
    expect(catalog.get("second")).toBeDefined();
  });

  it("keeps the first of two folders with one id, until that is gone", async () => {
    const { catalog, look } = await openWith();
    await writeModelFolder(join(root, "b"), { id: "first", role: "assistant" });
    expect(await look()).toEqual([]);
    await rm(join(root, "a"), { recursive: true });
    expect(await look()).toEqual([["replaced", "first"]]);
    expect(catalog.get("first")?.info.role).toBe("assistant");
  });
});

describe("loading by id", () => {
  it("loads a changed folder once, however many ask at the same time", async () => {
    await writeModelFolder(join(root, "a"), { id: "first" });
    let opened = 0;
    const { open } = scriptedOpen();
    const counting: OpenEngine = (...parts) => {
      opened += 1;
      return open(...parts);
    };
    const catalog = await openRegistry(configOf("--models", root), observer, never, counting);
    await writeModelFolder(join(root, "b"), { id: "second" });
    const { loader } = catalog;
    if (loader === undefined) throw new Error("a registry has a loader");
    const infos = await Promise.all([1, 2, 3].map(() => loader.load("second", never)));
    expect(infos.map((info) => info.id)).toEqual(["second", "second", "second"]);
    expect(opened).toBe(2);
  });

  it("leaves what is served when the new engine cannot be opened, and frees the old one when it could", async () => {
    await writeModelFolder(join(root, "a"), { id: "first" });
    const engines: ScriptedEngine[] = [];
    let isFailing = false;
    const open: OpenEngine = async () => {
      if (isFailing) throw new EngineError("ort_failed", "no such operator");
      const engine = createScriptedEngine({ vocabSize: tinyVocabSize });
      engines.push(engine);
      return { engine, device: "cpu" };
    };
    const catalog = await openRegistry(configOf("--models", root), observer, never, open);
    const before = catalog.get("first")?.info.modelHash;
    await writeModelFolder(join(root, "a"), { id: "first", files: { "model.onnx": "another network" } });
    isFailing = true;
    await expect(catalog.loader?.load("first", never)).rejects.toThrow("no such operator");
    expect(catalog.get("first")?.info.modelHash).toBe(before);
    isFailing = false;
    await catalog.loader?.load("first", never);
    expect(engines.map((engine) => engine.isClosed)).toEqual([false, false]);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(engines.map((engine) => engine.isClosed)).toEqual([true, false]);
  });

  it("is refused for what no folder holds, and when the catalog has closed", async () => {
    await writeModelFolder(join(root, "a"), { id: "first" });
    const catalog = await openRegistry(configOf("--models", root), observer, never, scriptedOpen().open);
    await expect(catalog.loader?.load("other", never)).rejects.toThrow(`No models folder holds a model named "other".`);
    await writeModelFolder(join(root, "b"), { id: "other" });
    await catalog.close();
    await expect(catalog.loader?.load("other", never)).rejects.toThrow("shutting down");
  });
});

describe("the start stops with one sentence", () => {
  it("when two folders hold models of one id, before any weights are read", async () => {
    const a = await writeModelFolder(join(root, "a"), { id: "same" });
    await cp(a, join(root, "b"), { recursive: true });
    const { open, engines } = scriptedOpen();
    await expect(openRegistry(configOf("--models", root), observer, never, open)).rejects.toThrow(
      `${a} and ${join(root, "b")} both hold a model named "same".`,
    );
    expect(engines.size).toBe(0);
  });

  it("when a role contradicts its template, and what was opened is closed again", async () => {
    await writeModelFolder(join(root, "a"), { id: "good" });
    await writeModelFolder(join(root, "b"), { id: "twisted", role: "assistant", opens: "user" });
    const { open, engines } = scriptedOpen();
    await expect(openRegistry(configOf("--models", root), observer, never, open)).rejects.toThrow(
      `${join(root, "b")}: The chat template opens the user's turn`,
    );
    expect(engines.get("good")?.isClosed).toBe(true);
  });

  it("when an engine cannot be opened, with its own words", async () => {
    await writeModelFolder(join(root, "a"), { id: "good" });
    await writeModelFolder(join(root, "b"), { id: "strange" });
    const { open, engines } = scriptedOpen("strange");
    await expect(openRegistry(configOf("--models", root), observer, never, open)).rejects.toThrow("no such operator");
    expect(engines.get("good")?.isClosed).toBe(true);
  });

  it.each([
    [
      "a folder given by --model has no manifest",
      ["--model", "nothing"],
      "is not a model folder: it has no manifest.json.",
    ],
    ["there is no model at all", [], "There is no model to serve: no subfolder of"],
    ["a models folder does not exist", ["--models", "nowhere"], "cannot be read."],
  ])("when %s", async (_name, flags, sentence) => {
    const given = flags.map((flag) => (flag.startsWith("--") ? flag : join(root, flag)));
    const config = configOf(...(flags.includes("--models") ? [] : ["--models", root]), ...given);
    await expect(openRegistry(config, observer, never, scriptedOpen().open)).rejects.toMatchObject({
      code: "bad_model",
      message: expect.stringContaining(sentence),
    });
  });

  it("when the start is called off", async () => {
    await writeModelFolder(join(root, "a"));
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(openRegistry(configOf("--models", root), observer, signal, scriptedOpen().open)).rejects.toThrow(
      "stopped",
    );
  });
});
