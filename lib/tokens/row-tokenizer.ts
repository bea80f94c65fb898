/** A model's tokenizer: rendered parts of rows in, final token ids out. */

import { throwIfAborted } from '../abort';
import { PairscoreError } from '../errors';
import type { ModelSpec } from '../model/spec';
import type { NativeTokenizer } from '../native/contract';
import { openTokenizer } from '../native/engine';
import type { Signal } from '../signal';
import { TokenizerCheck, type TextName } from './check';
import { cutTokenizer } from './cut-tokenizer';
import { openHfTokenizer, tokenizerClosed, type HfTokenizer } from './hf-tokenizer';
import { LateMerger } from './late-merger';
import type { Merger } from './merger';
import { overNative } from './native-tokenizer';
import type { SurroundingTokens } from './post-processor';
import { checkRules, encodeRows, type CutTokenizer, type Parts, type RowRules } from './rows';
import { LOOKED_AT } from './sample';
import type { TextTokenizer } from './text-tokenizer';

/** What the event loop waits for: joining rows, cutting and copying their ids. */
const ROWS_AT_A_TIME = 1024;

export interface RowTokenizerOptions {
  readonly spec: ModelSpec;
  /** Threads of the native tokenizer. */
  readonly threads: number;
  readonly spreadMaxLength: boolean;
  /** 'native' is checked against tokenizer.json on a sample; 'hf' uses tokenizer.json for everything. */
  readonly tokenizer: 'native' | 'hf';
  /** Ends the opening. */
  readonly signal?: Signal | undefined;
}

export interface RowTokenizer {
  /**
   * Final ids: special tokens, truncation, spreadMaxLength. Throws ERR_TOKENIZER_MISMATCH, and ERR_ABORTED between two
   * calls of the tokenizer. nameOf: what a message calls the text of an index.
   */
  tokenize(rows: readonly Parts[], signal?: Signal, nameOf?: TextName): Promise<readonly Int32Array[]>;
  /** Waits for native calls in flight. Idempotent. */
  close(): Promise<void>;
}

/** Rejects, holding nothing, with ERR_MODEL_MISMATCH where the manifest and the tokenizer's folder disagree. */
export async function openRowTokenizer(options: RowTokenizerOptions): Promise<RowTokenizer> {
  const { spec, threads, signal } = options;
  const rules = rulesOf(options);
  checkRules(rules);
  const native =
    options.tokenizer === 'native' ? openTokenizer({ basePath: spec.base, threads }, signal) : Promise.resolve(null);
  const hf = openHfTokenizer(spec.tokenizer, spec.specialTokensInText, signal);
  const opened = await Promise.allSettled([hf, native]);
  const [reference, found] = opened;
  try {
    if (reference.status === 'rejected') throw reference.reason;
    if (found.status === 'rejected') throw found.reason;
    checkSurrounding(spec, reference.value.facts.surrounding);
    return new OpenRowTokenizer(rules, reference.value, found.value && toNative(found.value, spec));
  } catch (error) {
    if (reference.status === 'fulfilled') await reference.value.close();
    if (found.status === 'fulfilled') await found.value?.close();
    throw error;
  }
}

interface Native {
  readonly texts: TextTokenizer;
  readonly merger: Merger;
  close(): Promise<void>;
}

function toNative(tokenizer: NativeTokenizer, spec: ModelSpec): Native {
  const merger = new LateMerger(spec);
  return {
    texts: overNative(tokenizer, spec.specialTokensInText),
    merger,
    close: async () => {
      await Promise.all([tokenizer.close(), merger.close()]);
    },
  };
}

function rulesOf({ spec, spreadMaxLength }: RowTokenizerOptions): RowRules {
  return {
    surrounding: { bos: spec.bos, eos: spec.eos },
    maxLength: spec.maxLength,
    truncation: spec.truncation,
    parts: spreadMaxLength ? 'apart' : 'together',
  };
}

function checkSurrounding(spec: ModelSpec, actual: SurroundingTokens): void {
  for (const key of ['bos', 'eos'] as const) {
    if (spec[key] === actual[key]) continue;
    const text =
      `Expected ${key} ${String(actual[key])}, which the tokenizer in ${spec.tokenizer} adds, ` +
      `in the manifest of model ${spec.name} but received ${String(spec[key])}`;
    throw new PairscoreError('ERR_MODEL_MISMATCH', text, { file: spec.folder });
  }
}

class OpenRowTokenizer implements RowTokenizer {
  private readonly texts: TextTokenizer;
  private readonly merger: Merger;
  private readonly check: TokenizerCheck | null;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly rules: RowRules,
    private readonly reference: HfTokenizer,
    private readonly native: Native | null,
  ) {
    this.texts = native?.texts ?? reference;
    this.merger = native?.merger ?? reference;
    this.check = native && new TokenizerCheck(native.texts, reference);
  }

  async tokenize(
    rows: readonly Parts[],
    signal?: Signal,
    nameOf: TextName = (index) => `text ${index + 1}`,
  ): Promise<readonly Int32Array[]> {
    if (this.closing) throw tokenizerClosed();
    const checkAborted = (): void => throwIfAborted(signal);
    checkAborted();
    const facts = this.reference.facts.boundaries;
    const tokenizer = cutTokenizer({ tokenizer: this.texts, facts, merger: this.merger, checkAborted });
    const lists: Int32Array[] = [];
    let from = 0;
    do {
      const block = rows.slice(from, from + ROWS_AT_A_TIME);
      const start = from;
      for (const ids of await this.tokenizeBlock(block, tokenizer, (index) => nameOf(start + index))) lists.push(ids);
      from += ROWS_AT_A_TIME;
    } while (from < rows.length);
    return lists;
  }

  private async tokenizeBlock(
    rows: readonly Parts[],
    tokenizer: CutTokenizer,
    nameOf: TextName,
  ): Promise<readonly Int32Array[]> {
    const texts = rows.map((row) => row.map((part) => part.slice(0, LOOKED_AT)).join(''));
    // Side by side; a mismatch comes first, as its ids must not be used.
    const [checked, ids] = await Promise.allSettled([
      this.check?.run(texts, nameOf),
      encodeRows(rows, this.rules, tokenizer),
    ]);
    if (checked.status === 'rejected') throw checked.reason;
    if (ids.status === 'rejected') throw ids.reason;
    return ids.value;
  }

  close(): Promise<void> {
    this.closing ??= Promise.all([this.reference.close(), this.native?.close()]).then(() => undefined);
    return this.closing;
  }
}
