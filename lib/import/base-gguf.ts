import { constants } from 'node:fs';
import { copyFile, link } from 'node:fs/promises';
import { PairscoreError } from '../errors';
import { moduleName } from './adapter-config';
import { mergeFactors } from './adapter-write';
import type { Base, BaseSettings } from './base';
import { type BaseShape, LINEARS, shapeFromGguf } from './base-shape';
import { type GgufFile, type GgufTensor, openGguf, readNumber, readTexts } from '../model/gguf-file';
import type { GgmlType } from '../model/gguf-types';
import type { GgufEntry } from './gguf-values';
import { uint32 } from './gguf-values';
import { type OutputTensor, tensorBytes, writeGguf } from './gguf-write';
import { convertedMatrix } from './matrix';
import { fileType, matrixType, type Mixture, parseMixture } from './quant-types';

/** A GGUF base: used as it is, or merged with a LoRA. */
export async function openBaseGguf(path: string, settings: BaseSettings): Promise<Base> {
  if (settings.type !== null && settings.merge === null) {
    throw new PairscoreError(
      'ERR_USAGE',
      'Expected --type with a Hugging Face folder or --merge only: a GGUF base is used as it is',
    );
  }
  const file = await openGguf(path);
  try {
    refuseSplit(file);
    const shape = shapeFromGguf(file);
    const same = {
      path,
      shape,
      tokens: readTexts(file.values.get('tokenizer.ggml.tokens')) ?? [],
      head: null,
      fates: [],
      close: () => file.close(),
    };
    return settings.merge === null ? { ...same, ...asItIs(file) } : { ...same, ...merged(file, shape, settings) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function refuseSplit(file: GgufFile): void {
  const parts = readNumber(file.values.get('split.count')) ?? 1;
  if (parts <= 1) return;
  const text = `${file.path}: Expected a GGUF in one file but received one of ${parts} parts: join them with llama-gguf-split --merge`;
  throw new PairscoreError('ERR_MODEL_FILE', text, { file: file.path });
}

function asItIs(file: GgufFile): Pick<Base, 'plan' | 'outputBytes' | 'write'> {
  const write: Base['write'] = async (target, onBytes) => {
    await linkOrCopy(file.path, target);
    onBytes('base.gguf', file.size);
    return null;
  };
  return { plan: 'as it is', outputBytes: file.size, write };
}

/** A second name for the same bytes where the file system allows it, else a copy. */
async function linkOrCopy(source: string, target: string): Promise<void> {
  const isLinked = await link(source, target).then(
    () => true,
    () => false,
  );
  if (isLinked) return;
  await copyFile(source, target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PairscoreError('ERR_OUTPUT', `Expected to copy ${source} to ${target} but could not: ${reason}`, {
      file: target,
      cause,
    });
  });
}

/** Keys that the writer sets itself, or that are of the old file only. */
const DROPPED = ['general.alignment', 'general.file_type', 'split.no', 'split.count', 'split.tensors.count'];

function merged(
  file: GgufFile,
  shape: BaseShape,
  settings: BaseSettings,
): Pick<Base, 'plan' | 'outputBytes' | 'write'> {
  const mixture = settings.type === null ? null : parseMixture(settings.type);
  const isTied = !file.tensors.has('output.weight');
  const taken = new Set<string>();
  const tensors = [...file.tensors.values()].map((tensor) => {
    const pair = settings.merge?.find(({ layer, linear }) => tensor.name === `blk.${layer}.${LINEARS[linear]}.weight`);
    if (pair !== undefined) taken.add(tensor.name);
    const factors = pair === undefined ? null : mergeFactors(pair, shape);
    return outputTensor(file, tensor, {
      factors,
      type: targetType(tensor, { mixture, isTied, shape }),
      threads: settings.threads,
    });
  });
  const lost = (settings.merge ?? []).find(({ layer, linear }) => !taken.has(`blk.${layer}.${LINEARS[linear]}.weight`));
  if (lost !== undefined) {
    throw new PairscoreError(
      'ERR_MODEL_MISMATCH',
      `${file.path}: Expected a weight for the LoRA of ${moduleName(lost.layer, lost.linear)} but found none`,
      { file: file.path },
    );
  }
  const entries = keptEntries(file, mixture);
  return {
    plan: `merged${mixture === null ? ', each tensor in its type' : ` and converted to ${mixture}`}`,
    outputBytes: tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0),
    write: async (target, onBytes) => {
      const { sha256 } = await writeGguf(target, entries, tensors, onBytes);
      return sha256;
    },
  };
}

function keptEntries(file: GgufFile, mixture: Mixture | null): readonly GgufEntry[] {
  const kept = [...file.values].filter(([key]) => !DROPPED.includes(key));
  const type = mixture === null ? readNumber(file.values.get('general.file_type')) : fileType(mixture);
  const entries = kept.map(([key, value]): GgufEntry => [key, { type: 'raw', value }]);
  return type === undefined ? entries : [...entries, ['general.file_type', uint32(type)]];
}

interface Target {
  readonly mixture: Mixture | null;
  readonly isTied: boolean;
  readonly shape: BaseShape;
}

function targetType(tensor: GgufTensor, { mixture, isTied, shape }: Target): GgmlType {
  const isMatrix = tensor.ne.length === 2 && tensor.name.endsWith('.weight') && !tensor.name.endsWith('_norm.weight');
  if (mixture === null || !isMatrix) return tensor.type;
  return matrixType(mixture, { name: tensor.name, columns: tensor.ne[0] ?? 1, isTied }, shape);
}

interface OutputPlan {
  readonly factors: ReturnType<typeof mergeFactors> | null;
  readonly type: GgmlType;
  readonly threads: number;
}

function outputTensor(file: GgufFile, tensor: GgufTensor, plan: OutputPlan): OutputTensor {
  const [columns = 1, ...rest] = tensor.ne;
  const rows = rest.reduce((product, size) => product * size, 1);
  const read = (offset: number, length: number): Promise<Uint8Array> => file.read(tensor.offset + offset, length);
  const converted = convertedMatrix(
    { type: tensor.type, rows, columns, read },
    { name: tensor.name, rowsPerHead: 0, ...plan },
  );
  return { ...converted, ne: tensor.ne };
}
