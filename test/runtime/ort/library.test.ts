import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
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

it("a library stays loaded when nothing but its functions is left of it", async () => {
  const script = `
    import { ortApi } from "./runtime/ort/api.ts";
    const api = ortApi();
    for (let round = 0; round < 3; round += 1) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
      api.call("ReleaseSessionOptions", api.create("CreateSessionOptions"));
    }
    process.stdout.write("alive");`;
  const root = join(import.meta.dirname, "..", "..", "..");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--expose-gc", "--input-type=module", "--eval", script],
    { cwd: root },
  );
  expect(stdout).toBe("alive");
});
