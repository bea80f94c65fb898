/** Whether a model's files are the ones that its manifest was written for. */

import { join } from 'node:path';
import { linkedController } from '../abort';
import { PairscoreError } from '../errors';
import { digestFiles } from './digest';
import type { Signal } from '../signal';
import type { ModelSpec } from './spec';

/** Every model's at once; the first failure ends the others. */
export async function verifyModels(specs: readonly ModelSpec[], signal?: Signal): Promise<void> {
  const { stop, release } = linkedController(signal);
  const checks = specs.map((spec) => verifyFiles(spec, stop.signal));
  try {
    await Promise.all(checks);
  } catch (error) {
    stop.abort();
    await Promise.allSettled(checks);
    throw error;
  } finally {
    release();
  }
}

/** Throws ERR_MODEL_FILE for a file that cannot be read, ERR_MODEL_HASH for one with another content. */
export async function verifyFiles(spec: ModelSpec, signal?: Signal): Promise<void> {
  const expected = Object.entries(spec.sha256).map(([name, sha256]) => ({ file: join(spec.folder, name), sha256 }));
  const files = expected.map(({ file }) => file);
  const digests = await digestFiles(files, signal);
  for (const { file, sha256 } of expected) {
    const found = digests.get(file) ?? { failure: 'no digest' };
    if ('failure' in found) {
      const text = `Expected a readable file for model ${spec.name} but received: ${found.failure}`;
      throw new PairscoreError('ERR_MODEL_FILE', text, { file });
    }
    if (found.sha256 !== sha256) {
      const text = `Expected sha256 ${sha256} for ${file} but received ${found.sha256}`;
      throw new PairscoreError('ERR_MODEL_HASH', text, { file });
    }
  }
}
