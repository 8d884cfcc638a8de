// Owns how files look to OpenAI's clients. It knows no store.
import type { StoredFile } from "./file-records.ts";

/** OpenAI's file object. A file that is there is whole, so that there is nothing left to process. */
export function toWireFile({ id, bytes, createdAtMs, expiresAtMs, filename, purpose }: StoredFile) {
  return {
    id,
    object: "file",
    bytes,
    created_at: Math.floor(createdAtMs / 1000),
    expires_at: expiresAtMs === null ? null : Math.floor(expiresAtMs / 1000),
    filename,
    purpose,
    status: "processed",
    status_details: null,
  };
}
