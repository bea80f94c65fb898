/** The native tokenizer against tokenizer.json, on a sample of what the run tokenizes. A difference stops the run. */

import { PairscoreError } from '../errors';
import type { HfTokenizer } from './hf-tokenizer';
import { Sampler, hardStrings, type Excerpt } from './sample';
import type { TextTokenizer } from './text-tokenizer';

/** Calls whose texts are looked at: after those the reference is let go. */
const MOST_CALLS = 256;

/** What a message calls a text. */
export type TextName = (index: number) => string;

export class TokenizerCheck {
  private readonly sampler = new Sampler();
  private calls = 0;
  /** Calls that may still ask the reference. */
  private running = 0;
  /** The first difference: from then on every call is refused with it. */
  private difference: PairscoreError | undefined;

  /** Owns the reference. */
  constructor(
    private readonly native: TextTokenizer,
    private readonly reference: HfTokenizer,
  ) {}

  /** Throws ERR_TOKENIZER_MISMATCH. */
  async run(texts: readonly string[], nameOf: TextName): Promise<void> {
    if (this.difference) throw this.difference;
    if (this.hasSeenEnough()) return;
    this.calls += 1;
    this.running += 1;
    try {
      const fixed = this.calls === 1 ? hardStrings(this.reference.facts.specialTexts) : [];
      const excerpts = [...fixed, ...(await this.sampler.choose(texts))];
      await this.compare(excerpts, nameOf);
    } finally {
      this.running -= 1;
      // The last one out lets the reference go, and does not wait for it.
      if (this.running === 0 && this.hasSeenEnough()) void this.close();
    }
  }

  close(): Promise<void> {
    return this.reference.close();
  }

  private hasSeenEnough(): boolean {
    return this.sampler.isDone || this.calls >= MOST_CALLS;
  }

  private async compare(excerpts: readonly Excerpt[], nameOf: TextName): Promise<void> {
    if (excerpts.length === 0) return;
    const contents = excerpts.map(({ content }) => content);
    const [expected, received] = await Promise.all([this.reference.encode(contents), this.native.encode(contents)]);
    for (const [i, excerpt] of excerpts.entries()) {
      const [want = new Int32Array(), got = new Int32Array()] = [expected[i], received[i]];
      const at = firstDifference(want, got);
      if (at === null) continue;
      this.difference ??= await this.mismatch(excerpt, { want, got, at }, nameOf);
      throw this.difference;
    }
  }

  private async mismatch(excerpt: Excerpt, { want, got, at }: Difference, nameOf: TextName): Promise<PairscoreError> {
    const before = await this.reference.describe([...want.subarray(0, at)]);
    const piece = async (ids: Int32Array): Promise<string> => {
      const id = ids[at];
      if (id === undefined) return 'no token';
      return `${id} (${JSON.stringify((await this.reference.describe([id])).pieces[0])})`;
    };
    const offset = Math.min(before.text.length, excerpt.content.length);
    const where =
      excerpt.text === null ? 'of a test string' : `of ${nameOf(excerpt.text)}, at character ${excerpt.from + offset}`;
    const text = JSON.stringify(excerpt.content.slice(Math.max(offset - 20, 0), offset + 20));
    return new PairscoreError(
      'ERR_TOKENIZER_MISMATCH',
      `Expected the native tokenizer to agree with tokenizer.json but token ${at} of an excerpt ${where}, near ${text}, ` +
        `is ${await piece(got)} for the native tokenizer and ${await piece(want)} in tokenizer.json. ` +
        `Either the base model has another vocabulary, or use tokenizer.json for everything (--tokenizer hf)`,
    );
  }
}

interface Difference {
  readonly want: Int32Array;
  readonly got: Int32Array;
  readonly at: number;
}

function firstDifference(a: Int32Array, b: Int32Array): number | null {
  const length = Math.max(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return null;
}
