// Files as OpenAI's official client uses them, over a real socket and a real store.
import { mkdir, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import OpenAI, { BadRequestError, NotFoundError, toFile } from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Config } from "../../../server/config.ts";
import { FileService } from "../../../server/files/file-service.ts";
import { createLog } from "../../../server/log.ts";
import { type RunningServer, startServer } from "../../../server/main.ts";
import { Store } from "../../../server/store/store.ts";
import { captureLog, scriptedCatalog, testConfig } from "../../support/app-harness.ts";
import { listen, readUntil, send } from "../../support/listening.ts";
import { refusal } from "../../support/refusal.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const line = `${JSON.stringify({ messages: [{ role: "user", content: "Hi" }] })}\n`;

const openCatalog = () => Promise.resolve(scriptedCatalog([scriptedModel()]));

const clientOf = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });

/** A gateway of a test's own. */
async function connect(config: Partial<Config>) {
  const settings = testConfig(config);
  const server = await listen({ config: settings });
  return { ...server, client: clientOf(server.url), folder: join(settings.dataFolder, "files") };
}

// One for all others: opening a database takes longer than most of them.
const maxFileBytes = 64 * 1024 * 1024;
const config = testConfig({ drainTimeoutS: 0, maxFileBytes });
const folder = join(config.dataFolder, "files");
const lines: string[] = [];
let server: RunningServer;
let client: OpenAI;
let url: string;
beforeAll(async () => {
  const log = createLog("info", (text) => lines.push(text));
  server = await startServer(config, openCatalog, log, new AbortController().signal);
  url = server.url;
  client = clientOf(url);
});
afterAll(() => server.drain());
afterEach(async () => {
  for await (const { id } of client.files.list()) await client.files.delete(id);
  expect(await readdir(folder).catch(() => [])).toEqual([]);
  expect(lines.filter((text) => text.includes('"level":"error"'))).toEqual([]);
});

const upload = async (to: OpenAI, name = "train.jsonl", text = line) =>
  to.files.create({ file: await toFile(Buffer.from(text), name), purpose: "fine-tune" });

/** A form as any client may send it. */
async function post(
  body: FormData,
  address = url,
): Promise<{ status: number; error?: Record<string, unknown>; id?: string }> {
  const response = await fetch(`${address}/v1/files`, { method: "POST", body });
  return { status: response.status, ...((await response.json()) as object) };
}

/** A batch of so many bytes whose length is not told beforehand. */
function postStream(bytes: number): Promise<Response> {
  const boundary = "edge";
  const field = 'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch';
  const file = 'Content-Disposition: form-data; name="file"; filename="big.jsonl"\r\n\r\n';
  const piece = Buffer.alloc(1024 * 1024, "x");
  async function* pieces(): AsyncGenerator<Buffer> {
    yield Buffer.from(`--${boundary}\r\n${field}\r\n--${boundary}\r\n${file}`);
    for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }
  return fetch(`${url}/v1/files`, {
    method: "POST",
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: ReadableStream.from(pieces()) as ReadableStream<Uint8Array<ArrayBuffer>>,
    duplex: "half",
  });
}

function form(fields: Readonly<Record<string, string | Blob>>): FormData {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "string") made.append(name, value);
    else made.append(name, value, "train.jsonl");
  }
  return made;
}

