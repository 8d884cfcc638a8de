import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { OrtApi, ortApi } from "../../../runtime/ort/api.ts";

it("a missing library is one clear sentence", () => {
  expect(() => new OrtApi("/nowhere/libonnxruntime.so", null)).toThrow(
    /^The ONNX Runtime library \/nowhere\/libonnxruntime\.so cannot be loaded: /,
  );
});

it("a file that is no library is one clear sentence", async () => {
  const folder = await mkdtemp(join(tmpdir(), "realchat-"));
  const path = join(folder, "libonnxruntime.so.1");
  writeFileSync(path, "not a library");
  expect(() => new OrtApi(path, null)).toThrow(/libonnxruntime\.so\.1 cannot be loaded: /);
  await rm(folder, { recursive: true });
});

it("a library of another version than the package's is refused with both versions", () => {
  const { libraryPath, version } = ortApi();
  expect(() => new OrtApi(libraryPath, "9.9.9")).toThrow(
    `The ONNX Runtime library ${libraryPath} is version ${version}, but the onnxruntime-node package is 9.9.9`,
  );
});
