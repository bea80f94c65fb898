import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileError } from '../model/byte-file';
import { isObject, readObject } from './json';
import { openSafetensors } from './safetensors';
import type { SourceTensor, TensorStore } from './tensor';
import { openTorch } from './torch';

/** Opens the weights of a Hugging Face folder: one file, or shards named by an index. */
export async function openFolderWeights(folder: string): Promise<TensorStore> {
  for (const [name, openOne] of [
    ['model.safetensors', openSafetensors],
    ['pytorch_model.bin', openTorch],
  ] as const) {
    const index = join(folder, `${name}.index.json`);
    if (existsSync(index)) return openShards(folder, index, openOne);
    if (existsSync(join(folder, name))) return openOne(join(folder, name));
  }
  throw fileError(folder, 'Expected model.safetensors, pytorch_model.bin or the index of its shards but found none');
}

async function openShards(
  folder: string,
  indexPath: string,
  openOne: (path: string) => Promise<TensorStore>,
): Promise<TensorStore> {
  const { weight_map: weightMap } = await readObject(indexPath);
  if (!isObject(weightMap)) throw fileError(indexPath, 'Expected weight_map to be an object');
  const names = new Set<string>();
  for (const [tensor, shard] of Object.entries(weightMap)) names.add(shardName(indexPath, tensor, shard));
  const stores: TensorStore[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(stores.map((store) => store.close()));
  };
  try {
    for (const name of [...names].sort()) stores.push(await openOne(join(folder, name)));
    return {
      path: folder,
      tensors: gather(indexPath, weightMap, stores),
      others: stores.flatMap((s) => s.others),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An index may name files of its own folder only. */
function shardName(indexPath: string, tensor: string, shard: unknown): string {
  const plain = typeof shard === 'string' && shard !== '' && shard !== '.' && shard !== '..' && !/[\\/\0:]/.test(shard);
  if (!plain) {
    throw fileError(
      indexPath,
      `Expected a file name of the same folder for ${tensor} but received ${JSON.stringify(shard)}`,
    );
  }
  return shard;
}

function gather(
  indexPath: string,
  weightMap: Readonly<Record<string, unknown>>,
  stores: readonly TensorStore[],
): ReadonlyMap<string, SourceTensor> {
  const tensors = new Map<string, SourceTensor>();
  for (const store of stores) {
    for (const [name, tensor] of store.tensors) {
      if (weightMap[name] !== basename(store.path)) {
        throw fileError(
          indexPath,
          `Expected the index to place ${name} in ${basename(store.path)} but received ${String(weightMap[name])}`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  for (const name of Object.keys(weightMap)) {
    if (!tensors.has(name))
      throw fileError(indexPath, `Expected tensor ${name} in ${String(weightMap[name])} but it is missing`);
  }
  return tensors;
}
