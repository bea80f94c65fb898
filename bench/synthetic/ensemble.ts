/** The synthetic ensemble in the cache folder: written by the first run, kept for the next. */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PairscoreError } from '../../lib/errors';
import { GEMMA_9B, LLAMA_8B, type Dimensions } from './dimensions';
import { writeSyntheticModel } from './model';
import { DRAW } from './random-tensor';

export interface SyntheticOptions {
  readonly cache: string;
  readonly layers: number | null;
}

/** Of the larger one. */
const MODEL_BYTES = 8.2 * 2 ** 30;

/** Answers the path of the ensemble file. Each model is written by a process of its own: hashing takes a core. */
export async function syntheticEnsemble({ cache, layers }: SyntheticOptions): Promise<string> {
  const folder = join(cache, `synthetic-${DRAW}${layers === null ? '' : `-${layers}-layers`}`);
  const missing = [GEMMA_9B, LLAMA_8B].filter(({ name }) => !existsSync(join(folder, name, 'manifest.json')));
  mkdirSync(folder, { recursive: true });
  if (layers === null) refuseSmallDisk(folder, missing.length);
  await Promise.all(missing.map(({ name }) => writeInProcess(join(folder, name), name, layers)));
  const models = [GEMMA_9B, LLAMA_8B].map(({ name }) => ({ path: name, weight: 1, device: 'auto' }));
  const path = join(folder, 'ensemble.json');
  writeFileSync(path, `${JSON.stringify({ models }, null, 2)}\n`);
  return path;
}

/** Found out before the disk is full. */
function refuseSmallDisk(folder: string, models: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= models * MODEL_BYTES) return;
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const expected = `Expected ${gib(models * MODEL_BYTES)} free for synthetic models in ${folder} but received ${gib(free)}`;
  throw new PairscoreError('ERR_USAGE', `${expected}; --cache names another folder`);
}

function writeInProcess(folder: string, name: string, layers: number | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const argv = ['--import', 'tsx', __filename, folder, name, String(layers ?? 0)];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`Expected ${name} to be written but its process ended with ${code ?? 'a signal'}`));
    });
  });
}

function dimensionsOf(name: string, layers: number): Dimensions {
  const dimensions = name === GEMMA_9B.name ? GEMMA_9B : LLAMA_8B;
  return layers === 0 ? dimensions : { ...dimensions, layers };
}

if (require.main === module) {
  const [folder = '', name = '', layers = '0'] = process.argv.slice(2);
  const started = performance.now();
  void writeSyntheticModel(folder, dimensionsOf(name, Number(layers))).then(() => {
    process.stderr.write(`wrote ${name} in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  });
}
