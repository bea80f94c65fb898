/** Ensembles made from the bundled demo with one thing changed. */

import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { demoFolder, type DemoModel } from './demo';

const FILES = ['base.gguf', 'adapter.gguf', 'head.gguf', 'tokenizer.json', 'tokenizer_config.json'] as const;

export interface Copy {
  readonly folder: string;
  readonly ensemble: string;
}

/** A copy of one demo model, alone in an ensemble. */
export async function copyOfDemo(context: TestContext, model: DemoModel): Promise<Copy> {
  const root = await mkdtemp(join(tmpdir(), 'pairscore-'));
  context.after(() => rm(root, { recursive: true, force: true }));
  const folder = join(root, 'model');
  await cp(join(demoFolder, model), folder, { recursive: true });
  const ensemble = join(root, 'ensemble.json');
  await writeFile(ensemble, JSON.stringify({ models: [{ path: 'model', weight: 1, device: 'cpu' }] }));
  return { folder, ensemble };
}

/** Writes the manifest anew: changed facts, and the digests of the files as they now are. */
export async function rewriteManifest(folder: string, changes: Record<string, unknown> = {}): Promise<void> {
  const path = join(folder, 'manifest.json');
  const manifest: unknown = JSON.parse(await readFile(path, 'utf8'));
  const digests = await Promise.all(FILES.map(async (name) => [name, await digestOf(join(folder, name))] as const));
  const facts = typeof manifest === 'object' ? { ...manifest, sha256: Object.fromEntries(digests), ...changes } : null;
  await writeFile(path, JSON.stringify(facts));
}

async function digestOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
