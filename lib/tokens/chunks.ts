/** Consecutive texts in groups of at most `units` UTF-16 units, or of one text that is longer. */
export function inChunks(texts: readonly string[], units: number): readonly (readonly string[])[] {
  const chunks: string[][] = [];
  let current: string[] = [];
  let size = 0;
  for (const text of texts) {
    if (current.length > 0 && size + text.length > units) {
      chunks.push(current);
      current = [];
      size = 0;
    }
    current.push(text);
    size += text.length;
  }
  return current.length > 0 ? [...chunks, current] : chunks;
}
