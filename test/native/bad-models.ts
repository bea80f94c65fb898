/** Model files that are wrong in one way each, and what opening them must answer. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openScorer } from '../../lib/scorer';
import { encodeGguf, type GgufTensor, type GgufValue } from '../fixtures/gguf-writer';
import type { DemoModel } from './demo';
import { copyOfDemo, rewriteManifest, type Copy } from './ensembles';

interface Expected {
  readonly code: string;
  readonly message: RegExp;
}

/** Changes a copy of a demo model, and expects opening it to be refused; scoring, where opening cannot know. */
export async function refuses(
  context: TestContext,
  model: DemoModel,
  change: (copy: Copy) => Promise<void>,
  expected: Expected,
): Promise<void> {
  const copy = await copyOfDemo(context, model);
  await change(copy);
  const attempt = async (): Promise<void> => {
    await using scorer = await openScorer({ ensemble: copy.ensemble, threads: 1, maxLength: 256 });
    // What the first call was refused for, the second is refused for as well.
    await scorer.scorePair({ prompt: 'why', responseA: 'because it is so', responseB: 'no' }).catch(() => undefined);
    await scorer.scorePair({ prompt: '1', responseA: '2', responseB: '3' });
  };
  await assert.rejects(attempt(), { name: 'PairscoreError', ...expected });
}

export const HIDDEN = { gemma: 256, llama: 128 } as const;
export const LABELS = ['winner_model_a', 'winner_model_b', 'winner_tie'];

export interface Head {
  readonly hidden?: number;
  readonly rows?: number;
  readonly architecture?: GgufValue;
  readonly labels?: GgufValue;
  readonly hiddenSize?: GgufValue;
  readonly value?: number;
  readonly tensorName?: string;
}

/** A head for the demo's Llama but for what is given. */
export function headFile(head: Head): Buffer {
  const hidden = head.hidden ?? HIDDEN.llama;
  const rows = head.rows ?? 3;
  const weights: GgufTensor = {
    name: head.tensorName ?? 'score.weight',
    shape: [hidden, rows],
    values: new Float32Array(hidden * rows).fill(head.value ?? 0.01),
  };
  return encodeGguf(
    {
      'general.architecture': { type: 'string', value: 'pairscore-head' },
      'pairscore.head.architecture': head.architecture ?? { type: 'string', value: 'llama' },
      'pairscore.head.hidden_size': head.hiddenSize ?? { type: 'uint32', value: hidden },
      'pairscore.head.labels': head.labels ?? { type: 'strings', value: LABELS.slice(0, rows) },
    },
    [weights],
  );
}

/** One LoRA pair of rank 2 on the first block's v projection, of one value. */
export function adapterFile(
  input: number,
  output: number,
  changes: Readonly<Record<string, GgufValue>> = {},
  value = 0.01,
): Buffer {
  const tensor = (name: string, shape: readonly number[]): GgufTensor => ({
    name,
    shape,
    values: new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value),
  });
  return encodeGguf(
    {
      'general.architecture': { type: 'string', value: 'llama' },
      'general.type': { type: 'string', value: 'adapter' },
      'adapter.type': { type: 'string', value: 'lora' },
      'adapter.lora.alpha': { type: 'float32', value: 4 },
      ...changes,
    },
    [tensor('blk.0.attn_v.weight.lora_a', [input, 2]), tensor('blk.0.attn_v.weight.lora_b', [2, output])],
  );
}

export const put =
  (name: string, content: Buffer, facts: Record<string, unknown> = {}) =>
  async ({ folder }: Copy): Promise<void> => {
    await writeFile(join(folder, name), content);
    await rewriteManifest(folder, facts);
  };
