// The package's own declarations import each other without extensions, which node16 resolution does not follow.
declare module '@huggingface/tokenizers' {
  export class Tokenizer {
    constructor(tokenizer: object, config: object);
    /** Of a BPE model. */
    readonly model: {
      readonly tokens_to_ids: ReadonlyMap<string, number>;
      bpe(token: string): readonly string[];
    } | null;
    encode(text: string, options: { readonly add_special_tokens: boolean }): { readonly ids: readonly number[] };
    decode(ids: readonly number[], options: { readonly clean_up_tokenization_spaces: boolean }): string;
    id_to_token(id: number): string | undefined;
  }
}
