/** Native engines against transformers in f32, on the same F32 weights. make/answers.py makes the answers. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { differenceFromGolden, golden, type GoldenCase } from './engine-answers';
import { TOLERANCES } from './tolerances';

function caseNamed(name: string): GoldenCase {
  const found = golden.cases.find((candidate) => candidate.name === name);
  assert.ok(found, `Expected a golden case named "${name}"`);
  return found;
}

describe('an engine on F32 weights', () => {
  for (const entry of golden.cases) {
    it(`answers as transformers does: ${entry.name}`, async (context: TestContext) => {
      for (const size of [1, 4]) {
        const difference = await differenceFromGolden(entry, size);
        context.diagnostic(`${size} a batch: largest |Δp| ${difference.toExponential(1)}`);
        assert.ok(difference <= TOLERANCES[entry.architecture], `|Δp| ${difference} with ${size} rows a batch`);
      }
    });
  }

  it('would be caught without its adapter', async () => {
    for (const name of ['Gemma with LoRA on some layers', 'Llama with LoRA on q and k']) {
      const entry = caseNamed(name);
      const difference = await differenceFromGolden(entry, 4, { adapterPath: '' });
      assert.ok(difference > 100 * TOLERANCES[entry.architecture], `${name}: |Δp| ${difference}`);
    }
  });

  it('would be caught with the soft-cap switched the wrong way', async () => {
    for (const name of ['Gemma with LoRA on some layers', 'Gemma without the attention soft-cap']) {
      const entry = caseNamed(name);
      const difference = await differenceFromGolden(entry, 4, { attentionSoftCap: !entry.attentionSoftCap });
      assert.ok(difference > 100 * TOLERANCES.gemma2, `${name}: |Δp| ${difference}`);
    }
  });
});
