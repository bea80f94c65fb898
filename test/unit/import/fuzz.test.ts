/**
 * Damaged files never crash, hang or come through by another error than ours. PAIRSCORE_FUZZ_SECONDS=600 runs for ten
 * minutes in place of a few hundred cases a reader.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PairscoreError } from '../../../lib/errors';
import { readAdapter } from '../../../lib/import/adapter';
import { parseAdapterConfig } from '../../../lib/import/adapter-config';
import { parseAdapterKey } from '../../../lib/import/adapter-key';
import { dequantisedStore } from '../../../lib/import/bitsandbytes';
import { readHfConfig } from '../../../lib/import/hf-config';
import { isObject } from '../../../lib/import/json';
import { readPickle } from '../../../lib/import/pickle';
import { openSafetensors } from '../../../lib/import/safetensors';
import { readPieces } from '../../../lib/import/sentencepiece';
import { readAll, type TensorStore } from '../../../lib/import/tensor';
import { readTokenizerFacts } from '../../../lib/import/tokenizer-facts';
import { openTorch } from '../../../lib/import/torch';
import { readVocabulary } from '../../../lib/import/vocabulary';
import { openGguf } from '../../../lib/model/gguf-file';
import { pickled, torchArchive, write } from './archive';
import { damaged } from './damage';
import { scratchFolder } from './scratch';

const SECONDS = Number(process.env['PAIRSCORE_FUZZ_SECONDS'] ?? 0);
const READERS = 11;
const RUNS = { numRuns: 200 };
/** Far more than any of these small files takes. */
const SLOW_MS = 5000;

const folder = scratchFolder();
const fixtures = join(__dirname, '..', '..', 'fixtures', 'import');
const read = (name: string): Buffer => readFileSync(join(fixtures, name));

/** Of ours: a handle that an error leaves open holds its file until the garbage collector comes. */
function openFiles(): readonly string[] {
  if (process.platform !== 'linux') return [];
  const files = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(join('/proc/self/fd', fd));
    } catch {
      return '';
    }
  });
  return files.filter((file) => file.startsWith(`${folder}/`));
}

async function survives(work: () => Promise<unknown>): Promise<void> {
  const started = performance.now();
  try {
    await work();
  } catch (error) {
    assert.ok(
      error instanceof PairscoreError,
      `Expected a PairscoreError but received ${error instanceof Error ? (error.stack ?? '') : String(error)}`,
    );
  }
  assert.ok(performance.now() - started < SLOW_MS, 'Expected an answer in time');
  assert.deepEqual(openFiles(), []);
}

async function readEverything(open: () => Promise<TensorStore>): Promise<void> {
  const store = await open();
  try {
    for (const tensor of store.tensors.values()) await readAll(tensor);
  } finally {
    await store.close();
  }
}

function fuzz(
  name: string,
  inputs: fc.Arbitrary<Buffer>,
  work: (path: string, bytes: Buffer) => Promise<unknown>,
): void {
  test(name, async (context) => {
    const property = fc.asyncProperty(inputs, (bytes) =>
      survives(() => work(write(folder, name.replaceAll(/\W/g, '-'), bytes), bytes)),
    );
    const end = performance.now() + (SECONDS * 1000) / READERS;
    let runs = 0;
    // Whole assertions: fast-check's own time limit leaves the run that it interrupts with its files open.
    do {
      await fc.assert(property, RUNS);
      runs += RUNS.numRuns;
    } while (performance.now() < end);
    context.diagnostic(`${runs} inputs`);
  });
}

