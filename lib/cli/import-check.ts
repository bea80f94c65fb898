import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openScorer } from '../index';
import type { Pair, Preference } from '../pair';

export interface CheckedPair extends Preference {
  readonly name: string;
}

const PAIRS: readonly (Pair & { readonly name: string })[] = [
  {
    name: 'a answers, b refuses',
    prompt: 'What is the capital of France?',
    responseA: 'The capital of France is Paris.',
    responseB: 'I cannot help with that.',
  },
  {
    name: 'a refuses, b answers',
    prompt: 'What is the capital of France?',
    responseA: 'I cannot help with that.',
    responseB: 'The capital of France is Paris.',
  },
  { name: 'the same reply twice', prompt: 'Say hello.', responseA: 'Hello!', responseB: 'Hello!' },
];

/** Scores three built-in pairs with a model folder, on the CPU. */
export async function checkModel(
  folder: string,
  { threads, signal }: { readonly threads: number; readonly signal: AbortSignal },
): Promise<readonly CheckedPair[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'pairscore-check-'));
  try {
    const ensemble = join(scratch, 'ensemble.json');
    await writeFile(ensemble, JSON.stringify({ models: [{ path: resolve(folder), weight: 1, device: 'cpu' }] }));
    const scorer = await openScorer({ ensemble, threads, signal });
    try {
      const check = async ({ name, ...pair }: (typeof PAIRS)[number]): Promise<CheckedPair> => ({
        name,
        ...(await scorer.scorePair(pair, { signal })),
      });
      return await Promise.all(PAIRS.map(check));
    } finally {
      await scorer.close();
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
