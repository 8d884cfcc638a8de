// Owns a list of numbers that grows without being copied as a whole: pieces of flat memory, none of them half empty but the last.
// It does not know what the numbers are.

type Piece = Float64Array | Int32Array | Uint32Array;

const FIRST_LENGTH = 64;
const PIECE_BITS = 14;
const PIECE_LENGTH = 1 << PIECE_BITS;

export class NumberList {
  readonly #make: (length: number) => Piece;
  readonly #pieces: Piece[] = [];
  #length = 0;

  /** `make` decides how a number is kept: eight bytes, or four. */
  constructor(make: (length: number) => Piece) {
    this.#make = make;
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    const piece = this.#length >> PIECE_BITS;
    const place = this.#length & (PIECE_LENGTH - 1);
    const capacity = this.#pieces[piece]?.length ?? 0;
    if (place === capacity) this.#extend(piece, capacity);
    this.#pieces[piece]![place] = value;
    this.#length += 1;
  }

  /** Of an index that is there. */
  at(index: number): number {
    return this.#pieces[index >> PIECE_BITS]![index & (PIECE_LENGTH - 1)]!;
  }

  set(index: number, value: number): void {
    this.#pieces[index >> PIECE_BITS]![index & (PIECE_LENGTH - 1)] = value;
  }

  // Only the first piece grows: most lists are short.
  #extend(piece: number, capacity: number): void {
    const length = piece > 0 ? PIECE_LENGTH : Math.min(PIECE_LENGTH, Math.max(FIRST_LENGTH, 2 * capacity));
    const extended = this.#make(length);
    if (capacity > 0) extended.set(this.#pieces[piece]!);
    this.#pieces[piece] = extended;
  }
}
