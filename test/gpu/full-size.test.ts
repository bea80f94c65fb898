/**
 * Full-size models on our CUDA engine, against libllama's on the same files. PAIRSCORE_FULL_SIZE names the ensemble (the bench
 * writes one: npm run bench -- --synthetic). The addon must be one with ggml's CUDA backend whose products take quantised
 * weights as f32 (PAIRSCORE_GGML_CUDA=ON PAIRSCORE_GGML_CUBLAS=ON): its usual ones round activations to 8 bits, which is
 * further from the truth than our 16-bit types are.
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

/** More rows than 8, which ggml multiplies in another way, rounding activations again. */
const LENGTHS = [1, 2, 33, 40, 300, 704, 1291, 2047, 2048];
/** Rows of a call of ours, so that it has three waves: two share streamed weights, the third has them for itself. */
const REPEATED = 6;
const MODES = [
  { compute: 'f16', weights: 'resident' },
  { compute: 'f16', weights: 'streamed' },
  { compute: 'bf16', weights: 'resident' },
  { compute: 'fp8', weights: 'resident' },
] as const;

const path = process.env['PAIRSCORE_FULL_SIZE'];
const hasGpu = buildInfo().devices.some(({ device }) => device !== 'cpu');
const skip = !hasGpu ? 'no GPU' : path === undefined ? 'PAIRSCORE_FULL_SIZE names no ensemble' : false;

/** The type of ggml's products by cuBLAS. */
const ORACLE_TYPE = 'GGML_CUDA_CUBLAS_COMPUTE_TYPE';

/** Logits of every row, as often as it was given. libllama pads all rows to the longest, ours cuts a call into waves. */
async function answers(
  spec: ModelSpec,
  compute: Compute,
  weights: WeightStorage,
  rowLengths: readonly number[] = LENGTHS,
): Promise<Rows> {
  const repeated = compute === 'ggml' ? 1 : REPEATED;
  const lengths = Array.from({ length: repeated }, () => rowLengths).flat();
  const engine = await openEngine({
    basePath: spec.base,
    adapterPath: spec.adapter ?? '',
    headPath: spec.head,
    device: 'cuda:0',
    threads: 4,
    maxBatchTokens: compute === 'ggml' ? lengths.length * 2048 : 33_792,
    maxSequenceTokens: 2048,
    maxBatchSequences: lengths.length,
    attentionSoftCap: spec.attentionSoftCap,
    compute,
    weights,
  });
  try {
    const rows = randomRows(rowLengths, engine.info().vocabularySize);
    return await logitsOf(engine, Array.from({ length: repeated }, () => rows).flat(), lengths.length);
  } finally {
    await engine.close();
  }
}

interface Distance {
  /** Of all logits, by their Euclidean norms. */
  readonly relative: number;
  /** |Δp| of all probabilities: the largest, and the mean. */
  readonly moved: number;
  readonly mean: number;
}

function distanceOf(logits: Rows, expected: Rows): Distance {
  const differences = (left: Rows, right: Rows): readonly number[] =>
    left.flatMap((row, i) => row.map((value, k) => Math.abs(value - (right[i]?.[k] ?? NaN))));
  const probabilities = (rows: Rows): Rows => rows.map((row) => softmax(Float32Array.from(row)));
  const moved = differences(probabilities(logits), probabilities(expected));
  return {
    relative: Math.hypot(...differences(logits, expected)) / Math.hypot(...expected.flat()),
    moved: Math.max(...moved),
    mean: moved.reduce((sum, value) => sum + value, 0) / moved.length,
  };
}

/** libllama's answers, its products in f32. */
async function oracle(spec: ModelSpec): Promise<Rows> {
  // Without an adapter, whose products of f32 always go through cuBLAS: then the type tells whether quantised weights do.
  const plain = { ...spec, adapter: null };
  const short = LENGTHS.map((length) => Math.min(length, 40));
  process.env[ORACLE_TYPE] = 'f16';
  const coarse = await answers(plain, 'ggml', 'auto', short);
  process.env[ORACLE_TYPE] = 'f32';
  const fine = await answers(plain, 'ggml', 'auto', short);
  assert.notDeepEqual(coarse, fine, 'The addon was built without PAIRSCORE_GGML_CUBLAS=ON');
  return answers(spec, 'ggml', 'auto');
}

/** Undefined where the device has no such type, and says so; f16 is everywhere. */
async function ownAnswers(
  spec: ModelSpec,
  { compute, weights }: (typeof MODES)[number],
  context: TestContext,
): Promise<Rows | undefined> {
  try {
    return await answers(spec, compute, weights);
  } catch (error) {
    if (compute === 'f16' || !hasErrorCode(error) || error.code !== 'ERR_USAGE') throw error;
    context.diagnostic(`${spec.name}, ${compute} ${weights}: not here, ${error.message}`);
    return undefined;
  }
}

describe('full-size models', () => {
  it(
    "answer as on libllama's CUDA engine in f32, to what their type rounds",
    { skip },
    async (context: TestContext) => {
      const { models } = await readEnsemble(path ?? '');
      assert.ok(models.length > 0);
      const tooFar: string[] = [];
      for (const { spec } of models) {
        const once = await oracle(spec);
        const expected = Array.from({ length: REPEATED }, () => once).flat();
        for (const mode of MODES) {
          const found = await ownAnswers(spec, mode, context);
          if (found === undefined) continue;
          const { relative, moved, mean } = distanceOf(found, expected);
          const said = `${spec.name}, ${mode.compute} ${mode.weights}: logits off by ${relative.toExponential(1)}, |Δp| at most ${moved.toExponential(1)}, mean ${mean.toExponential(1)}`;
          context.diagnostic(said);
          if (mode.compute === 'fp8') continue; // said, not held
          const allowed = TOLERANCES.fullSize[mode.compute][spec.architecture];
          const near = relative <= allowed.relative && moved <= allowed.moved && mean <= TOLERANCES.fullSize.mean;
          if (!near) tooFar.push(said);
        }
      }
      assert.deepEqual(tooFar, []);
    },
  );
});
