/** Where the models of an ensemble go on this machine, from the headers of their files. Nothing is loaded. */

import type { Compute, WeightStorage } from '../compute';
import type { DeviceInfo } from '../native/contract';
import { readBaseFacts } from './base-facts';
import { openByteFile } from './byte-file';
import { CUDA_SPARE_BYTES, estimateCudaMemory } from './cuda-memory';
import type { EnsembleModel } from './ensemble';
import { engineKind, engineLimits, gpuBatchSizes } from './limits';
import { estimateLlamaMemory, type MemoryEstimate } from './memory';
import { placeModels, type GpuUse, type Wish } from './place';
import type { ModelSpec } from './spec';

/** What the user sets of it. */
export interface PlaceSettings {
  readonly batchTokens: number | null;
  readonly compute: Compute;
  readonly weights: WeightStorage;
}

export interface PlacedModel {
  readonly spec: ModelSpec;
  readonly weight: number;
  readonly devices: readonly string[];
  /** Largest batch on a GPU. */
  readonly gpuBatchTokens: number;
  /** How its GPUs are to keep the weights: the room of a GPU is shared out here, once for all models. */
  readonly gpuWeights: WeightStorage;
  /** On each of its GPUs; null where the machine has none, and for a model that is to stay on the CPU. */
  readonly gpuMemory: MemoryEstimate | null;
}

type Estimate = (use: GpuUse) => MemoryEstimate;

/** Throws ERR_DEVICE_UNKNOWN, ERR_DEVICE_MEMORY, ERR_CONFIG and, for a model whose size cannot be told, ERR_MODEL_FILE. */
export async function placeEnsemble(
  models: readonly EnsembleModel[],
  machine: readonly DeviceInfo[],
  settings: PlaceSettings,
): Promise<readonly PlacedModel[]> {
  const hasGpu = machine.some(({ device }) => device !== 'cpu');
  const kind = settings.compute === 'ggml' ? 'ggml' : 'cuda';
  const estimates = await Promise.all(
    models.map(async ({ spec, devices }) =>
      hasGpu && !isCpuOnly(devices) ? estimateFor(spec, settings.compute) : null,
    ),
  );
  const wishes = models.map(({ spec, devices }, i): Wish => {
    const gpuBytes = (use: GpuUse): number => estimates[i]?.(use).total ?? 0;
    return { name: spec.name, devices, maxLength: spec.maxLength, storages: storagesOf(settings), gpuBytes };
  });
  const specs = models.map(({ spec }) => spec);
  const room = { machine, spareBytes: kind === 'cuda' ? CUDA_SPARE_BYTES : 0 };
  const placement = placeModels(wishes, room, gpuBatchSizes(specs, kind, settings.batchTokens));
  const { gpuBatchTokens } = placement;
  return models.map(({ spec, weight }, i) => {
    const gpuWeights = placement.gpuWeights[i] ?? settings.weights;
    const gpuMemory = estimates[i]?.({ batchTokens: gpuBatchTokens, weights: gpuWeights }) ?? null;
    return { spec, weight, devices: placement.devices[i] ?? [], gpuBatchTokens, gpuWeights, gpuMemory };
  });
}

function isCpuOnly(devices: readonly string[]): boolean {
  return devices.every((device) => device === 'cpu');
}

/** fp8 is resident; libllama has one way. */
function storagesOf({ compute, weights }: PlaceSettings): readonly WeightStorage[] {
  if (compute === 'ggml' || weights !== 'auto') return [weights];
  return compute === 'fp8' ? ['resident'] : ['resident', 'streamed'];
}

/** A file that cannot be read ends placing: a model of unknown size must not be taken for one of none. */
async function estimateFor(spec: ModelSpec, compute: Compute): Promise<Estimate> {
  const base = await readBaseFacts(spec.base);
  const adapterBytes = spec.adapter === null ? 0 : await sizeOf(spec.adapter);
  const files = { base, adapterBytes, maxLength: spec.maxLength };
  return ({ batchTokens, weights }) => {
    const limits = engineLimits(spec, engineKind('cuda:0', compute), batchTokens);
    if (compute === 'ggml') return estimateLlamaMemory(files, limits);
    return estimateCudaMemory(files, limits, weights === 'resident' && compute === 'fp8' ? 'fp8' : storage(weights));
  };
}

async function sizeOf(path: string): Promise<number> {
  const file = await openByteFile(path);
  await file.close();
  return file.size;
}

function storage(weights: WeightStorage): 'resident' | 'streamed' {
  return weights === 'streamed' ? 'streamed' : 'resident';
}
