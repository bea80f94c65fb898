import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EngineSpec, NativeAddon, NativeEngine, NativeTokenizer } from '../../lib/native/contract';
import { loadAddon } from '../../lib/native/load';
import { demoFile, demoSpec } from './demo';

/** What a JavaScript caller without types could do. */
function untyped(target: object, method: string, ...values: readonly unknown[]): Promise<unknown> {
  return (async () => {
    const call: unknown = Reflect.get(target, method);
    assert.ok(typeof call === 'function');
    const answer: unknown = Reflect.apply(call, target, values);
    return answer;
  })();
}

async function scoreAlone(engine: NativeEngine, row: readonly number[]): Promise<readonly number[]> {
  return [...(await engine.score(Int32Array.from(row), Int32Array.of(0, row.length)))];
}

const rows: readonly (readonly number[])[] = [
  [2, 40, 41, 42, 1],
  [2, 1],
  Array.from({ length: 128 }, (_, i) => 20 + ((i * 37) % 500)),
  [2, ...Array.from({ length: 60 }, (_, i) => 300 + i), 1],
];

describe('the native engine', () => {
  let addon: NativeAddon;
  let engine: NativeEngine;
  const open = (spec: EngineSpec): Promise<NativeEngine> => addon.openEngine(spec, addon.newStop());

  before(async () => {
    addon = loadAddon();
    engine = await open(demoSpec('gemma'));
  });
  after(() => engine.close());

  it('scores a batch of unequal rows as it scores each row alone', async () => {
    const offsets = Int32Array.from([0, 5, 7, 135, 197]);
    const together = await engine.score(Int32Array.from(rows.flat()), offsets);
    for (const [index, row] of rows.entries()) {
      const alone = await scoreAlone(engine, row);
      for (const [label, logit] of alone.entries()) {
        assert.ok(Math.abs(logit - (together[index * 3 + label] ?? NaN)) <= 1e-5, `row ${index}, label ${label}`);
      }
    }
  });

  it('gives the same logits again after batches of other shapes', async () => {
    const first = await scoreAlone(engine, rows[3] ?? []);
    await engine.score(new Int32Array(8).fill(7), Int32Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8]));
    await scoreAlone(engine, rows[2] ?? []);
    assert.deepEqual(await scoreAlone(engine, rows[3] ?? []), first);
  });

  it('refuses a sequence longer than the engine was opened for', async () => {
    await assert.rejects(scoreAlone(engine, new Array<number>(129).fill(5)), { code: 'ERR_USAGE', message: /128/ });
  });

  it('refuses more rows or more padded tokens than a batch may hold', async () => {
    const nine = Int32Array.from({ length: 10 }, (_, i) => i);
    await assert.rejects(engine.score(new Int32Array(9).fill(5), nine), {
      code: 'ERR_USAGE',
      message: /at most 8 rows/,
    });
    const wide = Int32Array.from([0, 128, 129, 130, 131, 132]);
    await assert.rejects(engine.score(new Int32Array(132).fill(5), wide), {
      code: 'ERR_USAGE',
      message: /padded tokens/,
    });
  });

  it('refuses ids outside the vocabulary, empty rows and offsets that do not rise', async () => {
    const bad: readonly (readonly [number[], number[]])[] = [
      [
        [1, 999_999],
        [0, 2],
      ],
      [[-1], [0, 1]],
      [[5], [0, 0, 1]],
      [
        [5, 6],
        [0, 2, 1],
      ],
      [
        [5, 6],
        [0, 1],
      ],
      [
        [5, 6],
        [1, 2],
      ],
      [[5], [0]],
      [[], []],
      [[], [0]],
      [
        [5, 6, 7],
        [0, -1, 3],
      ],
      [
        [5, 6, 7],
        [0, 2147483647, 3],
      ],
    ];
    for (const [tokens, offsets] of bad) {
      const call = engine.score(Int32Array.from(tokens), Int32Array.from(offsets));
      await assert.rejects(call, { code: 'ERR_USAGE' }, JSON.stringify([tokens, offsets]));
    }
  });

  it('refuses other typed arrays and no arrays at all', async () => {
    await assert.rejects(untyped(engine, 'score', new Float32Array(1), Int32Array.of(0, 1)), { code: 'ERR_USAGE' });
    await assert.rejects(untyped(engine, 'score', [1], [0, 1]), { code: 'ERR_USAGE' });
    await assert.rejects(untyped(engine, 'score'), { code: 'ERR_USAGE' });
  });

  it('refuses a spec with a missing, mistyped or senseless field', async () => {
    for (const key of Object.keys(demoSpec('gemma'))) {
      const spec = { ...demoSpec('gemma'), [key]: undefined };
      const refused = untyped(addon, 'openEngine', spec, addon.newStop());
      await assert.rejects(refused, { code: 'ERR_USAGE', message: new RegExp(key) });
    }
    for (const key of ['threads', 'maxBatchTokens', 'maxSequenceTokens', 'maxBatchSequences'] as const) {
      await assert.rejects(open(demoSpec('gemma', { [key]: 0 })), {
        code: 'ERR_USAGE',
        message: new RegExp(key),
      });
    }
    await assert.rejects(open(demoSpec('gemma', { maxBatchTokens: 100 })), { code: 'ERR_USAGE' });
    await assert.rejects(untyped(addon, 'openEngine', 'models/demo'), { code: 'ERR_USAGE' });
  });

  it('refuses an opening without a stop, and stops that are none', async () => {
    const spec = demoSpec('gemma');
    const impostor: unknown = Object.create(Reflect.getPrototypeOf(addon.newStop()));
    for (const stop of [undefined, {}, 'stop', engine, impostor]) {
      await assert.rejects(untyped(addon, 'openEngine', spec, stop));
      await assert.rejects(untyped(addon, 'openTokenizer', { basePath: spec.basePath, threads: 1 }, stop));
    }
    await assert.rejects(untyped(addon, 'openEngine', spec), { code: 'ERR_USAGE', message: /newStop/ });
  });

  it('a stop that was asked for before ends every opening that holds it, and nothing that is open', async () => {
    const stop = addon.newStop();
    const open = await addon.openEngine(demoSpec('llama'), stop);
    stop.request();
    stop.request();
    await assert.rejects(addon.openEngine(demoSpec('llama'), stop), { code: 'ERR_CLOSED', message: /stopped/ });
    const spec = { basePath: demoFile('llama', 'base.gguf'), threads: 1 };
    await assert.rejects(addon.openTokenizer(spec, stop), { code: 'ERR_CLOSED', message: /stopped/ });
    assert.equal((await scoreAlone(open, rows[0] ?? [])).length, 3);
    await open.close();
  });

  it('names the device that is not there', async () => {
    for (const device of ['cuda:63', 'cuda', 'gpu', '']) {
      await assert.rejects(open(demoSpec('gemma', { device })), { code: 'ERR_DEVICE_UNKNOWN' }, device);
    }
  });

  it("carries the caller's stack in a rejection", async () => {
    const error: unknown = await open(demoSpec('llama', { basePath: '/nowhere.gguf' })).catch((e: unknown) => e);
    assert.ok(typeof error === 'object' && error !== null && 'stack' in error);
    assert.match(String(error.stack), /nowhere\.gguf[\s\S]*border\.test/);
  });

  it('cannot be constructed around openEngine', () => {
    assert.throws(() => Reflect.construct(engine.constructor, []), { code: 'ERR_USAGE' });
    assert.throws(() => Reflect.construct(engine.constructor, [{}]), { code: 'ERR_USAGE' });
  });
});

