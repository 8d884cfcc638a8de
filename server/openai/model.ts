// Owns OpenAI's model object, and what we tell of a model besides: how it is served, and how it came about.
// It only builds objects; it knows manifests' notes by name, not who wrote them.
import type { ModelInfo } from "../../runtime/chat-model.ts";

type Notes = Readonly<Record<string, unknown>>;

/** OpenAI's model object with what a client of ours wants to know besides. */
export function modelObject(info: ModelInfo) {
  return {
    id: info.id,
    object: "model",
    created: info.createdAtS,
    owned_by: info.ownedBy,
    role: info.role,
    context_window: info.contextWindow,
    response_role: info.responseRole,
    device: info.device,
    precision: info.precision,
    model_hash: info.modelHash,
    template_hash: info.templateHash,
  };
}

/**
 * `provenance`, for models whose manifest says where they come from: parent and its weights' hash, data, recipe and job of the last
 * training, and its loss on held-out turns in nats a token. What is not known is null.
 */
export function provenanceObject({ provenance }: ModelInfo) {
  if (provenance === undefined) return {};
  const training = notesOf(provenance["training"]);
  return {
    provenance: {
      licence: textOf(provenance["licence"]),
      source: textOf(provenance["source"]),
      parent: textOf(provenance["baseModel"]),
      parent_sha256: notesOf(training["parent"])["sha256"] ?? null,
      data_sha256: training["dataSha256"] ?? null,
      recipe: textOf(training["recipe"]),
      job: textOf(training["job"]),
      heldout_loss: typeof training["heldoutLoss"] === "number" ? training["heldoutLoss"] : null,
    },
  };
}

function notesOf(value: unknown): Notes {
  return typeof value === "object" && value !== null ? (value as Notes) : {};
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
