// What stands in the store about a file. Types only. Times are Unix milliseconds of the database's clock.

/** What clients may upload a file for. */
export const uploadPurposes = ["fine-tune", "batch"] as const;
export type UploadPurpose = (typeof uploadPurposes)[number];
/** The last two are what comes of the first two. */
export type FilePurpose = UploadPurpose | "fine-tune-results" | "batch_output";

export interface NewFile {
  readonly id: string;
  readonly purpose: FilePurpose;
  /** As the client named it; never a path. */
  readonly filename: string;
  readonly bytes: number;
  /** null: it stays until it is deleted. */
  readonly expiresAfterS: number | null;
}

export interface StoredFile extends Omit<NewFile, "expiresAfterS"> {
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
}
