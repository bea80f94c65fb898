import { basename, resolve } from 'node:path';
import { PairscoreError } from '../errors';
import { mergeFactors } from './adapter-write';
import type { Base, BaseSettings } from './base';
import { type BaseKey, expectedTensors, parseBaseKey } from './base-names';
import { type BaseShape, permutedHeads } from './base-shape';
import { dequantisedStore, usesBitsAndBytes } from './bitsandbytes';
import { type OutputTensor, tensorBytes, wholeTensor, writeGguf } from './gguf-write';
import type { GgmlType } from '../model/gguf-types';
import { type GgufEntry, text, uint32 } from './gguf-values';
import { readBaseHead } from './head';
import { type HfConfig, readHfConfig } from './hf-config';
import { convertedMatrix } from './matrix';
import { fileType, matrixType, type Mixture, parseMixture } from './quant-types';
import type { KeyFate } from './report';
import { openFolderWeights } from './shards';
import { type DType, isFloat, readFloats, type SourceTensor, type TensorStore } from './tensor';
import { readVocabulary } from './vocabulary';

/** A Hugging Face folder as a base: everything is checked now, and converted tensor by tensor when it is written. */
export async function openBaseFolder(path: string, settings: BaseSettings): Promise<Base> {
  const config = await readHfConfig(path);
  const isQuantised = usesBitsAndBytes(config.path, config.json);
  const opened = await openFolderWeights(path);
  try {
    const store = isQuantised ? await dequantisedStore(opened) : opened;
    const placed = place(store, config.shape);
    const vocabulary = await readVocabulary(path, config.shape, config.json);
    const mixture = settings.type === null ? sourceMixture(placed) : parseMixture(settings.type);
    const tensors = outputTensors({ store, config, settings, mixture }, placed);
    const entries: readonly GgufEntry[] = [
      ['general.architecture', text(config.shape.architecture)],
      ['general.type', text('model')],
      ['general.name', text(basename(resolve(path)))],
      ...config.entries,
      ['general.file_type', uint32(fileType(mixture))],
      ['general.quantization_version', uint32(2)],
      ...vocabulary.entries,
    ];
    return {
      path,
      shape: config.shape,
      tokens: vocabulary.tokens,
      head: await readBaseHead(placed.head, config.shape, path),
      fates: placed.fates,
      plan: `${isQuantised ? 'dequantised and ' : ''}${settings.merge === null ? '' : 'merged and '}converted to ${mixture}`,
      outputBytes: tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0),
      write: async (target, onBytes) => {
        const { sha256 } = await writeGguf(target, entries, tensors, onBytes);
        return sha256;
      },
      close: () => store.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

interface Placed {
  /** By name in the GGUF. */
  readonly tensors: ReadonlyMap<string, { readonly tensor: SourceTensor; readonly key: BaseKey }>;
  readonly head: readonly { readonly tensor: SourceTensor; readonly part: 'weight' | 'bias' }[];
  readonly fates: readonly KeyFate[];
}

function mismatch(store: TensorStore, message: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_MISMATCH', `${store.path}: ${message}`, { file: store.path });
}

/** Gives every key of the folder its place, and finds every place taken. */
function place(store: TensorStore, shape: BaseShape): Placed {
  const tensors = new Map<string, { tensor: SourceTensor; key: BaseKey }>();
  const head: { tensor: SourceTensor; part: 'weight' | 'bias' }[] = [];
  const fates: KeyFate[] = [];
  const expected = expectedTensors(shape);
  for (const tensor of store.tensors.values()) {
    const key = parseBaseKey(tensor.name, shape.architecture);
    const fate = { source: store.path, key: tensor.name, shape: tensor.shape, dtype: tensor.dtype };
    if (key.kind === 'unknown')
      throw mismatch(store, `Expected weights of a ${shape.architecture} model but ${tensor.name} is an unknown key`);
    if (key.kind === 'ignored') fates.push({ ...fate, fate: 'ignored', detail: key.reason });
    if (key.kind === 'head') head.push({ tensor, part: key.part });
    if (key.kind === 'head') fates.push({ ...fate, fate: 'head', detail: `score.${key.part}` });
    if (key.kind === 'ignored' || key.kind === 'head') continue;
    if (tensors.has(key.target))
      throw mismatch(store, `Expected one tensor for ${key.target} but ${tensor.name} is a second one`);
    const wanted = key.target === 'output.weight' ? [shape.vocabulary, shape.hidden] : expected.get(key.target);
    if (wanted?.join() !== tensor.shape.join() || !isFloat(tensor.dtype)) {
      throw mismatch(
        store,
        `Expected ${tensor.name} of [${wanted?.join(', ') ?? 'no such layer'}] but received ${tensor.dtype} [${tensor.shape.join(', ')}]`,
      );
    }
    tensors.set(key.target, { tensor, key });
    fates.push({ ...fate, fate: 'base', detail: key.target });
  }
  const missing = [...expected.keys()].filter((name) => !tensors.has(name));
  if (missing.length > 0)
    throw mismatch(store, `Expected all weights of the base but ${missing.length} are missing, first ${missing[0]}`);
  return { tensors, head, fates };
}

const GGML_TYPES: Readonly<Partial<Record<DType, GgmlType>>> = { F32: 'f32', F16: 'f16', BF16: 'bf16', F64: 'f64' };

/** The type that the embeddings have, so that nothing is lost. */
function sourceMixture(placed: Placed): Mixture {
  const dtype = placed.tensors.get('blk.0.attn_q.weight')?.tensor.dtype;
  return dtype === 'BF16' ? 'bf16' : dtype === 'F16' ? 'f16' : 'f32';
}

interface Conversion {
  readonly store: TensorStore;
  readonly config: HfConfig;
  readonly settings: BaseSettings;
  readonly mixture: Mixture;
}

function outputTensors(conversion: Conversion, placed: Placed): readonly OutputTensor[] {
  const { config } = conversion;
  const names = [
    ...expectedTensors(config.shape).keys(),
    ...(placed.tensors.has('output.weight') ? ['output.weight'] : []),
  ];
  const isTied = !placed.tensors.has('output.weight');
  const tensors = names.map((name) => {
    const found = placed.tensors.get(name);
    if (found === undefined) throw new PairscoreError('ERR_INTERNAL', `Expected ${name} to be placed`);
    if (found.key.kind === 'norm') return normTensor(name, found.tensor, config.shape);
    return matrixTensor(conversion, { name, ...found, isTied });
  });
  const factors = config.ropeFactors;
  return factors === null ? tensors : [wholeTensor('rope_freqs.weight', [factors.length], factors), ...tensors];
}

/** Norms are kept in f32; Gemma's code multiplies by 1 + w, so llama.cpp stores that. */
function normTensor(name: string, tensor: SourceTensor, shape: BaseShape): OutputTensor {
  const shift = shape.architecture === 'gemma2' ? 1 : 0;
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    const values = (await readFloats(tensor)).map((value) => value + shift);
    if (!values.every(Number.isFinite))
      throw new PairscoreError('ERR_MODEL_VALUES', `Expected finite values of ${tensor.name}`);
    yield new Uint8Array(values.buffer);
  };
  return { name, type: 'f32', ne: [...tensor.shape].reverse(), chunks };
}

interface PlacedMatrix {
  readonly name: string;
  readonly tensor: SourceTensor;
  readonly key: BaseKey;
  readonly isTied: boolean;
}

function matrixTensor(
  { store, config, settings, mixture }: Conversion,
  { name, tensor, key, isTied }: PlacedMatrix,
): OutputTensor {
  const [rows = 0, columns = 0] = tensor.shape;
  const source = GGML_TYPES[tensor.dtype];
  if (source === undefined || source === 'f64')
    throw mismatch(store, `Expected ${tensor.name} in f32, f16 or bf16 but received ${tensor.dtype}`);
  const heads = key.kind === 'linear' ? permutedHeads(config.shape, key.linear) : 0;
  const pair =
    key.kind === 'linear'
      ? settings.merge?.find(({ layer, linear }) => layer === key.layer && linear === key.linear)
      : undefined;
  return convertedMatrix(
    { type: source, rows, columns, read: (offset, length) => tensor.read(offset, length) },
    {
      name,
      type: matrixType(mixture, { name, columns, isTied }, config.shape),
      rowsPerHead: heads === 0 ? 0 : rows / heads,
      factors: pair === undefined ? null : mergeFactors(pair, config.shape),
      threads: settings.threads,
    },
  );
}
