/** llama.cpp's tokenizer as a TextTokenizer. */

import type { SpecialTokensInText } from '../model/spec';
import type { NativeTokenizer } from '../native/contract';
import type { TextTokenizer } from './text-tokenizer';

export function overNative(native: NativeTokenizer, specialTokens: SpecialTokensInText): TextTokenizer {
  return {
    async encode(texts) {
      const { tokens, offsets } = await native.tokenize(texts, specialTokens === 'parse');
      return texts.map((_, i) => tokens.subarray(offsets[i], offsets[i + 1]));
    },
  };
}
