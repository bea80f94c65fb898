import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openHfTokenizer, type HfTokenizer } from '../../../lib/tokens/hf-tokenizer';
import { headIds, tailIds, type PartialContext } from '../../../lib/tokens/partial';
import { assertCutsAtBoundaries, hurtfulText } from '../../fixtures/cut-property';
import { randomNumbers, runsText } from '../../fixtures/huge-texts';

const ascii = ['a', '-', ' ', 'ab', 'xyzzy', 'ACGT', '=-', '-----=', 'e', 'Q', '\n', '7', '\r\n', ' \n', '\t\n'];
/** The demo's tokenizers break most characters beyond ASCII into parts. The real ones have their turn in test/golden. */
const units = [
  ...ascii,
  '\u4f60\u597d',
  '\u54c8',
  '\u{1f34d}',
  '\u0e01\u0e34',
  'e\u0301',
  '\u2581',
  '<eos>',
  '<|eot_id|>',
];

/** Counts what is tokenized: a walk that gives up tokenizes all. */
function counted(tokenizer: HfTokenizer): PartialContext & { readonly units: { count: number } } {
  const units = { count: 0 };
  return {
    units,
    facts: tokenizer.facts.boundaries,
    merger: tokenizer,
    checkAborted: () => undefined,
    tokenizer: {
      encode(texts) {
        units.count += texts.reduce((sum, one) => sum + one.length, 0);
        return tokenizer.encode(texts);
      },
    },
  };
}

for (const name of ['gemma', 'llama']) {
  describe(`a long text under the demo's ${name} tokenizer`, { timeout: 120_000 }, () => {
    let tokenizer: HfTokenizer;
    before(async () => {
      tokenizer = await openHfTokenizer(join(__dirname, '..', '..', '..', 'models', 'demo', name), 'parse');
    });
    after(() => tokenizer.close());

    const ids = async (content: string): Promise<readonly number[]> => {
      const [list = new Int32Array()] = await tokenizer.encode([content]);
      return [...list];
    };

    test('has the same ids when it is cut at any boundary', async () => {
      await assertCutsAtBoundaries(tokenizer, tokenizer.facts.boundaries, 1500);
    });

    const long = fc
      .tuple(fc.array(hurtfulText, { minLength: 1, maxLength: 4 }), fc.integer({ min: 45_000, max: 60_000 }))
      .map(([parts, length]) => {
        const unit = parts.join('') || 'a';
        return unit.repeat(Math.ceil(length / unit.length));
      });

    test('gives the same first and last ids as the whole of it', async () => {
      await fc.assert(
        fc.asyncProperty(long, fc.integer({ min: 1, max: 300 }), async (content, count) => {
          const whole = await ids(content);
          const context = counted(tokenizer);
          assert.deepEqual([...(await headIds(content, count, context))], whole.slice(0, count));
          assert.deepEqual([...(await tailIds(content, count, context))], whole.slice(-count));
        }),
        { numRuns: 8 },
      );
    });

    for (const unit of units) {
      test(`is walked without being read to its end when it repeats ${JSON.stringify(unit)}`, async () => {
        const content = `Look at this: ${unit.repeat(Math.ceil(120_000 / unit.length))}And so on.`;
        const whole = await ids(content);
        const context = counted(tokenizer);
        assert.deepEqual([...(await headIds(content, 200, context))], whole.slice(0, 200));
        // A window costs the square of the longest token, once.
        const window = 12 * tokenizer.facts.boundaries.longestToken ** 2;
        assert.ok(context.units.count < content.length / 2 + window, `${context.units.count} units read`);
        assert.deepEqual([...(await tailIds(content, 200, context))], whole.slice(-200));
      });
    }

    test('gives the same first and last ids where long runs stand beside each other', async () => {
      const random = randomNumbers(11);
      for (let i = 0; i < 6; i++) {
        const content = runsText(random);
        const whole = await ids(content);
        const count = 1 + random(2000);
        assert.deepEqual([...(await headIds(content, count, counted(tokenizer)))], whole.slice(0, count));
        assert.deepEqual([...(await tailIds(content, count, counted(tokenizer)))], whole.slice(-count));
      }
    });
  });
}

describe("a long text under the demo's llama tokenizer", () => {
  test('is read to its end where engines disagree on what is white space, and right all the same', async () => {
    const tokenizer = await openHfTokenizer(join(__dirname, '..', '..', '..', 'models', 'demo', 'llama'), 'parse');
    const content = '\ufeff'.repeat(60_000);
    const [whole = new Int32Array()] = await tokenizer.encode([content]);
    const context = counted(tokenizer);
    assert.deepEqual(await headIds(content, 50, context), whole.slice(0, 50));
    assert.ok(context.units.count >= content.length);
    assert.deepEqual(await tailIds(content, 50, context), whole.slice(-50));
    await tokenizer.close();
  });
});
