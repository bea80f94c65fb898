import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PairscoreError } from '../errors';
import { type AdapterConfig, parseAdapterConfig } from './adapter-config';
import { fileError } from '../model/byte-file';
import { readObject } from './json';
import { openSafetensors } from './safetensors';
import type { TensorStore } from './tensor';
import { openTorch } from './torch';

/** What a checkpoint without adapter_config.json cannot say itself. */
export interface AdapterSettings {
  readonly alpha: number | null;
  readonly rsLora: boolean;
}

export interface OpenAdapter {
  readonly store: TensorStore;
  readonly config: AdapterConfig;
}

/** Opens a PEFT folder, a safetensors file or a torch state dict. */
export async function openAdapter(path: string, settings: AdapterSettings): Promise<OpenAdapter> {
  const info = await stat(path).catch((cause: unknown) => {
    throw fileError(path, 'Expected an adapter folder or file but found none', cause);
  });
  if (!info.isDirectory()) {
    const store = await openWeights(path);
    if (settings.alpha !== null) return { store, config: bareConfig(path, settings.alpha, settings) };
    await store.close();
    throw new PairscoreError(
      'ERR_USAGE',
      `${path}: Expected --lora-alpha, since a file without adapter_config.json does not say it`,
      { file: path },
    );
  }
  const configPath = join(path, 'adapter_config.json');
  const config = parseAdapterConfig(configPath, await readObject(configPath));
  const name = ['adapter_model.safetensors', 'adapter_model.bin'].find((file) => existsSync(join(path, file)));
  if (name === undefined)
    throw fileError(path, 'Expected adapter_model.safetensors or adapter_model.bin but found neither');
  return { store: await openWeights(join(path, name)), config };
}

function openWeights(path: string): Promise<TensorStore> {
  return path.endsWith('.safetensors') ? openSafetensors(path) : openTorch(path);
}

function bareConfig(path: string, alpha: number, settings: AdapterSettings): AdapterConfig {
  return {
    path,
    rank: null,
    alpha,
    rsLora: settings.rsLora,
    rankPattern: {},
    alphaPattern: {},
    targets: null,
    layers: null,
    baseModel: null,
  };
}
