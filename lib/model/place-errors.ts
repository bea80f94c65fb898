/** What placing says where the machine does not have what is asked for. */

import { PairscoreError } from '../errors';
import type { DeviceInfo } from '../native/contract';
import type { Wish } from './place';
import { gpusOf, type Shortage } from './place-on';

/** Throws ERR_DEVICE_UNKNOWN. */
export function refuseUnknownDevice(wish: Wish, machine: readonly DeviceInfo[]): void {
  const known = ['cpu', ...gpusOf(machine).map(({ device }) => device)];
  const unknown = wish.devices.find((device) => device !== 'auto' && !known.includes(device));
  if (unknown === undefined) return;
  const text = `Expected one of ${known.join(', ')} for the device of model ${wish.name} but received ${unknown}`;
  throw new PairscoreError('ERR_DEVICE_UNKNOWN', text);
}

/** fits: a batch size that would. */
export function tooLittleMemory(
  { wish, device, need, free }: Shortage,
  { tokens, fits }: { readonly tokens: number; readonly fits: number | undefined },
): PairscoreError {
  const gib = (bytes: number): string => `${(Math.max(0, bytes) / 2 ** 30).toFixed(1)} GiB`;
  const streamed = wish.storages.some((weights) => weights !== 'resident') ? '' : '--weights streamed, ';
  const setting =
    fits === undefined
      ? `no batch is small enough: choose a smaller --max-length, a smaller quantisation, ${streamed}or --device cpu`
      : `--batch-tokens ${fits} would fit`;
  const text =
    `Expected ${gib(need)} of free memory for model ${wish.name} with batches of ${tokens} tokens ` +
    `but received ${gib(free)} on ${device}; ${setting}`;
  return new PairscoreError('ERR_DEVICE_MEMORY', text);
}
