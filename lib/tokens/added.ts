/** Where added tokens stand in a text: they are matched before anything else, from left to right, the longest first. */

export interface AddedFacts {
  readonly texts: readonly string[];
  /**
   * Those that overlap no other and no copy of themselves, and neither hold nor are held: each occurrence of one is
   * matched, whatever stands around it.
   */
  readonly clear: readonly string[];
  /** Matches one of `clear` where it is sent. Sticky. */
  readonly clearHere: RegExp;
  /** UTF-16 units. */
  readonly longest: number;
}

export function addedFacts(texts: readonly string[]): AddedFacts {
  const clear = texts.filter((text) => !/^$|[ \u2581]/.test(text) && texts.every((other) => isApart(text, other)));
  const escaped = clear.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  return {
    texts,
    clear,
    clearHere: new RegExp(escaped.length > 0 ? escaped.sort().join('|') : '(?!)', 'y'),
    longest: texts.reduce((most, text) => Math.max(most, text.length), 0),
  };
}

function isApart(a: string, b: string): boolean {
  if (a !== b && (a.includes(b) || b.includes(a))) return false;
  for (let size = 1; size < Math.min(a.length, b.length); size++) {
    if (a.endsWith(b.slice(0, size)) || b.endsWith(a.slice(0, size))) return false;
  }
  return true;
}

export interface Occurrence {
  readonly begin: number;
  readonly end: number;
}

/** An occurrence of any added token that begins before `at` and ends after it. */
export function straddling({ texts, longest }: AddedFacts, text: string, at: number): Occurrence | null {
  const from = Math.max(at - longest + 1, 0);
  const around = text.slice(from, Math.max(at + longest - 1, 0));
  for (const one of texts) {
    for (let begin = around.indexOf(one); begin >= 0; begin = around.indexOf(one, begin + 1)) {
      const end = from + begin + one.length;
      if (from + begin < at && end > at) return { begin: from + begin, end };
    }
  }
  return null;
}

export function clearBeginsAt({ clearHere }: AddedFacts, text: string, at: number): boolean {
  clearHere.lastIndex = at;
  return clearHere.test(text);
}

export function clearEndsAt({ clear }: AddedFacts, text: string, at: number): boolean {
  return clear.some((one) => text.endsWith(one, at));
}
