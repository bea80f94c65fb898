import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  compareVocabulary,
  findTokenizer,
  readTokenizerFacts,
  type TokenizerFacts,
} from '../../../lib/import/tokenizer-facts';
import { readVocabulary } from '../../../lib/import/vocabulary';
import { readTexts } from '../../../lib/model/gguf-file';
import { encodeValue } from '../../../lib/import/gguf-values';
import { write } from './archive';
import { refused, scratchFolder } from './scratch';

const scratch = scratchFolder();
const facts = (tokens: readonly (string | undefined)[], changes: Partial<TokenizerFacts> = {}): TokenizerFacts => ({
  folder: 'tok',
  tokens,
  added: [{ id: 2, content: '\u2581\u2581', special: false, normalized: false }],
  bos: 0,
  eos: null,
  ...changes,
});

describe('a vocabulary fits its base', () => {
  test('when the tokens are the same, spelled as llama.cpp spells them', () => {
    assert.deepEqual(
      compareVocabulary(facts(['a', '\t', '\u2581\u2581', undefined]), ['a', '<0x09>', '  ', '[PAD3]', '[PAD4]']),
      [],
    );
  });

  test('with a note when an added token was renamed', () => {
    const notes = compareVocabulary(facts(['a', 'b', '<new>']), ['a', 'b', '<reserved>']);
    assert.match(notes[0] ?? '', /1 added tokens are spelled otherwise in the base, first 2: "<reserved>"/);
  });

  test('but not when a token is another, or it is longer, or bos was renamed', () => {
    assert.throws(() => compareVocabulary(facts(['a', 'c', 'x']), ['a', 'b', 'x']), /token 1 to be "b".*another model/);
    assert.throws(() => compareVocabulary(facts(['a', 'b', 'x']), ['a', 'b']), /at most the base's 2 tokens/);
    assert.throws(() => compareVocabulary(facts(['a', 'b', 'x'], { bos: 2 }), ['a', 'b', 'y']), /token 2/);
    assert.throws(() => compareVocabulary(facts(['a', 'A', 'x']), ['a', '<0x09>', 'x']), /token 1/);
  });
});

describe('a tokenizer folder', () => {
  const folderOf = (name: string, json: unknown, config: unknown = {}): string => {
    const folder = join(scratch, name);
    mkdirSync(folder);
    write(folder, 'tokenizer.json', JSON.stringify(json));
    write(folder, 'tokenizer_config.json', JSON.stringify(config));
    return folder;
  };
  const bpe = { type: 'BPE', byte_fallback: true, unk_token: 'u', vocab: { u: 0, a: 1, b: 2, ab: 3 }, merges: ['a b'] };
  const runs = { id: 4, content: '\u2581\u2581', special: false };

  test('is the one given, or the first source that has one', () => {
    const folder = folderOf('found', { model: bpe });
    assert.equal(findTokenizer(null, [scratch, folder]), folder);
    assert.throws(() => findTokenizer(scratch, [folder]), /Expected tokenizer\.json in/);
    assert.throws(() => findTokenizer(null, []), /--tokenizer/);
  });

  test('is refused when its files are of another form', async () => {
    await refused(
      readTokenizerFacts(folderOf('unigram', { model: { type: 'Unigram', vocab: [] } })),
      'ERR_MODEL_FILE',
      /type BPE/,
    );
    await refused(
      readTokenizerFacts(folderOf('huge', { model: { ...bpe, vocab: { a: 1e12 } } })),
      'ERR_MODEL_FILE',
      /below 4000000/,
    );
    await refused(
      readTokenizerFacts(folderOf('added', { model: bpe, added_tokens: [{ id: -1, content: 'x' }] })),
      'ERR_MODEL_FILE',
      /added tokens/,
    );
    await refused(readTokenizerFacts(scratch), 'ERR_MODEL_FILE', /readable file/);
  });

  test('without tokenizer.model gives scores by the rank of merges, spaces as spaces, and pads the rest', async () => {
    const vocabulary = await readVocabulary(
      folderOf('spm', { model: bpe, added_tokens: [runs] }),
      { architecture: 'gemma2', vocabulary: 6 },
      {},
    );
    assert.deepEqual(vocabulary.tokens, ['u', 'a', 'b', 'ab', '  ', '[PAD5]']);
    const value = (key: string) => vocabulary.entries.find(([name]) => name === `tokenizer.ggml.${key}`)?.[1];
    assert.deepEqual(value('scores'), { type: 'float32s', value: [-1, -1, -1, -0, -1000, -10000] });
    assert.deepEqual(value('token_type'), { type: 'int32s', value: [2, 1, 1, 1, 4, 5] });
    const tokens = value('tokens');
    assert.ok(tokens !== undefined);
    assert.deepEqual(readTexts(encodeValue(tokens)), vocabulary.tokens);
  });

  test('that splits text in a way llama.cpp would not know is refused as a base', async () => {
    const folder = folderOf('split', { model: { ...bpe, byte_fallback: false }, pre_tokenizer: { type: 'ByteLevel' } });
    await refused(
      readVocabulary(folder, { architecture: 'llama', vocabulary: 6 }, {}),
      'ERR_TOKENIZER_MISMATCH',
      /Llama 3's way/,
    );
  });

  test('with more tokens than the base has rows is refused', async () => {
    await refused(
      readVocabulary(folderOf('long', { model: bpe }), { architecture: 'gemma2', vocabulary: 3 }, {}),
      'ERR_TOKENIZER_MISMATCH',
      /below the base's 3/,
    );
  });
});
