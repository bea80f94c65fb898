/** Which modes of a device the case models compares. */

import { engineKind, engineLimits, type EngineLimits } from '../lib/model/limits';
import type { PlacedModel } from '../lib/model/place-ensemble';
import type { Compute, WeightStorage } from '../lib/compute';
import { limitsOf } from './models';
import type { BenchOptions } from './options';

export interface Mode {
  readonly compute: Compute;
  readonly weights: WeightStorage;
  readonly limits: EngineLimits;
}

type Kind = Pick<Mode, 'compute' | 'weights'>;

/** What a user gets who sets nothing comes first. */
const GPU_KINDS: readonly Kind[] = [
  { compute: 'auto', weights: 'auto' },
  { compute: 'bf16', weights: 'auto' },
  { compute: 'f16', weights: 'auto' },
  { compute: 'auto', weights: 'streamed' },
  { compute: 'fp8', weights: 'auto' },
];

export function modesOf(placed: PlacedModel, device: string, options: BenchOptions): readonly Mode[] {
  return kindsOf(device, options).flatMap((kind) =>
    budgetsOf(placed, device, { ...kind, asked: options.batchTokens }).map((limits) => ({ ...kind, limits })),
  );
}

function kindsOf(device: string, { computes, weights }: BenchOptions): readonly Kind[] {
  if (device === 'cpu') return [{ compute: 'auto', weights: 'auto' }];
  if (computes === null && weights === null) return GPU_KINDS;
  return (computes ?? (['auto'] as const)).map((compute) => ({ compute, weights: weights ?? 'auto' }));
}

function budgetsOf(
  placed: PlacedModel,
  device: string,
  { compute, asked }: { readonly compute: Compute; readonly asked: readonly number[] | null },
): readonly EngineLimits[] {
  if (asked === null) return [limitsOf(placed, device, compute)];
  const { spec } = placed;
  return asked.map((tokens) => engineLimits(spec, engineKind(device, compute), Math.max(tokens, spec.maxLength)));
}
