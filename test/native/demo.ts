/** The bundled demo models as the addon wants them. */

import { join } from 'node:path';
import type { EngineSpec } from '../../lib/native/contract';

export const demoFolder = join(__dirname, '..', '..', 'models', 'demo');

export type DemoModel = 'gemma' | 'llama';

export function demoFile(model: DemoModel, name: string): string {
  return join(demoFolder, model, name);
}

export function demoSpec(model: DemoModel, changes: Partial<EngineSpec> = {}): EngineSpec {
  return {
    basePath: demoFile(model, 'base.gguf'),
    adapterPath: demoFile(model, 'adapter.gguf'),
    headPath: demoFile(model, 'head.gguf'),
    device: 'cpu',
    threads: 1,
    maxBatchTokens: 512,
    maxSequenceTokens: 128,
    maxBatchSequences: 8,
    attentionSoftCap: true,
    compute: 'auto',
    weights: 'auto',
    ...changes,
  };
}
