/** manifest.json -> ModelSpec. */

import { isAbsolute, join, normalize, resolve, sep } from 'node:path';
import { z } from 'zod';
import { readJsonFile } from './json-file';
import type { ModelSpec } from './spec';

const text = z.string();
const tokenId = z.int().min(0).nullable();
/** Inside the model's folder, so that a manifest from elsewhere cannot point at files of the user. */
const innerPath = z.string().refine(staysInside, { error: 'a relative path inside the model folder' });
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: '64 hex digits in lower case' });

export const manifestSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: z.string().min(1).describe('What reports call the model'),
    architecture: z.enum(['gemma2', 'llama']),
    base: innerPath.describe('GGUF of the base model, any quantisation that ggml reads'),
    adapter: innerPath.nullable().describe('LoRA GGUF, or null where the adapter is merged into the base'),
    head: innerPath.describe('GGUF of the classification head: score.weight (labels, hidden), F32'),
    tokenizer: innerPath.describe('Folder of tokenizer.json and tokenizer_config.json'),
    sha256: z.record(z.string().min(1), sha256).describe('Digest of each file, by its path in the folder'),
    parser: z.enum(['python', 'json', 'strip', 'text']).describe('How a cell becomes turns'),
    nullText: text.describe('What a missing turn reads as'),
    joiner: text.describe('What stands between two turns'),
    template: z
      .strictObject({ prompt: text, responseA: text, responseB: text })
      .describe('Literal text before each part'),
    maxLength: z.int().min(1).max(1_048_576).describe('Tokens a sequence, special tokens counted'),
    truncation: z.enum(['right', 'left', 'middle', 'proportional']),
    bos: tokenId.describe('Token before the text, or null'),
    eos: tokenId.describe('Token after the text, or null'),
    specialTokensInText: z.enum(['parse', 'text']),
    attentionSoftCap: z.boolean(),
    labels: z.array(z.enum(['winner_model_a', 'winner_model_b', 'winner_tie'])).min(2),
    adapterTensors: z.int().min(0).describe('LoRA pairs that must be applied'),
  })
  .superRefine((manifest, context) => {
    const blame = (key: string, message: string, input: unknown): void =>
      context.addIssue({ code: 'custom', path: [key], message, input });
    const { labels, adapter, adapterTensors, maxLength, sha256: digests } = manifest;
    const isComplete = labels.includes('winner_model_a') && labels.includes('winner_model_b');
    if (!isComplete || new Set(labels).size !== labels.length)
      blame('labels', 'each answer once, a and b included', labels);
    if ((adapter === null) !== (adapterTensors === 0)) {
      blame('adapterTensors', adapter === null ? '0 without an adapter' : 'at least 1 with an adapter', adapterTensors);
    }
    const specials = [manifest.bos, manifest.eos].filter((id) => id !== null).length;
    if (maxLength < specials) blame('maxLength', `room for ${specials} special tokens`, maxLength);
    for (const file of manifestFiles(manifest)) {
      if (!Object.hasOwn(digests, file)) blame('sha256', `a digest of ${file}`, Object.keys(digests));
    }
    const outside = Object.keys(digests).find((file) => !staysInside(file));
    if (outside !== undefined) blame('sha256', 'paths inside the model folder', outside);
  });

export type Manifest = z.infer<typeof manifestSchema>;

/** Reads `manifest.json` of a model folder. */
export async function readManifest(folder: string): Promise<ModelSpec> {
  const manifest = await readJsonFile(join(folder, 'manifest.json'), {
    noun: 'manifest',
    schema: manifestSchema,
    missing: 'ERR_MODEL_FILE',
    wrong: 'ERR_MODEL_MANIFEST',
  });
  return toSpec(manifest, resolve(folder));
}

/** Files that a manifest must give a digest of, relative to its folder. */
export function manifestFiles(manifest: Pick<Manifest, 'base' | 'adapter' | 'head' | 'tokenizer'>): readonly string[] {
  const { base, adapter, head, tokenizer } = manifest;
  const own = [base, ...(adapter === null ? [] : [adapter]), head];
  return [...own, join(tokenizer, 'tokenizer.json'), join(tokenizer, 'tokenizer_config.json')];
}

function toSpec(manifest: Manifest, folder: string): ModelSpec {
  const { $schema: _, ...facts } = manifest;
  return Object.freeze({
    ...facts,
    folder,
    base: resolve(folder, manifest.base),
    adapter: manifest.adapter === null ? null : resolve(folder, manifest.adapter),
    head: resolve(folder, manifest.head),
    tokenizer: resolve(folder, manifest.tokenizer),
    sha256: Object.freeze({ ...manifest.sha256 }),
    template: Object.freeze({ ...manifest.template }),
    labels: Object.freeze([...manifest.labels]),
  });
}

function staysInside(path: string): boolean {
  if (path === '' || isAbsolute(path) || path.includes('\0')) return false;
  const plain = normalize(path);
  return plain !== '..' && !plain.startsWith(`..${sep}`);
}
