/** Every model of an ensemble, opened where it was placed. */

import { orAborted } from '../abort';
import type { DeviceInfo } from '../native/contract';
import type { EnsembleModel, EnsembleSpec } from './ensemble';
import { closeAll, openModel, type OpenModel, type OpenModelOptions } from './open';
import { placeEnsemble } from './place-ensemble';
import type { ModelSpec } from './spec';
import { verifyModels } from './verify';

export interface OpenEnsembleOptions extends Pick<
  OpenModelOptions,
  'threads' | 'batchTokens' | 'spreadMaxLength' | 'tokenizer' | 'compute' | 'weights' | 'signal'
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
  const placing = placeEnsemble(overriddenModels(ensemble, options), machine, options);
  const models = await orAborted(placing, options.signal);
  if (ensemble.leftOut.length > 0) options.onStage(`leaving out ${ensemble.leftOut.join(', ')}: of weight 0`);
  options.onStage(`verifying ${models.map(({ spec }) => spec.name).join(', ')}`);
  await verifyModels(
    models.map(({ spec }) => spec),
    options.signal,
  );
  const engineThreads = threadsPerEngine(
    options.threads,
    models.map(({ devices }) => devices),
  );
  const members: Member[] = [];
  try {
    for (const { weight, ...placed } of models) {
      options.onStage(`loading ${placed.spec.name} on ${placed.devices.join(', ')}`);
      members.push({ ...(await openModel({ ...options, ...placed, engineThreads })), weight });
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

/** The ensemble as the options change it. */
export function overriddenModels(
  ensemble: EnsembleSpec,
  { devices, maxLength }: Pick<OpenEnsembleOptions, 'devices' | 'maxLength'>,
): readonly EnsembleModel[] {
  return ensemble.models.map((model) => {
    const spec: ModelSpec = Object.freeze({ ...model.spec, maxLength: maxLength ?? model.spec.maxLength });
    return { ...model, spec, devices: devices ?? model.devices };
  });
}
