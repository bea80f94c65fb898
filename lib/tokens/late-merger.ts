/** tokenizer.json's merges, read when they are first asked for: few texts need them, and a tokenizer takes memory. */

import type { ModelSpec } from '../model/spec';
import type { KnownEnd } from './certain';
import { openHfTokenizer, type HfTokenizer } from './hf-tokenizer';
import type { CertainIds, Merger } from './merger';

export class LateMerger implements Merger {
  private opening: Promise<HfTokenizer> | undefined;

  constructor(private readonly spec: Pick<ModelSpec, 'tokenizer' | 'specialTokensInText'>) {}

  async merge(stretch: string): Promise<Int32Array> {
    return (await this.open()).merge(stretch);
  }

  async certain(known: string, end: KnownEnd): Promise<CertainIds | null> {
    return (await this.open()).certain(known, end);
  }

  /** Calls in flight are rejected. Idempotent. */
  async close(): Promise<void> {
    const opened = await this.opening?.catch(() => null);
    await opened?.close();
  }

  private open(): Promise<HfTokenizer> {
    this.opening ??= openHfTokenizer(this.spec.tokenizer, this.spec.specialTokensInText);
    return this.opening;
  }
}
