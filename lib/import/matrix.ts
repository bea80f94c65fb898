import { convertRows, type Factors } from '../native/engine';
import { type GgmlType, rowBytes } from '../model/gguf-types';
import type { OutputTensor } from './gguf-write';
import { permuteRows } from './permute';

/** Rows to be converted, in the order and type in which they lie in their source. */
export interface MatrixSource {
  readonly type: GgmlType;
  readonly rows: number;
  readonly columns: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface MatrixPlan {
  readonly name: string;
  readonly type: GgmlType;
  /** Rows of one head where heads are permuted, else 0. */
  readonly rowsPerHead: number;
  /** LoRA to be added, b in the order of the target's rows and scaled; null for none. */
  readonly factors: Factors | null;
  readonly threads: number;
}

/** Bytes of source that are in memory at a time, twice. */
const CHUNK_BYTES = 16 * 1024 * 1024;
const NO_FACTORS: Factors = { a: new Float32Array(0), b: new Float32Array(0) };

/** A matrix converted while it is written: the next rows are read and converted while these are on their way out. */
export function convertedMatrix(source: MatrixSource, plan: MatrixPlan): OutputTensor {
  const sourceRow = rowBytes(source.type, source.columns);
  const unit = Math.max(1, plan.rowsPerHead);
  const step = Math.max(1, Math.floor(CHUNK_BYTES / sourceRow / unit)) * unit;
  const chunk = async (row: number): Promise<Uint8Array> => {
    const count = Math.min(step, source.rows - row);
    const bytes = await source.read(row * sourceRow, count * sourceRow);
    const ordered =
      plan.rowsPerHead === 0 ? bytes : permuteRows(bytes, new Uint8Array(bytes.length), plan.rowsPerHead, sourceRow);
    if (source.type === plan.type && plan.factors === null) return ordered;
    const spec = { from: source.type, to: plan.type, columns: source.columns, threads: plan.threads };
    return convertRows(spec, plainBytes(ordered), factorsOf(plan.factors, source.columns, [row, count]));
  };
  return {
    name: plan.name,
    type: plan.type,
    ne: [source.columns, source.rows],
    chunks: () => ahead(source.rows, step, chunk),
  };
}

/** The addon takes a Uint8Array proper; a Buffer is one too, but only by inheritance. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function factorsOf(factors: Factors | null, columns: number, rows: readonly [first: number, count: number]): Factors {
  if (factors === null) return NO_FACTORS;
  const rank = factors.a.length / columns;
  return { a: factors.a, b: factors.b.subarray(rows[0] * rank, (rows[0] + rows[1]) * rank) };
}

async function* ahead(
  rows: number,
  step: number,
  chunk: (row: number) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let next = chunk(0);
  for (let row = step; row < rows; row += step) {
    const now = await next;
    next = chunk(row);
    // Observed here, so that a failure while the consumer is busy is no unhandled rejection.
    next.catch(() => undefined);
    yield now;
  }
  yield await next;
}
