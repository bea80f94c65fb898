import { hasErrorCode } from '../errors';
import { openTokenizer } from '../native/engine';
import { TokenizerCheck } from '../tokens/check';
import { openHfTokenizer } from '../tokens/hf-tokenizer';
import { overNative } from '../tokens/native-tokenizer';

/** Compares the base's own tokenizer with tokenizer.json on strings made to hurt. null, or how they differ. */
export async function compareTokenizers(tokenizer: string, basePath: string, threads: number): Promise<string | null> {
  const reference = await openHfTokenizer(tokenizer, 'parse');
  try {
    const native = await openTokenizer({ basePath, threads });
    try {
      await new TokenizerCheck(overNative(native, 'parse'), reference).run([], () => 'a text');
      return null;
    } catch (error) {
      if (hasErrorCode(error) && error.code === 'ERR_TOKENIZER_MISMATCH') return error.message;
      throw error;
    } finally {
      await native.close();
    }
  } finally {
    await reference.close();
  }
}
