/** Every GPU of this machine, alone and all at once, against the answers that the CPU is held to. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readPairs } from '../../lib/csv/read';
import type { Preference } from '../../lib/pair';
import { buildInfo } from '../../lib/native/engine';
import { openScorer } from '../../lib/scorer';
import type { ScorerOptions } from '../../lib/settings';
import { readJson } from '../fixtures/read-json';
import { differenceFromGolden, golden, largestDifference, type Rows } from '../golden/engine-answers';
import { TOLERANCES } from '../golden/tolerances';
import { distance, makePairs } from '../native/pairs';

const DEMO_ROWS = join(__dirname, '..', '..', 'models', 'demo', 'test.csv');

const { flavour, devices } = buildInfo();
const gpus = devices.map(({ device }) => device).filter((device) => device !== 'cpu');
const demo = readJson<{ readonly ensemble: { readonly plain: Rows } }>(
  join(__dirname, '..', 'golden', 'demo-answers.json'),
);

const skip =
  gpus.length > 0
    ? false
    : `no GPU: the addon is built for ${flavour} and sees ${devices.map(({ name }) => name).join()}`;

function toRows(preferences: readonly Preference[]): Rows {
  return preferences.map(({ winnerModelA, winnerModelB, winnerTie }) => [winnerModelA, winnerModelB, winnerTie]);
}

async function scoreDemo(options: ScorerOptions): Promise<readonly Preference[]> {
  const { records } = await readPairs(DEMO_ROWS);
  const scorer = await openScorer(options);
  try {
    const { scores } = await scorer.scoreRecords(records);
    return scores.map(({ preference }) => preference);
  } finally {
    await scorer.close();
  }
}

for (const device of gpus.length > 0 ? gpus : ['cuda:0']) {
  describe(device, () => {
    for (const entry of golden.cases) {
      it(`answers as transformers does, within 16-bit: ${entry.name}`, { skip }, async (context: TestContext) => {
        for (const weights of ['resident', 'streamed'] as const) {
          for (const size of [1, 4]) {
            const off = await differenceFromGolden(entry, size, { device, weights });
            context.diagnostic(`${weights}, ${size} a batch: largest |Δp| ${off.toExponential(1)}`);
            assert.ok(off <= TOLERANCES.sixteenBit, `|Δp| ${off} with ${size} rows a batch, ${weights}`);
          }
        }
      });
    }

    it('gives the demo ensemble the probabilities that transformers gives', { skip }, async (context: TestContext) => {
      const off = largestDifference(toRows(await scoreDemo({ device })), demo.ensemble.plain);
      context.diagnostic(`largest |Δp| ${off.toExponential(1)}`);
      assert.ok(off <= TOLERANCES.sixteenBit, `|Δp| ${off}`);
    });

    it('gives them with weights that stay quantised too', { skip }, async (context: TestContext) => {
      const off = largestDifference(toRows(await scoreDemo({ device, weights: 'streamed' })), demo.ensemble.plain);
      context.diagnostic(`largest |Δp| ${off.toExponential(1)}`);
      assert.ok(off <= TOLERANCES.sixteenBit, `|Δp| ${off}`);
    });

    it('answers many concurrent calls as it answers them one by one', { skip }, async () => {
      await using scorer = await openScorer({ device });
      const pairs = makePairs(40);
      const serial: Preference[] = [];
      for (const pair of pairs) serial.push(await scorer.scorePair(pair));
      const together = await Promise.all(pairs.map((pair) => scorer.scorePair(pair)));
      assert.ok(distance(together, serial) <= TOLERANCES.sixteenBit, `distance ${distance(together, serial)}`);
    });

    it(
      'refuses batches that no memory holds, names the setting that would fit, and works afterwards',
      { skip },
      async () => {
        // Ours cuts a call into waves: only libllama's memory grows with the batch.
        const options = { device, compute: 'ggml', maxLength: 32_768, batchTokens: 2_097_152 } as const;
        await assert.rejects(openScorer(options), {
          code: 'ERR_DEVICE_MEMORY',
          message: /GiB of free memory for model demo-.* GiB on cuda:\d+; --batch-tokens \d+ would fit/,
        });
        await using scorer = await openScorer({ device });
        assert.equal(scorer.models.length, 2);
      },
    );
  });
}

describe('all GPUs at once', () => {
  it('give what each gives alone', { skip }, async () => {
    const together = await scoreDemo({ device: gpus });
    for (const device of gpus) {
      const alone = await scoreDemo({ device });
      const off = distance(together, alone);
      assert.ok(off <= TOLERANCES.sixteenBit, `${off} apart from ${device} alone`);
    }
  });

  it('are where the demo goes by itself', { skip }, async () => {
    await using scorer = await openScorer();
    for (const { devices: used } of scorer.models) assert.deepEqual(used, gpus);
  });

  it('do not stand in for one that is not there', { skip }, async () => {
    const missing = `cuda:${gpus.length}`;
    await assert.rejects(openScorer({ device: missing }), { code: 'ERR_DEVICE_UNKNOWN', message: new RegExp(missing) });
    await assert.rejects(openScorer({ device: ['cpu', missing] }), { code: 'ERR_DEVICE_UNKNOWN' });
  });
});
