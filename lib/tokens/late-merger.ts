/** tokenizer.json's merges, read when they are first asked for: few texts need them, and a tokenizer takes memory. */

import type { ModelSpec } from '../model/spec';
import type { KnownEnd } from './certain';
import { openHfTokenizer, tokenizerClosed, type HfTokenizer } from './hf-tokenizer';
import type { CertainIds, Merger } from './merger';

export class LateMerger implements Merger {
  private opening: Promise<HfTokenizer> | undefined;
  private closed = false;

  constructor(private readonly spec: Pick<ModelSpec, 'tokenizer' | 'specialTokensInText'>) {}

  async merge(stretch: string): Promise<Int32Array> {
    return (await this.open()).merge(stretch);
  }

  async certain(known: string, end: KnownEnd): Promise<CertainIds | null> {
    return (await this.open()).certain(known, end);
  }

  /** Calls in flight are rejected, and those that come later. Idempotent. */
  async close(): Promise<void> {
    this.closed = true;
    const opened = await this.opening?.catch(() => null);
    await opened?.close();
  }

  private async open(): Promise<HfTokenizer> {
    if (this.closed) throw tokenizerClosed();
    this.opening ??= openHfTokenizer(this.spec.tokenizer, this.spec.specialTokensInText);
    try {
      return await this.opening;
    } catch (error) {
      // The next text tries again: what failed may have been for a moment.
      this.opening = undefined;
      throw error;
    }
  }
}
