import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { hasErrorCode } from '../../../lib/errors';
import { surroundingTokens } from '../../../lib/tokens/post-processor';
import { readTokenizerFolder } from '../../../lib/tokens/tokenizer-folder';

const root = join(__dirname, '..', '..', '..');
const added = [
  { id: 2, content: '<bos>' },
  { id: 1, content: '<eos>' },
];
const gemma = { tokenizer_class: 'GemmaTokenizer', bos_token: '<bos>', eos_token: { content: '<eos>' } };
const template = (...single: readonly string[]): object => ({
  type: 'TemplateProcessing',
  single: single.map((name) => (name === '$A' ? { Sequence: { id: 'A' } } : { SpecialToken: { id: name } })),
  special_tokens: { '<bos>': { ids: [2] }, '<eos>': { ids: [1] }, '<two>': { ids: [7, 8] } },
});

function isModelFile(error: unknown): boolean {
  return hasErrorCode(error) && error.code === 'ERR_MODEL_FILE';
}

describe('the tokens around a text', () => {
  test('are read from the post-processor', () => {
    const read = (post_processor: unknown): object => surroundingTokens({ post_processor, added_tokens: added }, {});
    assert.deepEqual(read(template('<bos>', '$A', '<eos>')), { bos: 2, eos: 1 });
    assert.deepEqual(read(template('<bos>', '$A')), { bos: 2, eos: null });
    assert.deepEqual(read({ type: 'ByteLevel' }), { bos: null, eos: null });
    assert.deepEqual(read(null), { bos: null, eos: null });
    const sequence = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template('<bos>', '$A')] };
    assert.deepEqual(read(sequence), { bos: 2, eos: null });
    assert.deepEqual(read({ type: 'RobertaProcessing', sep: ['<eos>', 1], cls: ['<bos>', 2] }), { bos: 2, eos: 1 });
  });

  test("are rebuilt from tokenizer_config.json for Gemma's class, whatever the post-processor says", () => {
    const read = (config: object): object =>
      surroundingTokens({ post_processor: template('$A'), added_tokens: added }, { ...gemma, ...config });
    assert.deepEqual(read({}), { bos: 2, eos: null });
    assert.deepEqual(read({ add_eos_token: true }), { bos: 2, eos: 1 });
    assert.deepEqual(read({ add_bos_token: false, add_eos_token: true }), { bos: null, eos: 1 });
  });

  test("are the post-processor's for Gemma's class too where transformers 5 saved it", () => {
    const tokenizer = { post_processor: template('<bos>', '$A', '<eos>'), added_tokens: added };
    assert.deepEqual(surroundingTokens(tokenizer, { ...gemma, backend: 'tokenizers' }), { bos: 2, eos: 1 });
  });

  test("ignore add_eos_token for Llama-3's class", () => {
    const config = { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '<eos>', add_eos_token: true };
    const tokenizer = { post_processor: template('<bos>', '$A'), added_tokens: added };
    assert.deepEqual(surroundingTokens(tokenizer, config), { bos: 2, eos: null });
  });

  test('of the tokenizers at hand are the known ones', () => {
    const read = (...path: readonly string[]): object => {
      const { tokenizerJson, tokenizerConfig } = readTokenizerFolder(join(root, ...path));
      return surroundingTokens(tokenizerJson, tokenizerConfig);
    };
    assert.deepEqual(read('models', 'demo', 'gemma'), { bos: 2, eos: 1 });
    assert.deepEqual(read('models', 'demo', 'llama'), { bos: 1200, eos: null });
    assert.deepEqual(read('node_modules', '@lenml', 'tokenizer-gemma2', 'models'), { bos: 2, eos: null });
    assert.deepEqual(read('node_modules', '@lenml', 'tokenizer-llama3', 'models'), { bos: null, eos: null });
  });

  test('must be at most one on a side, and tokens of the vocabulary', () => {
    const read = (post_processor: unknown, config: object): object =>
      surroundingTokens({ post_processor, added_tokens: added }, config);
    assert.throws(() => read(template('<bos>', '<bos>', '$A'), {}), isModelFile);
    assert.throws(() => read(template('<two>', '$A'), {}), isModelFile);
    assert.throws(() => read(template('<bos>'), {}), isModelFile);
    assert.throws(() => read({ type: 'Unheard' }, {}), isModelFile);
    assert.throws(() => read(null, { ...gemma, bos_token: '<none>' }), isModelFile);
    assert.throws(() => read(null, { ...gemma, bos_token: 7 }), isModelFile);
  });
});
