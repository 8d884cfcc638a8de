// Owns which slot holds which tokens: allocation, prefix reuse, eviction, and the order of rows.
// A slot is one row of every layer's buffers; the row it sits on may change, its contents move with it.
// Pure bookkeeping: the moves it decides on are carried out by a KvStore. It knows no sequences beyond "in use".

/** One row's worth of keys and values. `tokens[i]` is the id whose keys and values stand at position i. */
export interface Slot {
  row: number;
  readonly tokens: number[];
  isInUse: boolean;
  /** Session that will come back for it; such a slot is evicted only when nothing else is left. */
  sessionId: string | null;
  lastUsed: number;
}

/** A slot made ready for a prompt: `reusedTokens` of it are there once `copyFrom` (if any) was copied. */
export interface Acquisition {
  readonly slot: Slot;
  readonly reusedTokens: number;
  readonly copyFrom: { readonly row: number; readonly tokens: number } | null;
}

export interface Swap {
  readonly rowA: number;
  readonly tokensA: number;
  readonly rowB: number;
  readonly tokensB: number;
}

/** Below this a prefix is quicker computed than copied. */
const LEAST_COPIED_TOKENS = 16;

export class KvCache {
  readonly maxTokens: number;
  readonly #canCopy: boolean;
  /** Index = row. */
  readonly #slots: Slot[];
  #clock = 0;

  /** `canCopy`: whether the store can copy a prefix from one row to another. */
  constructor(slotCount: number, maxTokens: number, canCopy: boolean) {
    this.maxTokens = maxTokens;
    this.#canCopy = canCopy;
    this.#slots = Array.from({ length: slotCount }, (_, row) => ({
      row,
      tokens: [],
      isInUse: false,
      sessionId: null,
      lastUsed: 0,
    }));
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  get hasFreeSlot(): boolean {
    return this.#slots.some((slot) => !slot.isInUse);
  }

  get cachedTokens(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.tokens.length, 0);
  }

  /**
   * Takes a slot for a prompt, keeping the longest prefix of it that any slot holds; null when every slot is in use.
   * At least one token is always left to compute, since the next token's logits come from it.
   */
  acquire(promptIds: readonly number[], sessionId: string | null): Acquisition | null {
    const free = this.#slots.filter((slot) => !slot.isInUse);
    const own = sessionId === null ? undefined : free.find((slot) => slot.sessionId === sessionId);
    const slot = own ?? this.#bestContinuation(free, promptIds) ?? leastValuable(free);
    if (slot === undefined) return null;
    const limit = promptIds.length - 1;
    const kept = commonPrefix(slot.tokens, promptIds, limit);
    const source = this.#canCopy ? this.#longestPrefix(promptIds, limit) : null;
    const isCopied = source !== null && source.slot !== slot && source.tokens >= kept + LEAST_COPIED_TOKENS;
    const reusedTokens = isCopied ? source.tokens : kept;
    slot.tokens.length = kept;
    for (let index = kept; index < reusedTokens; index += 1) slot.tokens.push(promptIds[index]!);
    // A second request of a session that is still running gets a slot, but leaves the session's own where it is.
    slot.sessionId = this.#slots.some((other) => other !== slot && other.sessionId === sessionId) ? null : sessionId;
    slot.isInUse = true;
    this.#touch(slot);
    return { slot, reusedTokens, copyFrom: isCopied ? { row: source.slot.row, tokens: source.tokens } : null };
  }

  /** The slot's sequence ended; its tokens stay for a later prompt that begins with them. */
  release(slot: Slot): void {
    slot.isInUse = false;
    this.#touch(slot);
  }

  endSession(sessionId: string): void {
    for (const slot of this.#slots) if (slot.sessionId === sessionId) slot.sessionId = null;
  }

  /** Exchanges slots so that `active` ones sit on rows 0, 1, 2, …; returns the moves to carry out, in order. */
  compact(active: readonly Slot[]): Swap[] {
    const isActive = new Set(active);
    const swaps: Swap[] = [];
    let hole = 0;
    for (const slot of active.filter(({ row }) => row >= active.length)) {
      while (isActive.has(this.#slots[hole]!)) hole += 1;
      swaps.push(this.#swap(slot, this.#slots[hole]!));
    }
    return swaps;
  }

  /** Forgets a slot's last token when it is full, so that a padding row may write one position past its end. */
  makeRoom(row: number): void {
    const { tokens } = this.#slots[row]!;
    if (tokens.length >= this.maxTokens) tokens.pop();
  }

  /** Every violated rule, as sentences; empty when all hold. */
  checkInvariants(): string[] {
    const violations: string[] = [];
    const sessions = new Set<string>();
    for (const [row, slot] of this.#slots.entries()) {
      if (slot.row !== row) violations.push(`slot on row ${row} believes it is on row ${slot.row}`);
      if (slot.tokens.length > this.maxTokens) violations.push(`row ${row} holds ${slot.tokens.length} tokens`);
      if (slot.sessionId === null) continue;
      if (sessions.has(slot.sessionId)) violations.push(`session ${slot.sessionId} holds two slots`);
      sessions.add(slot.sessionId);
    }
    return violations;
  }

  // A free slot whose whole content the prompt continues: taking it loses nothing. Where prefixes cannot be copied, any
  // common prefix is worth taking.
  #bestContinuation(free: readonly Slot[], promptIds: readonly number[]): Slot | undefined {
    let best: Slot | undefined;
    let bestTokens = 0;
    for (const slot of free) {
      if (slot.sessionId !== null) continue;
      const tokens = commonPrefix(slot.tokens, promptIds, promptIds.length);
      if (tokens > bestTokens && (tokens === slot.tokens.length || !this.#canCopy)) {
        best = slot;
        bestTokens = tokens;
      }
    }
    return best;
  }

  #longestPrefix(promptIds: readonly number[], limit: number): { slot: Slot; tokens: number } | null {
    let best: { slot: Slot; tokens: number } | null = null;
    for (const slot of this.#slots) {
      const tokens = commonPrefix(slot.tokens, promptIds, limit);
      if (best === null || tokens > best.tokens) best = { slot, tokens };
    }
    return best;
  }

  #swap(a: Slot, b: Slot): Swap {
    const swap = { rowA: a.row, tokensA: a.tokens.length, rowB: b.row, tokensB: b.tokens.length };
    [a.row, b.row] = [b.row, a.row];
    this.#slots[a.row] = a;
    this.#slots[b.row] = b;
    return swap;
  }

  #touch(slot: Slot): void {
    this.#clock += 1;
    slot.lastUsed = this.#clock;
  }
}

// Empty before full, unkept before kept, least recently used first.
function leastValuable(free: readonly Slot[]): Slot | undefined {
  const rank = (slot: Slot): number => (slot.sessionId !== null ? 2 : slot.tokens.length > 0 ? 1 : 0);
  return free.toSorted((a, b) => rank(a) - rank(b) || a.lastUsed - b.lastUsed || a.row - b.row)[0];
}

function commonPrefix(tokens: readonly number[], promptIds: readonly number[], limit: number): number {
  const end = Math.min(tokens.length, limit);
  let index = 0;
  while (index < end && tokens[index] === promptIds[index]) index += 1;
  return index;
}
