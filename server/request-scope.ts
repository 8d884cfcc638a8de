// Owns the one signal a request's work listens to: the client hanging up, the server stopping, or its own end.
// It holds listeners on longer-lived signals only until it is closed, so that a million requests leave nothing behind.
import { EngineError } from "../runtime/errors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { overloaded } from "./openai/error.ts";

export interface RequestScope {
  /** Its reason is the error to answer with. */
  readonly signal: AbortSignal;
  /** Cancels the work because the client is gone. */
  readonly cancel: () => void;
  /** Lets go of the outer signals. Cancels nothing. */
  readonly close: () => void;
}

/** A scope that ends with the client's request or with the server. */
export function openRequestScope(client: AbortSignal, lifecycle: Lifecycle): RequestScope {
  const controller = new AbortController();
  const { stopSignal } = lifecycle;
  const cancel = () => controller.abort(new EngineError("cancelled", "The client closed the connection."));
  const stop = () => controller.abort(overloaded("The server is shutting down. Please retry your request."));
  client.addEventListener("abort", cancel, { once: true });
  stopSignal.addEventListener("abort", stop, { once: true });
  if (client.aborted) cancel();
  if (stopSignal.aborted) stop();
  return {
    signal: controller.signal,
    cancel,
    close() {
      client.removeEventListener("abort", cancel);
      stopSignal.removeEventListener("abort", stop);
    },
  };
}
