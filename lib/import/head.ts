import { PairscoreError } from '../errors';
import { type AdapterConfig, loraScale } from './adapter-config';
import type { AdapterKey } from './adapter-key';
import type { BaseShape } from './base-shape';
import type { KeyFate } from './report';
import { isFloat, readFloats, type SourceTensor } from './tensor';

/** The linear layer that reads the last token's hidden state. */
export interface HeadWeights {
  readonly labels: number;
  /** (labels, hidden) */
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
}

export type HeadParts = readonly {
  readonly tensor: SourceTensor;
  readonly key: Extract<AdapterKey, { kind: 'head' | 'head-lora' }>;
}[];

export interface ReadHead {
  readonly weights: HeadWeights;
  readonly fates: readonly KeyFate[];
}

/** The head of a checkpoint, its own LoRA folded in; null where there is none. */
export async function readHead(
  parts: HeadParts,
  config: AdapterConfig,
  base: BaseShape,
  source: string,
): Promise<ReadHead | null> {
  if (parts.length === 0) return null;
  const names = new Set(parts.map(({ key }) => key.head));
  if (names.size > 1) throw mismatch(source, `Expected one head but received ${[...names].join(' and ')}`);
  const weight = choose(parts, 'weight', source);
  if (weight === null) {
    throw mismatch(
      source,
      `Expected the weight of the head ${[...names].join()} but the checkpoint holds only its LoRA: give the base folder that has it, or save the head with modules_to_save`,
    );
  }
  const bias = choose(parts, 'bias', source);
  const labels = weight.shape[0] ?? 0;
  if (weight.shape.length !== 2 || weight.shape[1] !== base.hidden || labels < 1) {
    throw mismatch(
      source,
      `Expected a head of [labels, ${base.hidden}] but received ${weight.name} [${weight.shape.join(', ')}]`,
    );
  }
  if (bias !== null && (bias.shape.length !== 1 || bias.shape[0] !== labels)) {
    throw mismatch(source, `Expected a head bias of [${labels}] but received ${bias.name} [${bias.shape.join(', ')}]`);
  }
  const values = Float64Array.from(await finiteFloats(weight, source));
  await foldLora(parts, { values, labels, hidden: base.hidden }, config, source);
  return {
    weights: {
      labels,
      weight: Float32Array.from(values),
      bias: bias === null ? null : await finiteFloats(bias, source),
    },
    fates: fatesOf(parts, [weight, bias], source),
  };
}

function mismatch(source: string, message: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_MISMATCH', `${source}: ${message}`, { file: source });
}

/** The trained tensor if there is one, or else the base layer under a LoRA. */
function choose(parts: HeadParts, part: 'weight' | 'bias', source: string): SourceTensor | null {
  for (const origin of ['trained', 'base'] as const) {
    const found = parts.filter(({ key }) => key.kind === 'head' && key.part === part && key.origin === origin);
    if (found.length > 1)
      throw mismatch(
        source,
        `Expected one ${part} of the head but received ${found.map(({ tensor }) => tensor.name).join(' and ')}`,
      );
    if (found[0] !== undefined) return found[0].tensor;
  }
  return null;
}

async function finiteFloats(tensor: SourceTensor, source: string): Promise<Float32Array> {
  if (!isFloat(tensor.dtype))
    throw mismatch(source, `Expected floating point values of ${tensor.name} but received ${tensor.dtype}`);
  const values = await readFloats(tensor);
  if (values.every(Number.isFinite)) return values;
  throw new PairscoreError(
    'ERR_MODEL_VALUES',
    `${source}: Expected finite values of ${tensor.name} but received NaN or infinity`,
    { file: source },
  );
}

interface Target {
  readonly values: Float64Array;
  readonly labels: number;
  readonly hidden: number;
}

async function foldLora(parts: HeadParts, target: Target, config: AdapterConfig, source: string): Promise<void> {
  const lora = parts.filter(({ key }) => key.kind === 'head-lora');
  if (lora.length === 0) return;
  const side = (name: 'a' | 'b') =>
    lora.filter(({ key }) => key.kind === 'head-lora' && key.side === name).map(({ tensor }) => tensor);
  const [a, b] = [side('a'), side('b')];
  const [down, up] = [a[0], b[0]];
  if (down === undefined || up === undefined || a.length + b.length !== 2)
    throw mismatch(source, 'Expected one lora_A and one lora_B of the head');
  const rank = down.shape[0] ?? 0;
  if (rank < 1 || down.shape[1] !== target.hidden || up.shape[0] !== target.labels || up.shape[1] !== rank) {
    throw mismatch(
      source,
      `Expected a head LoRA of A [r, ${target.hidden}] and B [${target.labels}, r] but received A [${down.shape.join(', ')}] and B [${up.shape.join(', ')}]`,
    );
  }
  const [downs, ups] = [await finiteFloats(down, source), await finiteFloats(up, source)];
  const scale = loraScale(config, lora[0]?.key.head ?? '', rank);
  for (let label = 0; label < target.labels; label++) {
    for (let r = 0; r < rank; r++) {
      const factor = scale * (ups[label * rank + r] ?? 0);
      for (let i = 0; i < target.hidden; i++) {
        const at = label * target.hidden + i;
        target.values[at] = (target.values[at] ?? 0) + factor * (downs[r * target.hidden + i] ?? 0);
      }
    }
  }
}

function fatesOf(parts: HeadParts, used: readonly (SourceTensor | null)[], source: string): readonly KeyFate[] {
  return parts.map(({ tensor, key }) => {
    const base = { source, key: tensor.name, shape: tensor.shape, dtype: tensor.dtype };
    if (key.kind === 'head-lora') return { ...base, fate: 'head', detail: 'score.weight, folded in' };
    if (!used.includes(tensor)) return { ...base, fate: 'ignored', detail: 'the head before training' };
    return { ...base, fate: 'head', detail: `score.${key.part}` };
  });
}

/** A head that lies in the folder of the base. */
export async function readBaseHead(
  found: readonly { readonly tensor: SourceTensor; readonly part: 'weight' | 'bias' }[],
  base: BaseShape,
  source: string,
): Promise<ReadHead | null> {
  const parts: HeadParts = found.map(({ tensor, part }) => ({
    tensor,
    key: { kind: 'head', head: 'score', part, origin: 'trained', adapter: '' },
  }));
  const config: AdapterConfig = {
    path: source,
    rank: null,
    alpha: 1,
    rsLora: false,
    rankPattern: {},
    alphaPattern: {},
    targets: null,
    layers: null,
    baseModel: null,
  };
  return readHead(parts, config, base, source);
}
