/**
 * Which tokens of a stretch are certain while only one end of it is known. Pure BPE: no expression splits the stretch.
 *
 * 1. No merge crosses a border of the final tokens, and the merges on either side of one are, in order, those that this
 *    side alone would do: a better one there would have been done first. So the tokens of a stretch are those of its part
 *    up to a border, then those of the rest.
 * 2. Tokens t1..tn are the stretch's exactly where each pair of neighbours is the BPE of its own text. One way by 1. The
 *    other: were it not so, take the first merge that crosses one of these borders; up to it each token grew as it does
 *    alone, and so the same merge would be the best in that pair.
 * 3. Take a byte p that lies the longest token's length from the unknown end. Some token covers it, and is a substring of
 *    what is known: its far ends are a set Q, and the stretch has a border at one of Q. X are the tokens of all that is
 *    known, and c one of its borders. Where, for each q of Q, the tokens of what lies between c and q may stand beside X's
 *    token at c (2), the tokens up to q are X's up to c, then these. Whichever q is the border: X's up to c are certain (1).
 */

export interface Bpe {
  /** The tokens of a stretch, by merges alone. A symbol is a UTF-16 unit. */
  merge(stretch: string): readonly string[];
  has(token: string): boolean;
  /** Symbols of the longest token. */
  readonly longest: number;
}

/** The end of the stretch that is known, and that the certain tokens start from. */
export type KnownEnd = 'first' | 'last';

/** Tokens at the known end that are there whatever stands beyond the other one, or null where none is certain. */
export function certainTokens(bpe: Bpe, known: string, end: KnownEnd): readonly string[] | null {
  if (known.length < 2 * bpe.longest) return null;
  const tokens = bpe.merge(known);
  return end === 'first' ? certainHead(bpe, known, tokens) : certainTail(bpe, known, tokens);
}

function certainHead(bpe: Bpe, known: string, tokens: readonly string[]): readonly string[] | null {
  const p = known.length - bpe.longest;
  const places = [...borders(bpe, known, p).ends];
  let c = 0;
  const starts = tokens.map((token) => (c += token.length) - token.length);
  return search(
    starts.findLastIndex((start) => start <= p),
    1,
    (count) => {
      const before = tokens[count - 1];
      const at = starts[count];
      if (before === undefined || at === undefined) return null;
      const fits = places.every((q) => mayStandBeside(bpe, before, bpe.merge(known.slice(at, q))[0]));
      return fits ? tokens.slice(0, count) : null;
    },
  );
}

function certainTail(bpe: Bpe, known: string, tokens: readonly string[]): readonly string[] | null {
  const p = bpe.longest - 1;
  const places = [...borders(bpe, known, p).starts];
  let c = 0;
  const ends = tokens.map((token) => (c += token.length));
  return search(
    ends.findIndex((end) => end > p),
    -1,
    (last) => {
      const after = tokens[last + 1];
      const at = ends[last];
      if (after === undefined || at === undefined) return null;
      const fits = places.every((q) => mayStandBeside(bpe, bpe.merge(known.slice(q, at)).at(-1), after));
      return fits ? tokens.slice(last + 1) : null;
    },
  );
}

/** From `first` on, further and further from the unknown end. */
function search<T>(first: number, direction: 1 | -1, attempt: (index: number) => T | null): T | null {
  for (let step = 0; step < 64; step = 2 * step + 1) {
    const found = attempt(first - direction * step);
    if (found !== null) return found;
  }
  return null;
}

/** Where the tokens that may cover `p` begin and end. */
function borders(bpe: Bpe, known: string, p: number): { starts: ReadonlySet<number>; ends: ReadonlySet<number> } {
  const [starts, ends] = [new Set<number>(), new Set<number>()];
  for (let start = Math.max(p - bpe.longest + 1, 0); start <= p; start++) {
    for (let end = p + 1; end <= start + bpe.longest; end++) {
      if (end - start > 1 && !bpe.has(known.slice(start, end))) continue;
      starts.add(start);
      ends.add(end);
    }
  }
  return { starts, ends };
}

function mayStandBeside(bpe: Bpe, left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  const together = bpe.merge(left + right);
  return together.length === 2 && together[0] === left;
}
