/**
 * Full-size models on our CUDA engine, against libllama's on the same files. PAIRSCORE_FULL_SIZE names the ensemble (the bench
 * writes one: npm run bench -- --synthetic), and the addon must be one with ggml's CUDA backend (PAIRSCORE_GGML_CUDA=ON).
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { randomRows } from '../../bench/lengths';
import type { Compute, WeightStorage } from '../../lib/compute';
import { readEnsemble } from '../../lib/model/ensemble';
import type { ModelSpec } from '../../lib/model/spec';
import { buildInfo, openEngine } from '../../lib/native/engine';
import { probabilitiesOf, type Rows } from '../golden/engine-answers';
import { TOLERANCES } from '../golden/tolerances';

const LENGTHS = [1, 2, 33, 300, 704, 1291, 2047, 2048];
const MODES = [
  ['f16', 'resident'],
  ['f16', 'streamed'],
  ['bf16', 'resident'],
] as const;

const path = process.env['PAIRSCORE_FULL_SIZE'];
const hasGpu = buildInfo().devices.some(({ device }) => device !== 'cpu');
const skip = !hasGpu ? 'no GPU' : path === undefined ? 'PAIRSCORE_FULL_SIZE names no ensemble' : false;

async function answers(spec: ModelSpec, compute: Compute, weights: WeightStorage): Promise<Rows> {
  const engine = await openEngine({
    basePath: spec.base,
    adapterPath: spec.adapter ?? '',
    headPath: spec.head,
    device: 'cuda:0',
    threads: 4,
    // libllama pads all rows to the longest.
    maxBatchTokens: LENGTHS.length * 2048,
    maxSequenceTokens: 2048,
    maxBatchSequences: 8,
    attentionSoftCap: spec.attentionSoftCap,
    compute,
    weights,
  });
  try {
    return await probabilitiesOf(engine, randomRows(LENGTHS, engine.info().vocabularySize), LENGTHS.length);
  } finally {
    await engine.close();
  }
}

/** Of all probabilities: the largest |Δp| and the mean. */
function distances(left: Rows, right: Rows): { readonly largest: number; readonly mean: number } {
  const all = left.flatMap((row, i) => row.map((value, k) => Math.abs(value - (right[i]?.[k] ?? NaN))));
  return { largest: Math.max(...all), mean: all.reduce((sum, value) => sum + value, 0) / all.length };
}

describe('full-size models', () => {
  it(
    "answer as on libllama's CUDA engine, whose products round activations to 8 bits",
    { skip },
    async (context: TestContext) => {
      const { models } = await readEnsemble(path ?? '');
      for (const { spec } of models) {
        const expected = await answers(spec, 'ggml', 'auto');
        const tell = (how: string, { largest, mean }: ReturnType<typeof distances>): void =>
          context.diagnostic(
            `${spec.name}, ${how}: |Δp| at most ${largest.toExponential(1)}, mean ${mean.toExponential(1)}`,
          );
        for (const [compute, weights] of MODES) {
          const found = distances(await answers(spec, compute, weights), expected);
          tell(`${compute} ${weights}`, found);
          assert.ok(found.largest <= TOLERANCES.quantised.largest, `${spec.name} in ${compute}: |Δp| ${found.largest}`);
          assert.ok(found.mean <= TOLERANCES.quantised.mean, `${spec.name} in ${compute}: mean |Δp| ${found.mean}`);
        }
        tell('fp8', distances(await answers(spec, 'fp8', 'resident'), expected));
      }
    },
  );
});
