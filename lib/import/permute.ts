/**
 * llama.cpp rotates neighbouring values where transformers rotates halves, so for the llama architecture the rows of
 * each head's q and k are interleaved: row (half, i) of a head becomes row (i, half).
 */
export function permuteRows<T extends Uint8Array | Float32Array>(
  rows: T,
  out: T,
  rowsPerHead: number,
  rowLength: number,
): T {
  const half = rowsPerHead / 2;
  const total = rows.length / rowLength;
  for (let row = 0; row < total; row++) {
    const inHead = row % rowsPerHead;
    const target = row - inHead + (inHead % half) * 2 + Math.floor(inHead / half);
    out.set(rows.subarray(row * rowLength, (row + 1) * rowLength), target * rowLength);
  }
  return out;
}
