/** Everything that is a fact of a model, frozen, with no optional field. Made from a manifest by manifest.ts. */

/** How a cell of the input file becomes a list of turns. */
export type CellParser = 'python' | 'json' | 'strip' | 'text';

/** What is cut when a text is longer than maxLength. */
export type Truncation = 'right' | 'left' | 'middle' | 'proportional';

/** What the strings of special tokens inside a user's text become: those tokens, as in transformers, or plain text. */
export type SpecialTokensInText = 'parse' | 'text';

/** Literal text before each part. */
export interface Template {
  readonly prompt: string;
  readonly responseA: string;
  readonly responseB: string;
}

export interface ModelSpec {
  readonly name: string;
  readonly architecture: 'gemma2' | 'llama';
  /** Absolute paths. */
  readonly folder: string;
  readonly base: string;
  /** null where the adapter is merged into the base. */
  readonly adapter: string | null;
  readonly head: string;
  /** Folder that holds tokenizer.json and tokenizer_config.json. */
  readonly tokenizer: string;
  /** Hex digests by file name relative to the folder. */
  readonly sha256: Readonly<Record<string, string>>;
  readonly parser: CellParser;
  /** What a missing turn reads as. */
  readonly nullText: string;
  /** What stands between two turns. */
  readonly joiner: string;
  readonly template: Template;
  /** Tokens, special tokens counted. */
  readonly maxLength: number;
  readonly truncation: Truncation;
  /** Token put before the text, or null. */
  readonly bos: number | null;
  /** Token put after the text, or null. */
  readonly eos: number | null;
  readonly specialTokensInText: SpecialTokensInText;
  readonly attentionSoftCap: boolean;
  /** Column of each logit, in the head's order. */
  readonly labels: readonly Label[];
  /** LoRA pairs that must be applied: 0 without an adapter. */
  readonly adapterTensors: number;
}

export type Label = 'winner_model_a' | 'winner_model_b' | 'winner_tie';
