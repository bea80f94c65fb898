import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { hasErrorCode } from '../../../lib/errors';
import { TokenizerCheck } from '../../../lib/tokens/check';
import { openHfTokenizer } from '../../../lib/tokens/hf-tokenizer';
import { Sampler, hardStrings } from '../../../lib/tokens/sample';
import type { TextTokenizer } from '../../../lib/tokens/text-tokenizer';

const folder = join(__dirname, '..', '..', '..', 'models', 'demo', 'gemma');
const nameOf = (index: number): string => `row ${index + 1} (id q${index})`;

/** Checks a tokenizer that is tokenizer.json's but for what `spoil` does. */
async function check(texts: readonly string[], spoil: (ids: Int32Array, text: string) => Int32Array): Promise<void> {
  const reference = await openHfTokenizer(folder, 'parse');
  const native: TextTokenizer = {
    async encode(some) {
      const lists = await reference.encode(some);
      return lists.map((ids, i) => spoil(ids, some[i] ?? ''));
    },
  };
  const checked = new TokenizerCheck(native, reference);
  try {
    await checked.run(texts, nameOf);
  } finally {
    await checked.close();
  }
}

async function mismatchOf(work: Promise<void>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(hasErrorCode(error), 'no error');
  assert.equal(error.code, 'ERR_TOKENIZER_MISMATCH');
  return error.message;
}

const texts = ['Hello there', 'Nothing much', `${'word '.repeat(300)}call 0800 123456 now`, 'Bye'];

describe('the check against tokenizer.json', () => {
  test('passes a tokenizer that agrees', async () => {
    await check(texts, (ids) => ids);
  });

  test('finds a difference that only digits show, and names row, place, token and both pieces', async () => {
    const message = await mismatchOf(
      check(texts, (ids, text) => (text.includes('0800 123456') ? ids.with(ids.length - 2, 5) : ids)),
    );
    assert.match(message, /row 3 \(id q2\), at character 15\d\d/);
    assert.match(message, /token \d+ of an excerpt/);
    assert.match(message, /is 5 \("<2mass>"\) for the native tokenizer and \d+ \(".*"\) in tokenizer\.json/);
    assert.match(message, /--tokenizer hf/);
  });

  test('finds a token too many, and one too few', async () => {
    const longer = await mismatchOf(check([], (ids) => Int32Array.from([...ids, 9])));
    assert.match(longer, /a test string.* in tokenizer\.json/);
    assert.match(longer, /is 9 .* and no token in tokenizer\.json/);
    const shorter = await mismatchOf(check([], (ids) => ids.slice(0, 1)));
    assert.match(shorter, /is no token for the native tokenizer/);
  });

  test('tries the strings of special tokens, though no text has them', async () => {
    const message = await mismatchOf(
      check(texts, (ids, text) => (text.includes('<start_of_turn>') ? ids.slice(1) : ids)),
    );
    assert.match(message, /a test string/);
  });
});

describe('the end of the check', () => {
  test('does not take the reference from a call that still compares', async () => {
    const reference = await openHfTokenizer(folder, 'parse');
    const native: TextTokenizer = { encode: (some) => reference.encode(some) };
    const checked = new TokenizerCheck(native, reference);
    for (let call = 0; call < 250; call++) await checked.run(['q'], nameOf);
    // The last calls that are looked at end before the first of these has its answer.
    const texts = ['\u{1f34d} x', 'q', 'q', 'q', 'q', 'q', 'q', 'q'];
    await Promise.all(texts.map((text) => checked.run([text], nameOf)));
    await assert.rejects(reference.encode(['q']), { code: 'ERR_CLOSED' });
    await checked.run(['\u4f60'], nameOf);
    await checked.close();
  });
});

describe('the sample', () => {
  const quirks = [
    'a   b',
    '\u{1f34d}',
    'x\ufffd\ufffd\ufffd',
    'https:\\/\\/',
    '\u4f60\u597d',
    '1234567',
    'q'.repeat(99),
  ];

  test('takes the texts that hurt before the harmless ones', async () => {
    const harmless = Array.from({ length: 500 }, (_, i) => `plain text ${i % 10}`);
    const excerpts = await new Sampler().choose([...harmless, ...quirks]);
    const chosen = excerpts.map(({ text }) => text ?? -1);
    for (let i = 0; i < quirks.length; i++) assert.ok(chosen.includes(500 + i), quirks[i]);
    assert.ok(chosen.length < quirks.length + 10);
  });

  test('stays small however large and many the texts are', async () => {
    const sampler = new Sampler();
    let size = 0;
    for (let call = 0; call < 20; call++) {
      const large = quirks.map((quirk) => `${'pad '.repeat(200)}${quirk}${'x'.repeat(1_000_000)}`);
      for (const { content } of await sampler.choose(large)) size += content.length;
    }
    assert.ok(size > 5_000 && size < 60_000, `${size} characters`);
  });

  test('says where an excerpt stands, and splits no character', async () => {
    const text = `${'\u{1f34d}'.repeat(900)}12345`;
    const [excerpt] = await new Sampler().choose([text]);
    assert.ok(excerpt);
    assert.equal(excerpt.content, text.slice(excerpt.from, excerpt.from + excerpt.content.length));
    assert.ok(!/[\ud800-\udbff]$|^[\udc00-\udfff]/.test(excerpt.content));
    assert.ok(hardStrings(['<eos>']).some(({ content }) => content.includes('a<eos>b')));
  });
});
