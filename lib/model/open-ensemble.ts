/** Every model of an ensemble, opened where it was placed. */

import { stat } from 'node:fs/promises';
import type { DeviceInfo } from '../native/contract';
import { engineLimits, gpuBytes } from './limits';
import type { EnsembleModel, EnsembleSpec } from './ensemble';
import { closeAll, openModel, type OpenModel, type OpenModelOptions } from './open';
import { placeModels } from './place';
import type { ModelSpec } from './spec';
import { verifyFiles } from './verify';

export interface OpenEnsembleOptions extends Pick<
  OpenModelOptions,
  'threads' | 'batchTokens' | 'spreadMaxLength' | 'tokenizer' | 'compute' | 'weights'
> {
  /** In place of the ensemble file's. */
  readonly devices: readonly string[] | null;
  /** In place of the manifests'. */
  readonly maxLength: number | null;
  readonly onStage: (stage: string) => void;
}

export interface Member extends OpenModel {
  readonly weight: number;
}

/** Files are verified before anything is loaded. Rejects, holding nothing, where one model does not open. */
export async function openEnsemble(
  ensemble: EnsembleSpec,
  machine: readonly DeviceInfo[],
  options: OpenEnsembleOptions,
): Promise<readonly Member[]> {
  const models = ensemble.models.map((model) => overridden(model, options));
  const places = placeModels(await Promise.all(models.map((model) => wishOf(model, options))), machine);
  options.onStage(`verifying ${models.map(({ spec }) => spec.name).join(', ')}`);
  await Promise.all(models.map(({ spec }) => verifyFiles(spec)));
  const engineThreads = threadsPerEngine(options.threads, places);
  const members: Member[] = [];
  try {
    for (const [i, { spec, weight }] of models.entries()) {
      const devices = places[i] ?? [];
      options.onStage(`loading ${spec.name} on ${devices.join(', ')}`);
      members.push({ ...(await openModel({ ...options, engineThreads, spec, devices })), weight });
    }
    return members;
  } catch (error) {
    await closeAll(members);
    throw error;
  }
}

/**
 * Models on the CPU run side by side and share its threads. A ggml thread waits for the others of its engine by spinning,
 * so that more threads than cores, or a core that something else needs, cost far more than they bring.
 */
export function threadsPerEngine(threads: number, places: readonly (readonly string[])[]): number {
  const onCpu = places.flat().filter((device) => device === 'cpu').length;
  return Math.max(1, Math.floor(threads / Math.max(1, onCpu)));
}

function overridden(model: EnsembleModel, options: OpenEnsembleOptions): EnsembleModel {
  const spec: ModelSpec = Object.freeze({ ...model.spec, maxLength: options.maxLength ?? model.spec.maxLength });
  return { ...model, spec, devices: options.devices ?? model.devices };
}

async function wishOf({ spec, devices }: EnsembleModel, options: OpenEnsembleOptions) {
  const sizes = await Promise.all([sizeOf(spec.base), spec.adapter === null ? 0 : sizeOf(spec.adapter)]);
  const weights = sizes.reduce((sum, size) => sum + size, 0);
  return { name: spec.name, devices, bytes: gpuBytes(weights, engineLimits(spec, 'cuda:0', options.batchTokens)) };
}

/** A file that is missing weighs nothing here; verifying says that it is missing. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
