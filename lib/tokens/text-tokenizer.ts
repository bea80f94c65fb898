/** Texts to token ids, nothing added, nothing cut. */
export interface TextTokenizer {
  encode(texts: readonly string[]): Promise<readonly Int32Array[]>;
}
