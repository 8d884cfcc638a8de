// Owns having a sample of a job's dialogues scored: what the scoring model is shown of each, and what is written beside it.
// One at a time, so that scoring takes no more of a model than one prompt would. It knows dialogues as the store hands them out
// and models as everybody asks them, no tables and no HTTP.
import type { ChatMessage, ChatModel } from "../../../runtime/chat-model.ts";
import { EngineError, type EngineErrorCode } from "../../../runtime/errors.ts";
import { likelihoodOf, type TurnLikelihood } from "../../../training/measures/perplexity.ts";
import type { ScoredDialogue } from "../../../training/measures/turn-scores.ts";
import type { Dialogue, Turn } from "../dialogue-types.ts";
import { dialogueId } from "../jobs/job-plan.ts";
import { toDialogue } from "../jobs/record.ts";
import type { StoredDialogue } from "../store/records.ts";
import type { JudgedDialogues } from "./judge-sample.ts";

/** A model that says how probable it finds given turns. */
export type Scorer = ChatModel & Required<Pick<ChatModel, "score">>;

/** Whether a model can score what users say. */
export const isScorer = (model: ChatModel | undefined): model is Scorer =>
  model?.score !== undefined && model.info.role === "user";

/** The dialogue is at fault, and will be the next time. */
const lasting: ReadonlySet<EngineErrorCode> = new Set(["context_length_exceeded", "invalid_request"]);

/** Scores those of the dialogues that this model has not scored yet. Throws what it throws; scores until then stay. */
export async function scoreSample(
  { jobId, indices, model }: { readonly jobId: string; readonly indices: readonly number[]; readonly model: Scorer },
  dialogues: JudgedDialogues,
  onScored: (scored: ScoredDialogue) => void,
  signal: AbortSignal,
): Promise<void> {
  const { id, modelHash } = model.info;
  for (const index of indices) {
    signal.throwIfAborted();
    const stored = await dialogues.find(index);
    if (stored === null) continue;
    const earlier = scoresOf(stored);
    let mine = earlier.find((one) => one.model === id && one.modelHash === modelHash);
    if (mine === undefined) {
      mine = { model: id, modelHash, turns: await score(model, dialogueId(jobId, index), stored, signal) };
      await dialogues.write(index, { user_turn_scores: [...earlier, mine].map(toStored) });
    }
    onScored({ ...mine, dialogueId: dialogueId(jobId, index) });
  }
}

/** What models found of a dialogue's user turns. */
export function scoresOf({ quality }: Pick<StoredDialogue, "quality">): readonly Scores[] {
  const stored = (quality?.["user_turn_scores"] ?? []) as readonly StoredScores[];
  return stored.map(({ model, model_hash: modelHash, turns }) => ({
    model,
    modelHash,
    turns:
      turns?.map(({ tokens, log_probability: logProbability }) => ({
        tokens,
        logProbability,
      })) ?? null,
  }));
}

type Scores = Omit<ScoredDialogue, "dialogueId">;

/** With the names that the API writes. */
interface StoredScores {
  readonly model: string;
  readonly model_hash: string;
  readonly turns: readonly { readonly tokens: number; readonly log_probability: number }[] | null;
}

function toStored({ model, modelHash, turns }: Scores): StoredScores {
  const stored = turns?.map(({ tokens, logProbability }) => ({ tokens, log_probability: logProbability }));
  return { model, model_hash: modelHash, turns: stored ?? null };
}

async function score(
  model: Scorer,
  id: string,
  stored: StoredDialogue,
  signal: AbortSignal,
): Promise<readonly TurnLikelihood[] | null> {
  const dialogue = toDialogue(id, stored);
  if (dialogue === null) return null;
  const { system } = dialogue.sides.user;
  const opening: readonly ChatMessage[] = system === null ? [] : [{ role: "system", content: system }];
  const messages = [...opening, ...messagesOf(dialogue, model)];
  try {
    const scores = await model.score(messages, signal);
    // Given questions are nobody's here: the seed brought them.
    const sampled = scores.filter(
      ({ messageIndex }) => (dialogue.turns[messageIndex - opening.length]?.origin ?? null) !== null,
    );
    return sampled.map(({ logProbabilities }) => likelihoodOf(logProbabilities));
  } catch (error) {
    if (error instanceof EngineError && lasting.has(error.code)) return null;
    throw error;
  }
}

/** What was said, as the user's side heard it; the very ids, where the scoring model is the one that sampled them. */
function messagesOf({ turns, sides }: Dialogue, { info }: Scorer): readonly ChatMessage[] {
  const { modelHash, templateHash } = sides.user.model;
  const isOwn = modelHash === info.modelHash && templateHash === info.templateHash;
  return turns.map(({ role, content, origin }: Turn) => {
    const message = { role, content };
    if (role !== "user" || !isOwn || origin === null) return message;
    // As in side.ts: a stop string is cut from the text but not from the ids.
    if (origin.cause === "stop_string" || origin.tokenIds.length === 0) return message;
    return { ...message, tokenIds: origin.tokenIds, isCutOff: origin.cause === "max_tokens" };
  });
}