describe('the native tokenizer', () => {
  let tokenizer: NativeTokenizer;

  before(async () => {
    const addon = loadAddon();
    const spec = { basePath: demoFile('llama', 'base.gguf'), threads: 2 };
    tokenizer = await addon.openTokenizer(spec, addon.newStop());
  });
  after(() => tokenizer.close());

  it('gives one list a text, in order, empty ones among them', async () => {
    const texts = ['one', '', 'two words', 'é🍍'];
    const { tokens, offsets } = await tokenizer.tokenize(texts, true);
    assert.equal(offsets.length, texts.length + 1);
    assert.equal(offsets[1], offsets[2]);
    assert.equal(offsets.at(-1), tokens.length);
    const again = await tokenizer.tokenize(['two words'], true);
    assert.deepEqual([...tokens.slice(offsets[2], offsets[3])], [...again.tokens]);
  });

  it('makes a control token of its string only where asked', async () => {
    const parsed = await tokenizer.tokenize(['<|eot_id|>'], true);
    const plain = await tokenizer.tokenize(['<|eot_id|>'], false);
    assert.equal(parsed.tokens.length, 1);
    assert.ok(plain.tokens.length > 1);
  });

  it('answers no texts with no tokens', async () => {
    const { tokens, offsets } = await tokenizer.tokenize([], true);
    assert.deepEqual([[...tokens], [...offsets]], [[], [0]]);
  });

  it('refuses texts that are no strings', async () => {
    await assert.rejects(untyped(tokenizer, 'tokenize', ['a', 1], true), { code: 'ERR_USAGE' });
    await assert.rejects(untyped(tokenizer, 'tokenize', 'a', true), { code: 'ERR_USAGE' });
    await assert.rejects(untyped(tokenizer, 'tokenize', ['a']), { code: 'ERR_USAGE' });
  });

  it('refuses work once it is closed, and closes twice', async () => {
    const addon = loadAddon();
    const spec = { basePath: demoFile('gemma', 'base.gguf'), threads: 1 };
    const own = await addon.openTokenizer(spec, addon.newStop());
    const last = own.tokenize(['still answered'], true);
    await own.close();
    await own.close();
    assert.ok((await last).tokens.length > 0);
    await assert.rejects(untyped(own, 'tokenize', ['a'], true), { code: 'ERR_CLOSED' });
  });
});
