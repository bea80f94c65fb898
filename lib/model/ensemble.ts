/** An ensemble file: which models, how much each counts, and where each runs. */

import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { readJsonFile } from './json-file';
import { readManifest } from './manifest';
import type { ModelSpec } from './spec';

const device = z
  .string()
  .regex(/^(?:cpu|auto|cuda:(?:0|[1-9]\d*))$/, { error: '"cpu", "cuda:N" or "auto"' })
  .describe('cpu, cuda:N or auto');

export const ensembleSchema = z.strictObject({
  $schema: z.string().optional(),
  models: z
    .array(
      z.strictObject({
        path: z.string().min(1).describe('Model folder, relative to this file'),
        weight: z.number().min(0).describe('Its share of the mean; the weights need not sum to 1'),
        device: z.union([device, z.array(device).min(1)], { error: '"cpu", "cuda:N", "auto" or a list of these' }),
      }),
    )
    .min(1)
    .refine((models) => models.some(({ weight }) => weight > 0), { error: 'a weight above 0 of at least one model' })
    .refine((models) => Number.isFinite(totalWeight(models)), { error: 'weights with a finite sum' }),
});

export interface EnsembleModel {
  readonly spec: ModelSpec;
  /** The weights of an ensemble sum to 1. */
  readonly weight: number;
  /** As written: 'auto' is not yet resolved. */
  readonly devices: readonly string[];
}

export interface EnsembleSpec {
  readonly path: string;
  readonly models: readonly EnsembleModel[];
  /** Folders of the models of weight 0: nothing of them is read. */
  readonly leftOut: readonly string[];
}

/** Reads an ensemble file and the manifests of its models. */
export async function readEnsemble(path: string): Promise<EnsembleSpec> {
  const file = await readJsonFile(path, {
    noun: 'ensemble file',
    schema: ensembleSchema,
    missing: 'ERR_CONFIG',
    wrong: 'ERR_CONFIG',
  });
  const total = totalWeight(file.models);
  const folderOf = (model: { readonly path: string }): string => resolve(dirname(path), model.path);
  const models = file.models
    .filter(({ weight }) => weight > 0)
    .map(async (model) =>
      Object.freeze({
        spec: await readManifest(folderOf(model)),
        weight: model.weight / total,
        devices: Object.freeze(Array.isArray(model.device) ? model.device : [model.device]),
      }),
    );
  const leftOut = Object.freeze(file.models.filter(({ weight }) => weight === 0).map(folderOf));
  return Object.freeze({ path, models: Object.freeze(await Promise.all(models)), leftOut });
}

function totalWeight(models: readonly { readonly weight: number }[]): number {
  return models.reduce((sum, { weight }) => sum + weight, 0);
}
