/** A thread that holds @huggingface/tokenizers: reading tokenizer.json takes a second, and so may a long text. */

import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { Tokenizer } from '@huggingface/tokenizers';
import { hasErrorCode, PairscoreError } from '../errors';
import { certainTokens, type Bpe } from './certain';
import { readFacts, withoutSpecialTokens } from './facts';
import type { Described, HfFailure, HfReply, HfRequest, HfWorkerData } from './hf-messages';
import type { CertainIds } from './merger';
import { readTokenizerFolder } from './tokenizer-folder';
import { isTree, type Tree } from './tree';

type MergeRequest = Extract<HfRequest, { readonly kind: 'merge' }>;
type Model = NonNullable<Tokenizer['model']>;

if (parentPort && isWorkerData(workerData)) serve(parentPort, workerData);

function isWorkerData(value: unknown): value is HfWorkerData {
  return isTree(value) && 'folder' in value && 'specialTokens' in value;
}

function serve(port: MessagePort, { folder, specialTokens }: HfWorkerData): void {
  const answer = (id: number, work: () => HfReply): void => {
    try {
      port.postMessage(work());
    } catch (error) {
      port.postMessage({ id, kind: 'failed', failure: toFailure(error) } satisfies HfReply);
    }
  };
  let tree: Tree = {};
  answer(0, () => {
    const { tokenizerJson, tokenizerConfig } = readTokenizerFolder(folder);
    tree = specialTokens === 'parse' ? tokenizerJson : withoutSpecialTokens(tokenizerJson, tokenizerConfig);
    return { id: 0, kind: 'facts', facts: readFacts({ tokenizerJson, tokenizerConfig }, specialTokens) };
  });
  // Built by the first call that needs it.
  let built: Tokenizer | undefined;
  port.on('message', (request: HfRequest) => {
    answer(request.id, () => {
      built ??= build(tree, folder);
      tree = {};
      return reply(built, request);
    });
  });
}

/** Ids of the text alone: without the post-processor, and without what tokenizer_config.json would add. */
function build(tree: Tree, folder: string): Tokenizer {
  try {
    return new Tokenizer({ decoder: null, normalizer: null, pre_tokenizer: null, ...tree, post_processor: null }, {});
  } catch (cause) {
    const text = `Expected a tokenizer in ${folder} but @huggingface/tokenizers cannot open it: ${String(cause)}`;
    throw new PairscoreError('ERR_MODEL_FILE', text, { file: folder, cause });
  }
}

function reply(tokenizer: Tokenizer, request: HfRequest): HfReply {
  const { id } = request;
  if (request.kind === 'describe') return { id, kind: 'described', tokens: describe(tokenizer, request.ids) };
  if (request.kind === 'merge') return { id, kind: 'merged', certain: mergedIds(tokenizer, request) };
  const lists = request.texts.map((text) => Int32Array.from(idsOf(tokenizer, text)));
  return { id, kind: 'encoded', lists };
}

function idsOf(tokenizer: Tokenizer, text: string): readonly number[] {
  return text === '' ? [] : tokenizer.encode(text, { add_special_tokens: false }).ids;
}

function mergedIds(tokenizer: Tokenizer, { stretch, known }: MergeRequest): CertainIds | null {
  const { model } = tokenizer;
  if (model === null) return null;
  const bpe = toBpe(model);
  const tokens = known === 'all' ? bpe.merge(stretch) : certainTokens(bpe, stretch, known);
  if (tokens === null) return null;
  const ids = Int32Array.from(tokens, (token) => model.tokens_to_ids.get(token) ?? -1);
  return { ids, length: tokens.reduce((sum, token) => sum + token.length, 0) };
}

const longest = new WeakMap<Model, number>();

function toBpe(model: Model): Bpe {
  if (!longest.has(model)) {
    longest.set(
      model,
      [...model.tokens_to_ids.keys()].reduce((most, token) => Math.max(most, token.length), 1),
    );
  }
  return {
    merge: (stretch) => model.bpe(stretch),
    has: (token) => model.tokens_to_ids.has(token),
    longest: longest.get(model) ?? 1,
  };
}

function describe(tokenizer: Tokenizer, ids: readonly number[]): Described {
  const text = ids.length === 0 ? '' : tokenizer.decode(ids, { clean_up_tokenization_spaces: false });
  return { pieces: ids.map((id) => tokenizer.id_to_token(id) ?? '?'), text };
}

function toFailure(error: unknown): HfFailure {
  if (error instanceof PairscoreError) {
    return { code: error.code, message: error.message, file: error.place.file ?? null };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: hasErrorCode(error) ? error.code : 'ERR_INTERNAL', message, file: null };
}
