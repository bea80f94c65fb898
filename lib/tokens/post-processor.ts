/**
 * Which tokens transformers puts around one text. tokenizer.json's post-processor says so, except for the classes whose
 * fast tokenizer throws it away and builds its own from add_bos_token and add_eos_token. PreTrainedTokenizerFast, which is
 * Llama-3's, reads neither.
 */

import { PairscoreError } from '../errors';
import { asList, asTree, tokenText, type Tree } from './tree';

export interface SurroundingTokens {
  readonly bos: number | null;
  readonly eos: number | null;
}

const REBUILDING_CLASSES: ReadonlySet<unknown> = new Set([
  'GemmaTokenizer',
  'GemmaTokenizerFast',
  'LlamaTokenizer',
  'LlamaTokenizerFast',
]);

const NOTHING: SurroundingTokens = { bos: null, eos: null };

/** Both arguments are the parsed files. Throws ERR_MODEL_FILE where they put more than one token on a side. */
export function surroundingTokens(tokenizerJson: unknown, tokenizerConfig: unknown): SurroundingTokens {
  const tokenizer = asTree(tokenizerJson);
  const config = asTree(tokenizerConfig);
  // transformers 5 writes its backend down, and keeps the post-processor for every class.
  const isRebuilt = REBUILDING_CLASSES.has(config['tokenizer_class']) && config['backend'] === undefined;
  if (isRebuilt) return fromConfig(tokenizer, config);
  return fromProcessor(tokenizer['post_processor'], tokenizer);
}

function fromConfig(tokenizer: Tree, config: Tree): SurroundingTokens {
  const named = (key: string): number => {
    const text = tokenText(config[key]);
    if (text === null) throw broken(`${key} in tokenizer_config.json`, 'a token', String(config[key]));
    return idOf(text, tokenizer);
  };
  return {
    bos: (config['add_bos_token'] ?? true) === true ? named('bos_token') : null,
    eos: (config['add_eos_token'] ?? false) === true ? named('eos_token') : null,
  };
}

function fromProcessor(value: unknown, tokenizer: Tree): SurroundingTokens {
  const processor = asTree(value);
  switch (processor['type']) {
    case undefined:
    case 'ByteLevel':
      return NOTHING;
    case 'Sequence':
      return asList(processor['processors'])
        .map((part) => fromProcessor(part, tokenizer))
        .reduce(combined, NOTHING);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { bos: pairId(processor['cls']), eos: pairId(processor['sep']) };
    case 'TemplateProcessing':
      return fromTemplate(processor);
    default:
      throw broken('the post-processor', 'a known type', String(processor['type']));
  }
}

/** A later processor wraps what the earlier ones made. */
function combined(inner: SurroundingTokens, outer: SurroundingTokens): SurroundingTokens {
  const one = (a: number | null, b: number | null): number | null => {
    if (a !== null && b !== null) throw broken('the post-processors', 'one token on a side', 'two');
    return a ?? b;
  };
  return { bos: one(inner.bos, outer.bos), eos: one(inner.eos, outer.eos) };
}

function fromTemplate(processor: Tree): SurroundingTokens {
  const pieces = asList(processor['single']).map(asTree);
  const at = pieces.findIndex((piece) => 'Sequence' in piece);
  if (at < 0) throw broken('the template for one text', 'a place for the text', 'none');
  const idsOf = (part: readonly Tree[]): readonly number[] =>
    part.flatMap((piece) => {
      const name = asTree(piece['SpecialToken'])['id'];
      const token = asTree(asTree(processor['special_tokens'])[String(name)]);
      return asList(token['ids']).filter((id) => typeof id === 'number');
    });
  return { bos: only(idsOf(pieces.slice(0, at))), eos: only(idsOf(pieces.slice(at + 1))) };
}

function only(ids: readonly number[]): number | null {
  if (ids.length > 1) throw broken('the post-processor', 'at most one token on a side', String(ids.length));
  return ids[0] ?? null;
}

function pairId(value: unknown): number | null {
  const id = asList(value)[1];
  return typeof id === 'number' ? id : null;
}

function idOf(text: string, tokenizer: Tree): number {
  const added = asList(tokenizer['added_tokens']).map(asTree);
  const id =
    added.find((token) => token['content'] === text)?.['id'] ?? asTree(asTree(tokenizer['model'])['vocab'])[text];
  if (typeof id === 'number') return id;
  throw broken('tokenizer_config.json', 'tokens that tokenizer.json holds', `'${text}'`);
}

function broken(what: string, expected: string, received: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_FILE', `Expected ${expected} for ${what} but received ${received}`);
}
