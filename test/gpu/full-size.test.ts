/**
 * Full-size models on our CUDA engine, against libllama's on the same files. PAIRSCORE_FULL_SIZE names the ensemble (the bench
 * writes one: npm run bench -- --synthetic), and the addon must be one with ggml's CUDA backend (PAIRSCORE_GGML_CUDA=ON).
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { randomRows } from '../../bench/lengths';
import type { Compute, WeightStorage } from '../../lib/compute';
import { hasErrorCode } from '../../lib/errors';
import { readEnsemble } from '../../lib/model/ensemble';
import type { ModelSpec } from '../../lib/model/spec';
import { buildInfo, openEngine } from '../../lib/native/engine';
import { softmax } from '../../lib/probability';
import { logitsOf, type Rows } from '../golden/engine-answers';
import { TOLERANCES } from '../golden/tolerances';

const LENGTHS = [1, 2, 33, 300, 704, 1291, 2047, 2048];
/** Rows of a call of ours, so that it has several waves: streamed weights are shared by two. */
const REPEATED = 3;
const MODES = [
  ['f16', 'resident'],
  ['f16', 'streamed'],
  ['bf16', 'resident'],
  ['fp8', 'resident'],
] as const;

const path = process.env['PAIRSCORE_FULL_SIZE'];
const hasGpu = buildInfo().devices.some(({ device }) => device !== 'cpu');
const skip = !hasGpu ? 'no GPU' : path === undefined ? 'PAIRSCORE_FULL_SIZE names no ensemble' : false;

/** Logits of every row, as often as it was given. libllama pads all rows to the longest, ours cuts a call into waves. */
async function answers(spec: ModelSpec, compute: Compute, weights: WeightStorage): Promise<Rows> {
  const repeated = compute === 'ggml' ? 1 : REPEATED;
  const lengths = Array.from({ length: repeated }, () => LENGTHS).flat();
  const engine = await openEngine({
    basePath: spec.base,
    adapterPath: spec.adapter ?? '',
    headPath: spec.head,
    device: 'cuda:0',
    threads: 4,
    maxBatchTokens: compute === 'ggml' ? LENGTHS.length * 2048 : 33_792,
    maxSequenceTokens: 2048,
    maxBatchSequences: lengths.length,
    attentionSoftCap: spec.attentionSoftCap,
    compute,
    weights,
  });
  try {
    const rows = randomRows(LENGTHS, engine.info().vocabularySize);
    return await logitsOf(engine, Array.from({ length: repeated }, () => rows).flat(), lengths.length);
  } finally {
    await engine.close();
  }
}

interface Distance {
  /** Of all logits, by their Euclidean norms. */
  readonly relative: number;
  /** |Δp| of all probabilities: the largest, and the mean. */
  readonly largest: number;
  readonly mean: number;
}

function distanceOf(logits: Rows, expected: Rows): Distance {
  const differences = (left: Rows, right: Rows): readonly number[] =>
    left.flatMap((row, i) => row.map((value, k) => Math.abs(value - (right[i]?.[k] ?? NaN))));
  const probabilities = (rows: Rows): Rows => rows.map((row) => softmax(Float32Array.from(row)));
  const moved = differences(probabilities(logits), probabilities(expected));
  return {
    relative: Math.hypot(...differences(logits, expected)) / Math.hypot(...expected.flat()),
    largest: Math.max(...moved),
    mean: moved.reduce((sum, value) => sum + value, 0) / moved.length,
  };
}

describe('full-size models', () => {
  it(
    "answer as on libllama's CUDA engine, as closely as transformers in 16 bits does",
    { skip },
    async (context: TestContext) => {
      const { models } = await readEnsemble(path ?? '');
      for (const { spec } of models) {
        const once = await answers(spec, 'ggml', 'auto');
        const expected = Array.from({ length: REPEATED }, () => once).flat();
        const own: Rows[] = [];
        for (const [compute, weights] of MODES) {
          const how = `${spec.name}, ${compute} ${weights}`;
          const found = await answers(spec, compute, weights).catch((error: unknown) => {
            if (hasErrorCode(error) && error.code === 'ERR_USAGE') return error.message;
            throw error;
          });
          if (typeof found === 'string') {
            context.diagnostic(`${how}: not here, ${found}`);
            continue;
          }
          const { relative, largest, mean } = distanceOf(found, expected);
          context.diagnostic(
            `${how}: logits off by ${relative.toExponential(1)}, |Δp| at most ${largest.toExponential(1)}, mean ${mean.toExponential(1)}`,
          );
          if (compute === 'fp8') continue; // said, not held
          assert.ok(relative <= TOLERANCES.fullSize[spec.architecture], `${how}: logits off by ${relative}`);
          assert.ok(largest <= TOLERANCES.quantised.largest, `${how}: |Δp| ${largest}`);
          assert.ok(mean <= TOLERANCES.quantised.mean, `${how}: mean |Δp| ${mean}`);
          own.push(found);
        }
        const [first = [], ...others] = own;
        for (const other of others) {
          const { relative } = distanceOf(other, first);
          context.diagnostic(`${spec.name}: two of ours ${relative.toExponential(1)} apart`);
          assert.ok(relative <= TOLERANCES.fullSizeTypes[spec.architecture], `${spec.name}: ${relative} apart`);
        }
      }
    },
  );
});
