import { stat } from 'node:fs/promises';
import type { BaseShape } from './base-shape';
import { openBaseFolder } from './base-folder';
import { openBaseGguf } from './base-gguf';
import { fileError } from '../model/byte-file';
import type { LoraPair } from './adapter';
import type { OnBytes } from './gguf-write';
import type { ReadHead } from './head';
import type { KeyFate } from './report';

/** A base model to be imported: a GGUF, or a Hugging Face folder. */
export interface Base {
  readonly path: string;
  readonly shape: BaseShape;
  /** The vocabulary as the base GGUF has it or will have it. */
  readonly tokens: readonly string[];
  /** A head that was saved with the base, or null. */
  readonly head: ReadHead | null;
  readonly fates: readonly KeyFate[];
  /** What the base's file will hold, in words. */
  readonly plan: string;
  /** Bytes that `write` will have written. */
  readonly outputBytes: number;
  /** Resolves to the digest of the file, or null where it was not taken on the way. */
  write(path: string, onBytes: OnBytes): Promise<string | null>;
  close(): Promise<void>;
}

/** How the base is written. */
export interface BaseSettings {
  /** null: a GGUF as it is, a folder in the type of its weights. */
  readonly type: string | null;
  readonly threads: number;
  /** LoRA to be added to the weights, or null. */
  readonly merge: readonly LoraPair[] | null;
}

export async function openBase(path: string, settings: BaseSettings): Promise<Base> {
  const info = await stat(path).catch((cause: unknown) => {
    throw fileError(path, 'Expected a GGUF or a Hugging Face folder as the base but found none', cause);
  });
  return info.isDirectory() ? openBaseFolder(path, settings) : openBaseGguf(path, settings);
}
