/** Where the models of an ensemble go on this machine, from the headers of their files. Nothing is loaded. */

import { stat } from 'node:fs/promises';
import type { DeviceInfo } from '../native/contract';
import { readBaseFacts } from './base-facts';
import type { EnsembleModel } from './ensemble';
import { engineLimits, gpuBatchSizes } from './limits';
import { estimateMemory, type MemoryEstimate } from './memory';
import { placeModels, type Wish } from './place';
import type { ModelSpec } from './spec';

export interface PlacedModel {
  readonly spec: ModelSpec;
  readonly weight: number;
  readonly devices: readonly string[];
  /** Largest batch on a GPU. */
  readonly gpuBatchTokens: number;
  /** On each of its GPUs; null where the machine has none. */
  readonly gpuMemory: MemoryEstimate | null;
}

type Estimate = (batchTokens: number) => MemoryEstimate;

const NOTHING: MemoryEstimate = { weights: 0, cache: 0, scratch: 0, total: 0 };

/** Throws ERR_DEVICE_UNKNOWN, ERR_DEVICE_MEMORY and ERR_CONFIG. */
export async function placeEnsemble(
  models: readonly EnsembleModel[],
  machine: readonly DeviceInfo[],
  batchTokens: number | null,
): Promise<readonly PlacedModel[]> {
  const hasGpu = machine.some(({ device }) => device !== 'cpu');
  const estimates = await Promise.all(models.map(({ spec }) => (hasGpu ? estimateFor(spec) : unneeded())));
  const wishes = models.map(({ spec, devices }, i): Wish => {
    const gpuBytes = (tokens: number): number => estimates[i]?.(tokens).total ?? 0;
    return { name: spec.name, devices, maxLength: spec.maxLength, gpuBytes };
  });
  const sizes = gpuBatchSizes(
    models.map(({ spec }) => spec),
    batchTokens,
  );
  const { devices, gpuBatchTokens } = placeModels(wishes, machine, sizes);
  return models.map(({ spec, weight }, i) => ({
    spec,
    weight,
    devices: devices[i] ?? [],
    gpuBatchTokens,
    gpuMemory: hasGpu ? (estimates[i]?.(gpuBatchTokens) ?? null) : null,
  }));
}

async function unneeded(): Promise<Estimate> {
  return () => NOTHING;
}

/** A file that cannot be read weighs nothing here; verifying says what is wrong with it. */
async function estimateFor(spec: ModelSpec): Promise<Estimate> {
  try {
    const base = await readBaseFacts(spec.base);
    const adapterBytes = spec.adapter === null ? 0 : (await stat(spec.adapter)).size;
    const files = { base, adapterBytes, maxLength: spec.maxLength };
    return (tokens) => estimateMemory(files, engineLimits(spec, 'cuda:0', tokens));
  } catch {
    return () => NOTHING;
  }
}