describe('damaged files are refused or read', () => {
  const adapter = read('gemma-reference/adapter_model.safetensors');
  fuzz('safetensors', damaged(adapter, 2000), (path) => readEverything(() => openSafetensors(path)));

  const state = read('llama-state.pth');
  fuzz('torch archive', damaged(state), (path) => readEverything(() => openTorch(path)));
  fuzz('torch directory', damaged(state.subarray(-3000)), (path, bytes) =>
    readEverything(() =>
      openTorch(write(folder, path.split('/').at(-1) ?? '', Buffer.concat([state.subarray(0, -3000), bytes]))),
    ),
  );

  const pickle = pickled.whole(
    pickled.dict(pickled.text('w'), pickled.tensor([2, 2], [2, 1], { elements: 4, offset: 0 })),
  );
  fuzz('pickle in an archive', damaged(pickle), (path, bytes) =>
    readEverything(() => openTorch(write(folder, path.split('/').at(-1) ?? '', torchArchive(bytes)))),
  );
  fuzz(
    'pickle of any bytes',
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    async (path, bytes) => readPickle(bytes, path),
  );

  const gguf = readFileSync(join(__dirname, '..', '..', '..', 'models', 'demo', 'llama', 'head.gguf'));
  fuzz('GGUF', damaged(gguf, 400), async (path) => {
    const file = await openGguf(path);
    try {
      for (const tensor of file.tensors.values()) await file.read(tensor.offset, tensor.byteLength);
    } finally {
      await file.close();
    }
  });

  fuzz('SentencePiece model', damaged(read('gemma-base/tokenizer.model')), (path) => readPieces(path));

  const quantised = read('llama-nf4/model.safetensors');
  fuzz('bitsandbytes', damaged(quantised, 8000), (path) =>
    readEverything(async () => {
      const opened = await openSafetensors(path);
      try {
        return await dequantisedStore(opened);
      } catch (error) {
        await opened.close();
        throw error;
      }
    }),
  );
});

describe('damaged settings are refused or read', () => {
  /** A JSON object with some values of others. */
  const changed = (path: string): fc.Arbitrary<Buffer> => {
    const parsed: unknown = JSON.parse(read(path).toString('utf8'));
    assert.ok(isObject(parsed));
    const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(-1, 0, 1e300, 0.5, '', [], {}, null));
    return fc
      .dictionary(fc.constantFrom(...Object.keys(parsed)), value, { minKeys: 1, maxKeys: 3 })
      .map((changes) => Buffer.from(JSON.stringify({ ...parsed, ...changes })));
  };
  const inFolder = (path: string, name: string, bytes: Buffer): string => {
    write(folder, name, bytes);
    return join(path, '..');
  };

  fuzz('config.json', changed('llama-base/config.json'), (path, bytes) =>
    readHfConfig(inFolder(path, 'config.json', bytes)),
  );

  fuzz('tokenizer.json', changed('llama-base/tokenizer.json'), async (path, bytes) => {
    const place = inFolder(path, 'tokenizer.json', bytes);
    await readTokenizerFacts(place);
    await readVocabulary(place, { architecture: 'llama', vocabulary: 360 }, {});
  });

  fuzz('adapter_config.json', changed('gemma-patterns/adapter_config.json'), async (path, bytes) => {
    const json: unknown = JSON.parse(bytes.toString('utf8'));
    assert.ok(isObject(json));
    parseAdapterConfig(path, json);
  });
});

test('any key has an answer', () => {
  const part = fc.constantFrom(
    'base_model',
    'model',
    'layers',
    '0',
    '99999',
    'self_attn',
    'q_proj',
    'lora_A',
    'default',
    'weight',
    'score',
    'module',
    '',
    '..',
    '__proto__',
    'embed_tokens',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      assert.ok(parseAdapterKey(parts.join('.')).kind.length > 0);
    }),
    { numRuns: 2000 },
  );
});

test('a truncated adapter is refused at every length', async () => {
  const whole = read('gemma-fold-1/adapter_model.safetensors');
  const shape = {
    architecture: 'gemma2',
    layers: 3,
    hidden: 64,
    heads: 4,
    kvHeads: 2,
    headDim: 32,
    feedForward: 96,
    vocabulary: 400,
  } as const;
  for (let length = 0; length < whole.length; length += 199) {
    const path = write(folder, 'cut.safetensors', whole.subarray(0, length));
    await assert.rejects(readAdapter(path, shape, { alpha: 8, rsLora: false }), PairscoreError);
  }
});