describe("a file", () => {
  it("is uploaded, retrieved, read back byte for byte, and deleted", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 256));
    const nowS = Date.now() / 1000;
    const file = await client.files.create({ file: await toFile(bytes, "tra in/é.jsonl"), purpose: "fine-tune" });
    expect(file).toEqual({
      id: expect.stringMatching(/^file-[A-Za-z0-9]{24}$/),
      object: "file",
      bytes: bytes.length,
      created_at: expect.any(Number),
      expires_at: null,
      filename: "é.jsonl",
      purpose: "fine-tune",
      status: "processed",
      status_details: null,
    });
    expect(Math.abs(file.created_at - nowS)).toBeLessThan(60);
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect(await client.files.waitForProcessing(file.id)).toEqual(file);
    const content = await client.files.content(file.id);
    expect(content.headers.get("content-disposition")).toBe("attachment; filename*=UTF-8''%C3%A9.jsonl");
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true);
    expect(await readdir(folder)).toEqual([file.id]);

    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: "file", deleted: true });
    expect(await readdir(folder)).toEqual([]);
    await expect(client.files.retrieve(file.id)).rejects.toBeInstanceOf(NotFoundError);
  });

  it("that is streamed is never whole in memory", async () => {
    const before = process.memoryUsage().rss;
    const response = await postStream(maxFileBytes);
    const file = (await response.json()) as { id: string; bytes: number; expires_at: number; created_at: number };
    expect(file.bytes).toBe(maxFileBytes);
    // OpenAI keeps files of batches for thirty days.
    expect(file.expires_at - file.created_at).toBe(30 * 86_400);
    expect((await stat(join(folder, file.id))).size).toBe(maxFileBytes);
    // Client and server are one process here.
    expect(process.memoryUsage().rss - before).toBeLessThan(0.75 * maxFileBytes);
  });

  it("has a time to expire where one is asked for", async () => {
    const expires_after = { anchor: "created_at", seconds: 7200 } as const;
    const file = await client.files.create({
      file: await toFile(Buffer.from(line), "a"),
      purpose: "fine-tune",
      expires_after,
    });
    expect((file.expires_at ?? 0) - file.created_at).toBe(7200);
  });

  it("is there after a restart, and nothing is left of uploads that were broken off", async () => {
    const first = await connect({});
    const file = await upload(first.client);
    await first.drain();
    const dataFolder = join(first.folder, "..");
    const [orphan, young] = ["file-orphan.partial", "file-young.partial"].map((name) => join(first.folder, name));
    for (const path of [orphan!, young!]) await writeFile(path, "half");
    await utimes(orphan!, new Date(0), new Date(0));
    const second = await connect({ dataFolder });
    expect(await (await second.client.files.content(file.id)).text()).toBe(line);
    await expect
      .poll(async () => (await readdir(first.folder)).toSorted(), { timeout: 20_000 })
      .toEqual([file.id, "file-young.partial"].toSorted());
  });
});

it("pages of files are followed to the end, in either order, by purpose", async () => {
  const made: string[] = [];
  for (const name of ["1", "2", "3"]) made.push((await upload(client, name)).id);
  const batch = await post(form({ purpose: "batch", file: new Blob([line]) }));
  const listed: string[] = [];
  for await (const { id } of client.files.list({ limit: 1, purpose: "fine-tune" })) listed.push(id);
  expect(listed).toEqual(made.toReversed());
  listed.length = 0;
  for await (const { id } of client.files.list({ order: "asc" })) listed.push(id);
  expect(listed).toEqual([...made, batch.id]);
  expect(await refusal(client.files.list({ limit: 0 }))).toMatchObject({ status: 400, param: "limit" });
  expect(await refusal(client.files.list({ after: "file-none" }))).toMatchObject({ status: 404, param: "id" });
});

