// Owns the words of a loop's events. It stores nothing.
import type { NewWorkEvent } from "../work/event-rows.ts";

type Data = NewWorkEvent["data"];

const message = (text: string, level: NewWorkEvent["level"] = "info", data: Data = null): NewWorkEvent => ({
  level,
  type: "message",
  message: text,
  data,
});

export const created = (id: string) => message(`Created loop: ${id}`);
export const stepBegun = (round: number, step: string) =>
  message(`Round ${round}: ${step}`, "info", { kind: "step", round, step });
export const roundEnded = (round: number, accepted: readonly string[]) => {
  const words = accepted.length === 0 ? "no model was accepted" : `accepted ${accepted.join(", ")}`;
  return message(`Round ${round} is over: ${words}`, "info", { kind: "round", round, accepted });
};
export const completed = () => message("The loop has completed", "info", { kind: "completed" });
export const failed = (reason: string) => message(reason, "error", { kind: "failed" });
export const cancelled = () => message("The loop was cancelled", "info", { kind: "cancelled" });
export const paused = () => message("The loop was paused", "info", { kind: "paused" });
export const resumed = () => message("The loop was resumed", "info", { kind: "resumed" });
export const brokenOff = (reason: string) => message(`The loop broke off and is taken up again: ${reason}`, "warn");
export const waits = (obstacle: string) => message(`The loop waits for another gateway: ${obstacle}`, "warn");
