/** Makes model folders of small files that no engine would open, for what comes before an engine. */

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pairscore-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const FILES: Readonly<Record<string, string>> = {
  'base.gguf': 'base',
  'adapter.gguf': 'adapter',
  'head.gguf': 'head',
  'tokenizer.json': '{}',
  'tokenizer_config.json': '{}',
};

/** A correct manifest for those files; tests change one thing of it. */
export function manifestFacts(): Record<string, unknown> {
  const digests = Object.entries(FILES).map(([name, content]) => [
    name,
    createHash('sha256').update(content).digest('hex'),
  ]);
  return {
    name: 'small',
    architecture: 'llama',
    base: 'base.gguf',
    adapter: 'adapter.gguf',
    head: 'head.gguf',
    tokenizer: '.',
    sha256: Object.fromEntries(digests),
    parser: 'json',
    nullText: '',
    joiner: ' ',
    template: { prompt: 'P: ', responseA: '\nA: ', responseB: '\nB: ' },
    maxLength: 128,
    truncation: 'right',
    bos: 1,
    eos: null,
    specialTokensInText: 'parse',
    attentionSoftCap: true,
    labels: ['winner_model_a', 'winner_model_b', 'winner_tie'],
    adapterTensors: 4,
  };
}

export async function makeModelFolder(folder: string, changes: Record<string, unknown> = {}): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(FILES)) await writeFile(join(folder, name), content);
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ ...manifestFacts(), ...changes }));
  return folder;
}
