/** The models of an ensemble as the bench drives them: engines alone, fed with random ids. */

import type { Compute, WeightStorage } from '../lib/compute';
import type { NativeEngine } from '../lib/native/contract';
import { buildInfo, openEngine } from '../lib/native/engine';
import { readEnsemble } from '../lib/model/ensemble';
import { engineLimits, type EngineLimits } from '../lib/model/limits';
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
    ...limits,
    maxSequenceTokens: spec.maxLength,
    attentionSoftCap: spec.attentionSoftCap,
  });
}

/** Options of a scorer that is benched: the first of the computes. */
export function scorerOptions(options: BenchOptions): ScorerOptions {
  const { ensemble, devices, threads, weights, computes } = options;
  const compute = computes[0] ?? 'auto';
  return { ensemble, threads, compute, weights, ...(devices === null ? {} : { device: devices }) };
}

/** Where the scorer would put the models, or on the devices given, all of them on each. */
export async function placeForBench(
  ensemble: string,
  devices: readonly string[] | null,
): Promise<readonly PlacedModel[]> {
  const { models } = await readEnsemble(ensemble);
  const asked = models.map((model) => (devices === null ? model : { ...model, devices }));
  return placeEnsemble(asked, buildInfo().devices, null);
}

export function limitsOf({ spec, gpuBatchTokens }: PlacedModel, device: string): EngineLimits {
  return engineLimits(spec, device, device === 'cpu' ? null : gpuBatchTokens);
}

/** Batch budgets to compare on a device. */
export function budgetsOf(placed: PlacedModel, device: string, asked: readonly number[] | null): readonly number[] {
  const { maxLength } = placed.spec;
  if (asked !== null) return asked.map((tokens) => Math.max(tokens, maxLength));
  const usual = limitsOf(placed, device).maxBatchTokens;
  return device === 'cpu' ? [usual] : [8192, 16384, 32768].filter((tokens) => tokens <= 2 * usual);
}

/** Every GPU of the machine; without one the CPU. */
export function usualDevices(): readonly string[] {
  const gpus = buildInfo().devices.map(({ device }) => device);
  const found = gpus.filter((device) => device !== 'cpu');
  return found.length > 0 ? found : ['cpu'];
}
