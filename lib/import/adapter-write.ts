import type { LoraPair } from './adapter';
import { type BaseShape, LINEARS, permutedHeads } from './base-shape';
import { type OutputTensor, wholeTensor, writeGguf, type WrittenFile } from './gguf-write';
import { float32, type GgufEntry, text, uint32 } from './gguf-values';
import type { HeadWeights } from './head';
import { permuteRows } from './permute';

/** The one alpha of an adapter GGUF: llama.cpp scales each pair by alpha / rank. */
export function commonAlpha(pairs: readonly LoraPair[]): number {
  const counts = new Map<number, number>();
  for (const pair of pairs) {
    const alpha = Math.fround(pair.scale * pair.rank);
    counts.set(alpha, (counts.get(alpha) ?? 0) + 1);
  }
  const [best = 1] = [...counts].sort((x, y) => y[1] - x[1])[0] ?? [];
  // alpha 0 means "no scale" to llama.cpp.
  return best === 0 ? 1 : best;
}

/** The tensors of an adapter GGUF: A as it is, B permuted where the base is, and scaled where its alpha is another. */
export function adapterTensors(pairs: readonly LoraPair[], base: BaseShape, alpha: number): readonly OutputTensor[] {
  return pairs.flatMap((pair) => {
    const name = `blk.${pair.layer}.${LINEARS[pair.linear]}.weight`;
    const inputs = pair.a.length / pair.rank;
    const outputs = pair.b.length / pair.rank;
    const b = inGgufOrder(rescaled(pair, alpha), pair, base);
    return [
      wholeTensor(`${name}.lora_a`, [inputs, pair.rank], pair.a),
      wholeTensor(`${name}.lora_b`, [pair.rank, outputs], b),
    ];
  });
}

function rescaled(pair: LoraPair, alpha: number): Float32Array {
  if (Math.fround(pair.scale * pair.rank) === alpha) return pair.b;
  const factor = (pair.scale * pair.rank) / alpha;
  return pair.b.map((value) => value * factor);
}

export function inGgufOrder(b: Float32Array, pair: LoraPair, base: BaseShape): Float32Array {
  const heads = permutedHeads(base, pair.linear);
  if (heads === 0) return b;
  return permuteRows(b, new Float32Array(b.length), b.length / pair.rank / heads, pair.rank);
}

/** The factors of a pair as they are added to a base's rows: b in the GGUF's order, the scale folded in. */
export function mergeFactors(pair: LoraPair, shape: BaseShape): { readonly a: Float32Array; readonly b: Float32Array } {
  return { a: pair.a, b: inGgufOrder(pair.b, pair, shape).map((value) => value * pair.scale) };
}

export function writeAdapter(path: string, pairs: readonly LoraPair[], base: BaseShape): Promise<WrittenFile> {
  const alpha = commonAlpha(pairs);
  const entries: readonly GgufEntry[] = [
    ['general.architecture', text(base.architecture)],
    ['general.type', text('adapter')],
    ['adapter.type', text('lora')],
    ['adapter.lora.alpha', float32(alpha)],
  ];
  return writeGguf(path, entries, adapterTensors(pairs, base, alpha));
}

export interface HeadFile {
  readonly weights: HeadWeights;
  readonly labels: readonly string[];
}

export function writeHead(path: string, head: HeadFile, base: BaseShape): Promise<WrittenFile> {
  const { weights } = head;
  const entries: readonly GgufEntry[] = [
    ['general.architecture', text('pairscore-head')],
    ['pairscore.head.architecture', text(base.architecture)],
    ['pairscore.head.hidden_size', uint32(base.hidden)],
    ['pairscore.head.labels', { type: 'strings', value: head.labels }],
  ];
  const tensors = [wholeTensor('score.weight', [base.hidden, weights.labels], weights.weight)];
  if (weights.bias !== null) tensors.push(wholeTensor('score.bias', [weights.labels], weights.bias));
  return writeGguf(path, entries, tensors);
}
