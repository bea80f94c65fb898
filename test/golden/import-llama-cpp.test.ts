/** llama.cpp's own converters and ours give the same tensors, bit for bit, and the same vocabulary. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openBase } from '../../lib/import/base';
import { readAdapter } from '../../lib/import/adapter';
import { writeAdapter } from '../../lib/import/adapter-write';
import { type GgufFile, openGguf, readNumber, readText, readTexts } from '../../lib/model/gguf-file';
import { fixture, inScratch, readGolden } from './import-cases';

interface Converted {
  readonly tensors: Readonly<Record<string, readonly [type: string, ne: readonly number[], sha256: string]>>;
  readonly values: Readonly<Record<string, string | number | boolean>>;
}

function isGolden(value: unknown): value is Readonly<Record<string, Converted>> {
  return typeof value === 'object' && value !== null && Object.values(value).every((entry) => 'tensors' in entry);
}

const read: unknown = readGolden('llama-cpp.json');
const golden = isGolden(read) ? read : assert.fail('Expected golden digests');

/** Keys for chats and sentence pairs, which a classifier of one text does not read. */
const LEFT_OUT = ['tokenizer.ggml.add_sep_token'];

async function digestOf(path: string): Promise<Converted> {
  const file = await openGguf(path);
  try {
    const tensors: Record<string, Converted['tensors'][string]> = {};
    for (const { name, type, ne, offset, byteLength } of file.tensors.values()) {
      tensors[name] = [type.toUpperCase(), ne, sha256(await file.read(offset, byteLength)).slice(0, 24)];
    }
    return { tensors, values: valuesOf(file) };
  } finally {
    await file.close();
  }
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function valuesOf(file: GgufFile): Converted['values'] {
  const values: Record<string, string | number | boolean> = {};
  for (const [key, value] of file.values) {
    const texts = readTexts(value);
    const isBool = value.readUInt32LE(0) === 7;
    // An array of numbers: after the two type ids and the count come its plain bytes.
    values[key] =
      texts === undefined
        ? isBool
          ? value[4] === 1
          : (readNumber(value) ?? readText(value) ?? sha256(value.subarray(16)))
        : sha256(texts.join('\0'));
  }
  return values;
}

function compare(received: Converted, expected: Converted): void {
  assert.deepEqual(received.tensors, expected.tensors);
  for (const [key, value] of Object.entries(expected.values)) {
    if (!LEFT_OUT.includes(key)) assert.deepEqual([key, received.values[key]], [key, value]);
  }
}

describe('a base converts as with convert_hf_to_gguf.py', () => {
  for (const [name, expected] of Object.entries(golden)) {
    const [base = '', type] = name.split('/');
    if (type === undefined) continue;
    test(name, () =>
      inScratch(async (scratch) => {
        const opened = await openBase(fixture(base), { type, threads: 2, merge: null });
        try {
          await opened.write(join(scratch, 'base.gguf'), () => undefined);
        } finally {
          await opened.close();
        }
        compare(await digestOf(join(scratch, 'base.gguf')), expected);
      }),
    );
  }
});

describe('an adapter converts as with convert_lora_to_gguf.py', () => {
  for (const [name, expected] of Object.entries(golden)) {
    if (name.includes('/')) continue;
    test(name, () =>
      inScratch(async (scratch) => {
        const base = await openBase(fixture(`${name.split('-')[0] ?? ''}-base`), {
          type: null,
          threads: 1,
          merge: null,
        });
        const { pairs } = await readAdapter(fixture(name), base.shape, { alpha: null, rsLora: false });
        await base.close();
        await writeAdapter(join(scratch, 'adapter.gguf'), pairs, base.shape);
        compare(await digestOf(join(scratch, 'adapter.gguf')), expected);
      }),
    );
  }
});
