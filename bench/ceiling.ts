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
  readonly type: '16-bit' | 'fp8';
  readonly tokens: number;
}

/** The best of the types at the batch size next to the one asked for; undefined where none was measured. */
export function ceilingFor(ceilings: readonly Ceiling[], query: CeilingQuery): number | undefined {
  const isAsked = ({ type }: Ceiling): boolean =>
    query.type === 'fp8' ? type.startsWith('fp8') : !type.startsWith('fp8');
  const own = ceilings.filter(
    (one) => one.device === query.device && one.architecture === query.architecture && isAsked(one),
  );
  const distance = ({ tokens }: Ceiling): number => Math.abs(Math.log(tokens / query.tokens));
  const nearest = Math.min(...own.map(distance));
  const speeds = own.filter((one) => distance(one) === nearest).map(({ tokensPerSecond }) => tokensPerSecond);
  return speeds.length === 0 ? undefined : Math.max(...speeds);
}
