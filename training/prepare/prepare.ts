// Owns the way from sources to what is trained on: read, clean, split, remove repeats, hold out. One conversation at a time.
// It counts every step in a funnel. What steps do is theirs; what becomes of the conversations is the caller's.
import { createHash } from "node:crypto";
import type { ModelRole } from "../../runtime/chat-model.ts";
import type { Funnel } from "../clean/funnel.ts";
import { type CleanRule, createRules, type RuleName } from "../clean/rules.ts";
import type { Conversation, Origin } from "../conversation.ts";
import { type ModelText, openModelText } from "../examples/model-text.ts";
import type { Format } from "../sources/formats.ts";
import { readSource, type SourceOptions } from "../sources/read-source.ts";
import type { SplitRule } from "../split/segments.ts";
import { splitConversation } from "../split/split-conversation.ts";
import { createTokenCounter, type TokenCounter } from "../split/token-counter.ts";

export interface PrepareOptions {
  /** null: every row tells by its fields. */
  readonly format: Format | null;
  /** Where self-play jobs are kept. */
  readonly store: SourceOptions["store"];
  readonly rules: ReadonlySet<RuleName>;
  /** Rules for dialogues of our own models, which no scrape has dirtied. */
  readonly selfplayRules: ReadonlySet<RuleName>;
  /** ISO 639-3 code for the statistical language rule. */
  readonly language: string;
  /** null: sessions stay whole. */
  readonly split: {
    readonly rule: SplitRule;
    readonly modelFolder: string;
    /** null: the model's context window. */
    readonly maxTokens: number | null;
  } | null;
  /** Share of groups that is held out, from 0 to below 1. */
  readonly holdout: number;
  /** Decides which groups are held out. */
  readonly seed: number;
  /** Most conversations to give; null for all. */
  readonly limit: number | null;
  /** Hears of every row that could not be read. */
  readonly onBroken: (origin: Origin, reason: string) => void;
}

/** A conversation, and the side of the hold-out split that its group is on. */
export interface PreparedConversation extends Conversation {
  readonly isHeldOut: boolean;
}

interface Split {
  readonly counter: TokenCounter;
  readonly rule: SplitRule;
  readonly maxTokens: number;
  readonly role: ModelRole;
}

/**
 * Reads the sources in order and gives what is left of them; `funnel` is filled on the way. Throws SourceError for a source that
 * cannot be read and EngineError("bad_model") for a broken model folder. With `model`, the open model that splits, its texts are not
 * encoded twice where examples are made of them next.
 */
export async function* prepare(
  sources: readonly string[],
  options: PrepareOptions,
  funnel: Funnel,
  signal: AbortSignal,
  model: ModelText | null = null,
): AsyncGenerator<PreparedConversation, void, undefined> {
  const split = options.split === null ? null : await readSplit(options.split, model);
  const rules = createRules(options.rules, options.language);
  // Repeats are remembered in one place, whichever rules a conversation goes by.
  const isActive = (rule: CleanRule, conversation: Conversation): boolean =>
    conversation.provenance["format"] !== "selfplay" || options.selfplayRules.has(rule.name);
  if (split !== null) {
    const { maxTokens, rule } = split;
    const counts = { sessionsIn: 0, sessionsOut: 0, segments: 0, leftOutTurns: 0, overlongSegments: 0 };
    funnel.split ??= { ...counts, maxTokens, rule };
  }
  for (const rule of rules.session) funnel.step(rule, "sessions");
  for (const rule of rules.segment) funnel.step(rule, "segments");
  let given = 0;
  for (const source of sources) {
    for await (const row of readSource(source, options, signal)) {
      funnel.rows.read += 1;
      if (row.kind === "broken") {
        funnel.rows.broken += 1;
        options.onBroken(row.origin, row.reason);
        continue;
      }
      if (row.kind === "dropped") {
        funnel.rows.dropped[row.rule] = (funnel.rows.dropped[row.rule] ?? 0) + 1;
        continue;
      }
      funnel.rows.conversations += 1;
      const session = cleanSession(row.conversation);
      if (session === null) continue;
      for (const segment of cleanSegments(splitSession(session))) {
        if (given === options.limit) {
          funnel.isLimited = true;
          return;
        }
        given += 1;
        yield finish(segment);
      }
    }
  }

  function cleanSession(conversation: Conversation): Conversation | null {
    let current = conversation;
    for (const rule of rules.session) {
      if (!isActive(rule, current)) continue;
      const cleaned = applyRule(rule, current);
      if (cleaned === null) return null;
      current = cleaned;
    }
    return current;
  }

  function applyRule(rule: CleanRule, conversation: Conversation): Conversation | null {
    const step = funnel.step(rule, "sessions");
    step.in += 1;
    const isExempt = rule.isExempt?.(conversation) === true;
    const cleaned = rule.clean(conversation);
    // Exempt are those that the rule would have dropped.
    if (isExempt && cleaned !== conversation) step.exempt += 1;
    const result = isExempt ? conversation : cleaned;
    if (result !== null) step.out += 1;
    if (result !== null && result !== conversation) step.changed += 1;
    return result;
  }

  function splitSession(session: Conversation): readonly Conversation[] {
    if (split === null || funnel.split === null) return [session];
    const { segments, leftOutTurns, overlongSegments } = splitConversation(session, split.counter, split);
    funnel.split.sessionsIn += 1;
    if (segments.length > 0) funnel.split.sessionsOut += 1;
    funnel.split.segments += segments.length;
    funnel.split.leftOutTurns += leftOutTurns;
    funnel.split.overlongSegments += overlongSegments;
    return segments;
  }

  function cleanSegments(all: readonly Conversation[]): readonly Conversation[] {
    let segments = all;
    for (const rule of rules.segment) {
      const active = segments.filter((segment) => isActive(rule, segment));
      if (active.length === 0) continue;
      const step = funnel.step(rule, "segments");
      segments = segments.flatMap((segment) => {
        if (!active.includes(segment)) return [segment];
        const cleaned = applyRule(rule, segment);
        return cleaned === null ? [] : [cleaned];
      });
      if (segments.length > 0) step.sessionsOut = (step.sessionsOut ?? 0) + 1;
    }
    if (segments.length > 0) funnel.result.sessions += 1;
    return segments;
  }

  function finish(segment: Conversation): PreparedConversation {
    const { result } = funnel;
    const isHeldOut = isGroupHeldOut(segment.group, options);
    result.segments += 1;
    result.utterances += segment.utterances.length;
    if (segment.utterances[0]?.role === "user") result.startWithUser += 1;
    else result.startWithAssistant += 1;
    if (isHeldOut) result.heldOut += 1;
    return { ...segment, isHeldOut };
  }
}

/** Depends on nothing but the group and the seed, so that any order of sources and any number of runs agree. */
export function isGroupHeldOut(group: string, { holdout, seed }: Pick<PrepareOptions, "holdout" | "seed">): boolean {
  const digest = createHash("sha256").update(`${seed}\n${group}`).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48 < holdout;
}

async function readSplit(
  { rule, modelFolder, maxTokens }: NonNullable<PrepareOptions["split"]>,
  open: ModelText | null,
): Promise<Split> {
  const model = open?.folder === modelFolder ? open : await openModelText(modelFolder);
  return { counter: createTokenCounter(model), rule, maxTokens: maxTokens ?? model.contextWindow, role: model.role };
}
