// Owns reading an upload: its fields, and its file straight to the disk, never whole in memory. Whatever fails, nothing is left.
// It writes no row.
import type { Context } from "hono";
import type { AppEnv } from "../app-env.ts";
import { assertUncompressed, bodyChunks } from "../openai/body.ts";
import { ApiError, excerpt } from "../openai/error.ts";
import { boundaryOf, type Part, readField, readParts } from "../openai/multipart.ts";
import type { FileFolder, ReceivedFile } from "./file-folder.ts";
import { type NewFile, type UploadPurpose, uploadPurposes } from "./file-records.ts";

export interface Upload {
  readonly file: NewFile;
  readonly received: ReceivedFile;
}

const maxFieldBytes = 1024;
const maxFields = 32;
const maxFilenameLength = 255;
/** Boundaries, headers and fields beside the file. */
const maxOtherBytes = 64 * 1024;
const daySeconds = 86_400;
/** OpenAI's own limits. */
const expiry = { minS: 3600, maxS: 30 * daySeconds, batchS: 30 * daySeconds };

/** Reads the request into the folder under `id`. Throws ApiError. */
export async function receiveUpload(
  c: Context<AppEnv>,
  folder: FileFolder,
  id: string,
  maxBytes: number,
): Promise<Upload> {
  const boundary = boundaryOf(c.req.header("content-type"));
  assertUncompressed(c.req.header("content-encoding"));
  if (Number(c.req.header("content-length") ?? 0) > maxBytes + maxOtherBytes) throw tooLarge(maxBytes);
  const fields = new Map<string, string>();
  let filename = "";
  let received: ReceivedFile | null = null;
  try {
    for await (const part of readParts(bodyChunks(c), boundary)) {
      if (part.filename === null) {
        if (fields.size >= maxFields) throw new ApiError(400, `At most ${maxFields} fields are accepted.`);
        fields.set(part.name, await readField(part, maxFieldBytes));
        // Before the file, so that what would be refused is not waited for.
        if (part.name === "purpose") purposeOf(fields);
        continue;
      }
      if (part.name !== "file" || received !== null) throw unexpectedFile(part);
      filename = part.filename;
      received = await folder.receive(id, bounded(part.body, maxBytes));
    }
    if (received === null) throw required("file");
    const purpose = purposeOf(fields);
    if (received.bytes === 0) throw invalid("file", "the file is empty.");
    return {
      file: {
        id,
        purpose,
        filename: named(filename),
        bytes: received.bytes,
        expiresAfterS: expiresAfter(fields, purpose),
      },
      received,
    };
  } catch (error) {
    await received?.discard();
    throw error;
  }
}

async function* bounded(pieces: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer, void, undefined> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    yield piece;
  }
}

function purposeOf(fields: ReadonlyMap<string, string>): UploadPurpose {
  const given = fields.get("purpose");
  if (given === undefined) throw required("purpose");
  const purpose = uploadPurposes.find((one) => one === given);
  if (purpose !== undefined) return purpose;
  const known = uploadPurposes.map((one) => `'${one}'`).join(", ");
  throw new ApiError(400, `'${excerpt(given)}' is not one of [${known}] - 'purpose'`, { param: "purpose" });
}

function expiresAfter(fields: ReadonlyMap<string, string>, purpose: UploadPurpose): number | null {
  const anchor = fields.get("expires_after[anchor]");
  const text = fields.get("expires_after[seconds]");
  if (anchor === undefined && text === undefined) return purpose === "batch" ? expiry.batchS : null;
  if (anchor !== "created_at") throw invalid("expires_after.anchor", "expected 'created_at'.");
  const seconds = /^\d{1,9}$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (seconds >= expiry.minS && seconds <= expiry.maxS) return seconds;
  throw invalid("expires_after.seconds", `expected a whole number from ${expiry.minS} to ${expiry.maxS}.`);
}

/** The last part of a name, whatever system it comes from. */
function named(filename: string): string {
  const name = filename.split(/[/\\]/).at(-1)?.toWellFormed() ?? "";
  if (name !== "" && name.length <= maxFilenameLength) return name;
  throw invalid("file", `its name must have 1 to ${maxFilenameLength} characters.`);
}

function required(field: string): ApiError {
  return new ApiError(400, `'${field}' is a required property`, { param: field, code: "missing_required_parameter" });
}

function invalid(param: string, reason: string): ApiError {
  return new ApiError(400, `Invalid '${param}': ${reason}`, { param, code: "invalid_value" });
}

function unexpectedFile({ name }: Part): ApiError {
  const message = name === "file" ? "One file is uploaded at a time." : `Unknown file field: '${excerpt(name)}'.`;
  return new ApiError(400, message, { param: excerpt(name) });
}

function tooLarge(maxBytes: number): ApiError {
  const message = `The file is too large: at most ${maxBytes} bytes are accepted.`;
  return new ApiError(413, message, { param: "file", code: "file_too_large", headers: { connection: "close" } });
}
