// Owns ending a text at stop strings: holds back exactly the longest end that can still become one, and nothing else.
// The stop string completed first wins; of several completed by the same character, the longest. It does not know tokens.

interface StopScan {
  /** Text that is certain to stay: it comes before any stop string. */
  readonly text: string;
  /** A stop string was found; nothing may be pushed any more. */
  readonly isStopped: boolean;
}

export interface StopStrings {
  push(piece: string): StopScan;
  /** What was still held back, when no more text comes. */
  flush(): string;
}

interface Node {
  readonly next: Map<string, Node>;
  /** Units from the root, which are the units that must be held back here. */
  readonly depth: number;
  /** The node of the longest proper suffix; null for the root. */
  fallback: Node | null;
  /** Units of the longest stop string that ends here; 0 for none. */
  matchUnits: number;
}

/** Starts the scan of one text. Empty stop strings are ignored. */
export function createStopStrings(stops: readonly string[]): StopStrings {
  // A half of a surrogate pair could match inside a character.
  const root = buildAutomaton(stops.map((stop) => stop.toWellFormed()).filter((stop) => stop !== ""));
  let node = root;
  let held = "";
  return {
    push(piece) {
      const text = held + piece;
      for (let at = held.length; at < text.length; at++) {
        node = step(node, text.charAt(at));
        if (node.matchUnits === 0) continue;
        held = "";
        return { text: text.slice(0, at + 1 - node.matchUnits), isStopped: true };
      }
      const certain = text.length - node.depth;
      held = text.slice(certain);
      return { text: text.slice(0, certain), isStopped: false };
    },
    flush() {
      const rest = held;
      held = "";
      node = root;
      return rest;
    },
  };
}

function step(from: Node, unit: string): Node {
  let node: Node | null = from;
  while (node !== null) {
    const next = node.next.get(unit);
    if (next !== undefined) return next;
    if (node.fallback === null) return node;
    node = node.fallback;
  }
  return from;
}

// Aho-Corasick: after any text, the node's depth is the length of the longest end of it that begins some stop string.
function buildAutomaton(stops: readonly string[]): Node {
  const root: Node = { next: new Map(), depth: 0, fallback: null, matchUnits: 0 };
  const nodes: { node: Node; parent: Node; unit: string }[] = [];
  for (const stop of stops) {
    let node = root;
    for (const unit of stop.split("")) {
      const parent = node;
      node = parent.next.get(unit) ?? { next: new Map(), depth: parent.depth + 1, fallback: root, matchUnits: 0 };
      if (!parent.next.has(unit)) nodes.push({ node, parent, unit });
      parent.next.set(unit, node);
    }
    node.matchUnits = stop.length;
  }
  // Shallow nodes first: a fallback is always shallower than its node.
  for (const { node, parent, unit } of nodes.toSorted((a, b) => a.node.depth - b.node.depth)) {
    if (parent.fallback !== null) node.fallback = step(parent.fallback, unit);
    node.matchUnits ||= node.fallback?.matchUnits ?? 0;
  }
  return root;
}
