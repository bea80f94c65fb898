/** What a device could do at most, as the case ceiling measured it in this run. */

export interface Ceiling {
  readonly device: string;
  readonly architecture: string;
  /** 'f16', 'bf16', 'fp8 tensor' or 'fp8 row'. */
  readonly type: string;
  /** Rows of the matrix products: tokens of a batch. */
  readonly tokens: number;
  /** If the layers were these products alone, best algorithm of each. */
  readonly tokensPerSecond: number;
  readonly teraflops: number;
}

export interface CeilingQuery {
  readonly device: string;
  readonly architecture: string;
  readonly type: '16-bit' | 'f16' | 'fp8';
}

const TYPES = { '16-bit': ['f16', 'bf16'], f16: ['f16'], fp8: ['fp8 tensor'] } as const;

/** The fastest of the types, as tokens a second; fp8 with one scale a tensor, as our engine has it, where that was measured. */
export function ceilingFor(ceilings: readonly Ceiling[], query: CeilingQuery): number | undefined {
  return fastestCeiling(ceilings, query)?.tokensPerSecond;
}

export function fastestCeiling(ceilings: readonly Ceiling[], query: CeilingQuery): Ceiling | undefined {
  const types: readonly string[] = TYPES[query.type];
  return ceilings
    .filter(({ device, architecture }) => device === query.device && architecture === query.architecture)
    .filter(({ type }) => types.includes(type))
    .sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)
    .at(0);
}
