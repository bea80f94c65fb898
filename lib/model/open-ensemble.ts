/** Every model of an ensemble, opened where it was placed. */

import type { DeviceInfo } from '../native/contract';
import type { EnsembleModel, EnsembleSpec } from './ensemble';
import { closeAll, openModel, type OpenModel, type OpenModelOptions } from './open';
import { placeEnsemble } from './place-ensemble';
import type { ModelSpec } from './spec';
import { verifyFiles } from './verify';

export interface OpenEnsembleOptions extends Pick<
  OpenModelOptions,
  'threads' | 'batchTokens' | 'spreadMaxLength' | 'tokenizer'
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
  const models = await placeEnsemble(overriddenModels(ensemble, options), machine, options.batchTokens);
  options.onStage(`verifying ${models.map(({ spec }) => spec.name).join(', ')}`);
  await Promise.all(models.map(({ spec }) => verifyFiles(spec)));
  const members: Member[] = [];
  try {
    for (const { weight, ...placed } of models) {
      options.onStage(`loading ${placed.spec.name} on ${placed.devices.join(', ')}`);
      members.push({ ...(await openModel({ ...options, ...placed })), weight });
    }
    return members;
  } catch (error) {
    await closeAll(members);
    throw error;
  }
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
