import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { hasErrorCode, type ErrorCode } from '../../lib/errors';
import { readManifest } from '../../lib/model/manifest';
import type { ModelSpec } from '../../lib/model/spec';
import { openRowTokenizer, type RowTokenizer } from '../../lib/tokens/row-tokenizer';
import type { Parts } from '../../lib/tokens/rows';
import { HUGE_TEXTS } from '../fixtures/huge-texts';
import { slowness } from '../fixtures/machine';
import { cannotMeasureTurns, calmestTurns } from '../fixtures/turns';

const demo = join(__dirname, '..', '..', 'models', 'demo');
const scratch = mkdtempSync(join(tmpdir(), 'pairscore-row-tokenizer-'));
after(() => rmSync(scratch, { recursive: true }));

const rows: readonly Parts[] = [
  ['Prompt <eos> here', '\n\n<response_a>: caf\u00e9 \u{1f34d}', '\n\n<response_b>:   spaces'],
  ['', '', ''],
];

async function gemma(changes: Partial<ModelSpec> = {}): Promise<ModelSpec> {
  return { ...(await readManifest(join(demo, 'gemma'))), ...changes };
}

async function opened<T>(spec: ModelSpec, use: (tokenizer: RowTokenizer) => Promise<T>): Promise<T> {
  const tokenizer = await openRowTokenizer({ spec, threads: 2, spreadMaxLength: false, tokenizer: 'native' });
  try {
    return await use(tokenizer);
  } finally {
    await tokenizer.close();
  }
}

function code(expected: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(hasErrorCode(error), String(error));
    assert.equal(error.code, expected);
    return true;
  };
}

describe('a row tokenizer', () => {
  test('gives the same ids from C++ and from tokenizer.json', async () => {
    const spec = await gemma();
    const native = await opened(spec, (tokenizer) => tokenizer.tokenize(rows));
    const hf = await openRowTokenizer({ spec, threads: 1, spreadMaxLength: false, tokenizer: 'hf' });
    const expected = await hf.tokenize(rows);
    await hf.close();
    assert.deepEqual(native, expected);
    assert.deepEqual([...(native[1] ?? [])], [2, 1]);
  });

  test('reads <eos> in a text as that token, or as text, as the model says', async () => {
    const count = async (specialTokensInText: 'parse' | 'text'): Promise<number> => {
      const spec = await gemma({ specialTokensInText });
      const [ids = new Int32Array(0)] = await opened(spec, (tokenizer) => tokenizer.tokenize(rows));
      return ids.filter((id) => id === 1).length;
    };
    assert.equal(await count('parse'), 2);
    assert.equal(await count('text'), 1);
  });

  const prose = (length: number): string => 'The quick brown fox. \u4f60\u597d '.repeat(length / 24);
  const hard = ['spaces', 'white space of all kinds', 'letters', 'one digit'];
  const makers = [prose, ...hard.map((name) => HUGE_TEXTS[name] ?? prose)];
  const skip = cannotMeasureTurns();
  /** CPU time: 15 to 33 ms where V8 joins twenty megabytes of text, 5 to 12 ms for many rows; before these were sliced, 133 and more. */
  const longest = 100 * slowness();

  for (const model of ['gemma', 'llama']) {
    for (const truncation of ['right', 'left', 'middle'] as const) {
      test(
        `leaves the event loop free while ${model} cuts cells of ten megabytes: ${truncation}`,
        { skip },
        async () => {
          const spec = { ...(await readManifest(join(demo, model))), truncation };
          await opened(spec, async (tokenizer) => {
            await tokenizer.tokenize(rows);
            for (const make of makers) {
              const cell = make(10_000_000);
              const turns = await calmestTurns(longest, async () => {
                const [ids] = await tokenizer.tokenize([[cell, cell, 'b']]);
                assert.equal(ids?.length, spec.maxLength);
              });
              assert.ok(turns.longestMs < longest, JSON.stringify(turns));
            }
          });
        },
      );
    }

    test(`leaves the event loop free while ${model} tokenizes 200,000 rows`, { skip }, async () => {
      const many = Array.from({ length: 200_000 }, (_, i): Parts => [`question ${i}`, ` A: ${i % 7}`, ' B: no idea']);
      await opened(await readManifest(join(demo, model)), async (tokenizer) => {
        const turns = await calmestTurns(longest, async () =>
          assert.equal((await tokenizer.tokenize(many)).length, many.length),
        );
        assert.ok(turns.longestMs < longest, JSON.stringify(turns));
      });
    });
  }

  test('refuses a manifest whose bos or eos is not what the tokenizer adds', async () => {
    for (const changes of [{ bos: null }, { eos: null }, { eos: 7 }, { bos: 1, eos: 2 }]) {
      await assert.rejects(opened(await gemma(changes), rejectedLater), code('ERR_MODEL_MISMATCH'));
    }
  });

  test('refuses the tokenizer of another model, naming the text', async () => {
    const spec = await gemma({ tokenizer: join(demo, 'llama'), bos: 1200, eos: null });
    await assert.rejects(
      opened(spec, (tokenizer) => tokenizer.tokenize(rows)),
      code('ERR_TOKENIZER_MISMATCH'),
    );
  });

  test('refuses a folder without a readable tokenizer', async () => {
    await assert.rejects(opened(await gemma({ tokenizer: scratch }), rejectedLater), code('ERR_MODEL_FILE'));
    copyFileSync(join(demo, 'gemma', 'tokenizer_config.json'), join(scratch, 'tokenizer_config.json'));
    for (const content of ['{"model": {"type": ', '[]', '\u0000']) {
      writeFileSync(join(scratch, 'tokenizer.json'), content);
      await assert.rejects(opened(await gemma({ tokenizer: scratch }), rejectedLater), code('ERR_MODEL_FILE'));
    }
  });

  test('refuses a maximum length without room for the special tokens', async () => {
    await assert.rejects(opened(await gemma({ maxLength: 1 }), rejectedLater), code('ERR_CONFIG'));
  });

  test('stops where the signal fires, before and between calls', async () => {
    await opened(await gemma(), async (tokenizer) => {
      await assert.rejects(tokenizer.tokenize(rows, AbortSignal.abort()), code('ERR_ABORTED'));
      const many = Array.from({ length: 200 }, (): Parts => ['word '.repeat(8000), 'a', 'b']);
      const controller = new AbortController();
      const work = tokenizer.tokenize(many, controller.signal);
      setTimeout(() => controller.abort(), 5);
      await assert.rejects(work, code('ERR_ABORTED'));
      assert.equal((await tokenizer.tokenize(rows)).length, 2);
    });
  });

  test('closes twice, and refuses work afterwards', async () => {
    const tokenizer = await openRowTokenizer({
      spec: await gemma(),
      threads: 1,
      spreadMaxLength: false,
      tokenizer: 'native',
    });
    await tokenizer.close();
    await tokenizer.close();
    await assert.rejects(tokenizer.tokenize(rows), code('ERR_CLOSED'));
  });
});

function rejectedLater(): Promise<never> {
  assert.fail('it opened');
}
