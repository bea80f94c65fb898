import { join } from 'node:path';
import { flag, type GgufEntry, uint32 } from './gguf-values';
import { isCount, isObject, type JsonObject } from './json';
import { readAdded } from './tokenizer-facts';

interface Source {
  readonly folder: string;
  readonly json: JsonObject | null;
  readonly config: JsonObject;
  readonly model: JsonObject;
  readonly size: number;
}

const KEYS = [
  ['bos', 'bos_token_id'],
  ['eos', 'eos_token_id'],
  ['unk', 'unknown_token_id'],
  ['pad', 'padding_token_id'],
  ['mask', 'mask_token_id'],
] as const;

/** Ids of the special tokens and whether they are added, as llama.cpp's converter finds them. */
export function specialEntries(source: Source): readonly GgufEntry[] {
  const ids: GgufEntry[] = [];
  for (const [name, key] of KEYS) {
    const id = fromConfig(source, name) ?? fromModel(source, name);
    if (id !== null && id < source.size) ids.push([`tokenizer.ggml.${key}`, uint32(id)]);
  }
  const added: GgufEntry[] = [];
  for (const [name, isAdded] of Object.entries(templateAdds(source))) {
    const stated = source.config[`add_${name}_token`];
    const value = typeof stated === 'boolean' ? stated : isAdded;
    if (value !== null) added.push([`tokenizer.ggml.add_${name}_token`, flag(value)]);
  }
  return [...ids, ...added];
}

/** The token that tokenizer_config.json names, by its id among tokenizer.json's added tokens. */
function fromConfig(source: Source, name: string): number | null {
  if (source.json === null) return null;
  const entry = source.config[`${name}_token`];
  const content = isObject(entry) ? entry['content'] : entry;
  if (typeof content !== 'string') return null;
  const found = readAdded(join(source.folder, 'tokenizer.json'), source.json).find(
    (token) => token.content === content,
  );
  return found?.id ?? null;
}

function fromModel(source: Source, name: string): number | null {
  const id = source.model[`${name}_token_id`];
  return isCount(id) ? id : null;
}

/** Whether the template of a single text begins and ends with a special token; null where it does not say. */
function templateAdds(source: Source): Readonly<Record<'bos' | 'eos', boolean | null>> {
  const post = source.json?.['post_processor'];
  const processors: readonly unknown[] =
    isObject(post) && Array.isArray(post['processors']) ? post['processors'] : [post];
  const template = processors.find(
    (item): item is JsonObject => isObject(item) && item['type'] === 'TemplateProcessing',
  );
  const single: readonly unknown[] = Array.isArray(template?.['single']) ? template['single'] : [];
  const isSpecial = (step: unknown): boolean => isObject(step) && isObject(step['SpecialToken']);
  if (single.length < 2) return { bos: null, eos: null };
  return { bos: isSpecial(single[0]) ? true : null, eos: isSpecial(single.at(-1)) ? true : null };
}
