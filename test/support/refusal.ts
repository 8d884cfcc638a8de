// What the official client throws, as data.
import { APIError } from "openai";
import { expect } from "vitest";

/** The status and error body of a refused call. */
export async function refusal(refused: PromiseLike<unknown>) {
  const error = await Promise.resolve(refused).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(APIError);
  const { status, error: body } = error as { status: number; error: object };
  return { status, ...body };
}