describe("an upload is refused as OpenAI refuses it, and leaves nothing behind:", () => {
  const file = new Blob([line]);
  it.each([
    ["without a purpose", { file }, 400, "'purpose' is a required property", "purpose"],
    ["without a file", { purpose: "fine-tune" }, 400, "'file' is a required property", "file"],
    [
      "of another purpose",
      { purpose: "vision", file },
      400,
      "'vision' is not one of ['fine-tune', 'batch'] - 'purpose'",
      "purpose",
    ],
    [
      "of another purpose, told late",
      { file, purpose: "vision" },
      400,
      "'vision' is not one of ['fine-tune', 'batch'] - 'purpose'",
      "purpose",
    ],
    [
      "of a purpose that only the gateway writes",
      { purpose: "fine-tune-results", file },
      400,
      "'fine-tune-results' is not one of ['fine-tune', 'batch'] - 'purpose'",
      "purpose",
    ],
    [
      "of an empty file",
      { purpose: "fine-tune", file: new Blob([]) },
      400,
      "Invalid 'file': the file is empty.",
      "file",
    ],
    ["of another field's file", { purpose: "fine-tune", image: file }, 400, "Unknown file field: 'image'.", "image"],
    [
      "that expires at once",
      { purpose: "fine-tune", file, "expires_after[anchor]": "created_at", "expires_after[seconds]": "1" },
      400,
      "Invalid 'expires_after.seconds': expected a whole number from 3600 to 2592000.",
      "expires_after.seconds",
    ],
    [
      "that expires some time",
      { purpose: "fine-tune", file, "expires_after[seconds]": "7200" },
      400,
      "Invalid 'expires_after.anchor': expected 'created_at'.",
      "expires_after.anchor",
    ],
  ])("%s", async (_name, fields, status, message, param) => {
    const answer = await post(form(fields));
    expect(answer).toMatchObject({ status, error: { message, param, type: "invalid_request_error" } });
  });

  it("larger than --max-file-bytes, told beforehand or not", async () => {
    const expected = {
      message: `The file is too large: at most ${maxFileBytes} bytes are accepted.`,
      type: "invalid_request_error",
      param: "file",
      code: "file_too_large",
    };
    const response = await postStream(maxFileBytes + 1);
    expect([response.status, await response.json()]).toEqual([413, { error: expected }]);
    // A length that is only claimed costs nothing.
    const head = "POST /v1/files HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=b";
    const port = Number(new URL(url).port);
    const socket = await send(port, `${head}\r\nContent-Length: 99999999999\r\n\r\n`);
    expect(await readUntil(socket, /\}\}/)).toContain("413");
  });

  it("when the client leaves in the middle", async () => {
    const head =
      "POST /v1/files HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000";
    const begun = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf of it';
    const socket = await send(Number(new URL(url).port), `${head}\r\n\r\n${begun}`);
    await expect.poll(() => readdir(folder).catch(() => [])).toHaveLength(1);
    socket.destroy();
    await expect.poll(() => readdir(folder)).toEqual([]);
    await expect.poll(() => lines.some((text) => text.includes('"status":499'))).toBe(true);
  });

  it("that is no form", async () => {
    const json = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
    expect((await fetch(`${url}/v1/files`, json)).status).toBe(415);
    const broken = { method: "POST", body: "--b\r\n", headers: { "content-type": "multipart/form-data; boundary=b" } };
    expect((await fetch(`${url}/v1/files`, broken)).status).toBe(400);
  });
});

describe("a file that is not there", () => {
  it.each(["file-none", "..%2F..%2Fetc%2Fpasswd", "%00", "lock"])("is not found under %s", async (id) => {
    await upload(client);
    for (const [method, path] of [
      ["GET", id],
      ["GET", `${id}/content`],
      ["DELETE", id],
    ]) {
      const response = await fetch(`${url}/v1/files/${path}`, { method: method! });
      const { error } = (await response.json()) as { error: { message: string } };
      expect(response.status).toBe(404);
      expect(error).toMatchObject({ type: "invalid_request_error", param: "id", code: null });
      expect(error.message).toMatch(/^No such File object: /);
    }
  });

  it("in this gateway's folder is told apart from one that does not exist", async () => {
    const file = await upload(client);
    await rm(join(folder, file.id));
    expect(await refusal(client.files.content(file.id))).toMatchObject({ status: 503, code: "file_unavailable" });
  });

  it("answers methods that it does not have with 405", async () => {
    await expect(client.patch("/files")).rejects.toMatchObject({ status: 405 });
    await expect(client.post("/files/file-a/content")).rejects.toMatchObject({ status: 405 });
    await expect(client.files.retrieve("file-a")).rejects.not.toBeInstanceOf(BadRequestError);
  });
});

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("step");
  throw new Error("no more");
}

it("the gateway's own files are written whole or not at all", async () => {
  const own = testConfig();
  const { log } = captureLog();
  const store = new Store(own, log);
  const files = new FileService({ config: own, log, store });
  onTestFinished(async () => {
    await files.close();
    await store.close();
  });
  await mkdir(own.dataFolder, { recursive: true });
  await expect(files.prepare("fine-tune-results", "results.csv", failing())).rejects.toThrow("no more");
  expect(await readdir(join(own.dataFolder, "files"))).toEqual([]);
  const pieces = Readable.from([Buffer.from("step,loss\n"), Buffer.from("1,2\n")]);
  const { file } = await files.prepare("fine-tune-results", "results.csv", pieces);
  expect(file).toMatchObject({ purpose: "fine-tune-results", bytes: 14 });
  expect(await new Response(files.folder.read(file.id)).text()).toBe("step,loss\n1,2\n");
});
