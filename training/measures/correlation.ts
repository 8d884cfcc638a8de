// Owns how two columns of figures go together: Pearson and Spearman, with the number of rows and what chance alone gives.
// It does not know what the columns stand for.

export interface Correlation {
  /** Rows in which both have a value. */
  readonly n: number;
  /** null when a column does not vary or fewer than two rows are left. */
  readonly r: number | null;
  /** Two-sided, from Student's t with n − 2 degrees of freedom; null below three rows. */
  readonly p: number | null;
  /** |r| from which p is under 0.05 at this n; null below three rows. */
  readonly criticalR: number | null;
  /** To be shown beside r; null when p is under 0.05. */
  readonly warning: string | null;
}

const LEVEL = 0.05;

/** Of the rows in which both columns have a value. */
export function pearson(xs: readonly (number | null)[], ys: readonly (number | null)[]): Correlation {
  const { x, y } = commonRows(xs, ys);
  return judge(momentCorrelation(x, y), x.length);
}

/** Pearson's of the ranks; equal values share their mean rank. */
export function spearman(xs: readonly (number | null)[], ys: readonly (number | null)[]): Correlation {
  const { x, y } = commonRows(xs, ys);
  return judge(momentCorrelation(ranks(x), ranks(y)), x.length);
}

/** Every column of `xs` with every column of `ys`; rows are in the same order everywhere. */
export function correlationMatrix<X extends string, Y extends string>(
  xs: Readonly<Record<X, readonly (number | null)[]>>,
  ys: Readonly<Record<Y, readonly (number | null)[]>>,
  method: (x: readonly (number | null)[], y: readonly (number | null)[]) => Correlation = pearson,
): Record<X, Record<Y, Correlation>> {
  const columns = Object.entries(ys) as [Y, readonly (number | null)[]][];
  const rows = (Object.entries(xs) as [X, readonly (number | null)[]][]).map(([name, x]) => [
    name,
    Object.fromEntries(columns.map(([other, y]) => [other, method(x, y)])),
  ]);
  return Object.fromEntries(rows) as Record<X, Record<Y, Correlation>>;
}

function commonRows(xs: readonly (number | null)[], ys: readonly (number | null)[]): { x: number[]; y: number[] } {
  if (xs.length !== ys.length) throw new Error(`The columns have ${xs.length} and ${ys.length} rows.`);
  const x: number[] = [];
  const y: number[] = [];
  for (const [index, value] of xs.entries()) {
    const other = ys[index] ?? null;
    if (value === null || other === null) continue;
    x.push(value);
    y.push(other);
  }
  return { x, y };
}

function momentCorrelation(x: readonly number[], y: readonly number[]): number | null {
  const meanX = x.reduce((sum, value) => sum + value, 0) / x.length;
  const meanY = y.reduce((sum, value) => sum + value, 0) / y.length;
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (const [index, value] of x.entries()) {
    const dx = value - meanX;
    const dy = y[index]! - meanY;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xx === 0 || yy === 0 || x.length < 2 ? null : Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy)));
}

function ranks(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return values.map((value) => (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2 + 1);
}

function judge(r: number | null, n: number): Correlation {
  const criticalR = n < 3 ? null : bisect((candidate) => twoSidedP(candidate, n) < LEVEL);
  const p = r === null || n < 3 ? null : twoSidedP(r, n);
  const isSignificant = p !== null && p < LEVEL;
  const bound = criticalR === null ? "" : ` |r| below ${criticalR.toFixed(3)} is what chance gives at 5 %.`;
  return { n, r, p, criticalR, warning: isSignificant ? null : `Not significant: n = ${n}.${bound}` };
}

/** Smallest number in 0…1, to 1e-9, from which the condition holds. */
function bisect(holds: (value: number) => boolean): number {
  let low = 0;
  let high = 1;
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** P(|T| ≥ t) = I(1 − r²; (n − 2)/2, 1/2), as t² = r²(n − 2)/(1 − r²). */
function twoSidedP(r: number, n: number): number {
  return incompleteBeta(1 - r * r, (n - 2) / 2, 0.5);
}

/** The regularised incomplete beta function I(x; a, b), by its continued fraction on the side where that converges fast. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(x, a, b)) / a : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

/** By Lentz's method. */
function betaFraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = 1 / (1 - ((a + b) * x) / (a + 1));
  let value = d;
  for (let m = 1; m <= 500; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d);
    c = 1 + even / c;
    value *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d);
    c = 1 + odd / c;
    value *= d * c;
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return value;
}

/** Stirling's series after shifting the argument above 10; exact to about 1e-12. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 10; z += 1) shift += Math.log(z);
  const inverse = 1 / (z * z);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / z;
  return (z - 0.5) * Math.log(z) - z + Math.log(2 * Math.PI) / 2 + series - shift;
}
