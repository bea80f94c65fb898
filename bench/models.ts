/** The models of an ensemble as the bench drives them: engines alone, fed with random ids. */

import type { Compute, WeightStorage } from '../lib/compute';
import type { NativeEngine } from '../lib/native/contract';
import { buildInfo, openEngine } from '../lib/native/engine';
import { readEnsemble } from '../lib/model/ensemble';
import { engineKind, engineLimits, type EngineLimits } from '../lib/model/limits';
import { placeEnsemble, type PlacedModel } from '../lib/model/place-ensemble';
import type { ModelSpec } from '../lib/model/spec';
import type { ScorerOptions } from '../lib/settings';
import type { BenchOptions } from './options';

export interface OpenOptions {
  readonly device: string;
  readonly threads: number;
  readonly limits: EngineLimits;
  readonly compute: Compute;
  readonly weights: WeightStorage;
}

export function openBenchEngine(spec: ModelSpec, { limits, ...options }: OpenOptions): Promise<NativeEngine> {
  return openEngine({
    basePath: spec.base,
    adapterPath: spec.adapter ?? '',
    headPath: spec.head,
    ...options,
    maxBatchTokens: limits.maxBatchTokens,
    maxBatchSequences: limits.maxBatchSequences,
    maxSequenceTokens: spec.maxLength,
    attentionSoftCap: spec.attentionSoftCap,
  });
}

/** What cases run in that do not compare modes: the first of the computes. */
export function modeOf({ computes, weights }: BenchOptions): Pick<OpenOptions, 'compute' | 'weights'> {
  return { compute: computes?.[0] ?? 'auto', weights: weights ?? 'auto' };
}

export function scorerOptions(options: BenchOptions): ScorerOptions {
  const { ensemble, devices, threads } = options;
  return { ensemble, threads, ...modeOf(options), ...(devices === null ? {} : { device: devices }) };
}

/** Where the scorer would put the models, or on the devices given, all of them on each. */
export async function placeForBench(options: BenchOptions): Promise<readonly PlacedModel[]> {
  const { ensemble, devices } = options;
  const { models } = await readEnsemble(ensemble);
  const asked = models.map((model) => (devices === null ? model : { ...model, devices }));
  return placeEnsemble(asked, buildInfo().devices, { batchTokens: null, ...modeOf(options) });
}

export function limitsOf({ spec, gpuBatchTokens }: PlacedModel, device: string, compute: Compute): EngineLimits {
  return engineLimits(spec, engineKind(device, compute), device === 'cpu' ? null : gpuBatchTokens);
}

/** Every GPU of the machine; without one the CPU. */
export function usualDevices(): readonly string[] {
  const gpus = buildInfo().devices.map(({ device }) => device);
  const found = gpus.filter((device) => device !== 'cpu');
  return found.length > 0 ? found : ['cpu'];
}
