// Owns the JSON in which a job's figures leave the process: the snapshot with the names that the API writes.
// Stop reasons and criteria are values, not names, and stay as they are.
import type { QualitySnapshot } from "../../../training/measures/quality-types.ts";

/** The figures of a job, as an object of the API. */
export function toWireQuality(jobId: string, snapshot: QualitySnapshot): Record<string, unknown> {
  return { object: "selfplay.quality", job_id: jobId, ...(snakeKeys(snapshot) as Record<string, unknown>) };
}

function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [snake(key), snakeKeys(inner)]));
}

function snake(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
