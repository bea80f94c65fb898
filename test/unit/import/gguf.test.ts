import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openGguf, readNumber, readText, readTexts } from '../../../lib/model/gguf-file';
import { ggmlTypeOf, rowBytes } from '../../../lib/model/gguf-types';
import { float32, flag, type GgufEntry, text, uint32 } from '../../../lib/import/gguf-values';
import { wholeTensor, writeGguf } from '../../../lib/import/gguf-write';
import { write } from './archive';
import { refused, scratchFolder } from './scratch';

const folder = scratchFolder();
const entries: readonly GgufEntry[] = [
  ['general.architecture', text('llama')],
  ['a.number', uint32(7)],
  ['a.float', float32(0.5)],
  ['a.flag', flag(true)],
  ['some.texts', { type: 'strings', value: ['', 'ä', '\u{1f34d}'] }],
  ['some.numbers', { type: 'int32s', value: [-1, 2] }],
];
let count = 0;

async function written(): Promise<string> {
  const path = join(folder, `file-${count++}.gguf`);
  await writeGguf(path, entries, [
    wholeTensor('a', [3], Float32Array.of(1, 2, 3)),
    wholeTensor('b', [2, 2], Float32Array.of(4, 5, 6, 7)),
  ]);
  return path;
}

describe('a GGUF file', () => {
  test('comes back as it was written', async () => {
    const file = await openGguf(await written());
    assert.equal(readText(file.values.get('general.architecture')), 'llama');
    assert.equal(readNumber(file.values.get('a.number')), 7);
    assert.equal(readNumber(file.values.get('a.float')), 0.5);
    assert.deepEqual(readTexts(file.values.get('some.texts')), ['', 'ä', '\u{1f34d}']);
    const b = file.tensors.get('b');
    assert.ok(b !== undefined && b.offset % 32 === 0);
    assert.deepEqual(
      [...new Float32Array(new Uint8Array(await file.read(b.offset, b.byteLength)).buffer)],
      [4, 5, 6, 7],
    );
    await file.close();
  });

  test('may hold every type that the pinned ggml has, each of its size', async () => {
    // Bytes of 256 values, as ggml_row_size gives them.
    const bytes = new Map([
      ...[1024, 512, 144, 160].entries(),
      ...[176, 192, 272, 288, 84, 110, 144, 176, 210, 292].map((size, i) => [i + 6, size] as const),
      ...[66, 74, 98, 50, 144, 110, 82, 136].map((size, i) => [i + 16, size] as const),
      ...[256, 512, 1024, 2048, 2048, 56, 512].map((size, i) => [i + 24, size] as const),
      ...[54, 66].map((size, i) => [i + 34, size] as const),
      ...[136, 144, 36, 72].map((size, i) => [i + 39, size] as const),
    ]);
    for (let id = 0; id < 64; id++) {
      const type = ggmlTypeOf(id);
      assert.equal(type === undefined ? undefined : rowBytes(type, 256), bytes.get(id), `type ${id}`);
      if (type === undefined) continue;
      const chunks = async function* () {
        yield new Uint8Array(2 * rowBytes(type, 256));
      };
      const path = join(folder, `type-${id}.gguf`);
      await writeGguf(path, entries, [{ name: 'a', type, ne: [256, 2], chunks }]);
      const file = await openGguf(path);
      assert.equal(file.tensors.get('a')?.byteLength, 2 * (bytes.get(id) ?? 0));
      await file.close();
    }
  });

  test('is never written over another', async () => {
    const path = await written();
    const before = readFileSync(path);
    await refused(writeGguf(path, entries, []), 'ERR_OUTPUT', /EEXIST/);
    assert.deepEqual(readFileSync(path), before);
  });
});

describe('a GGUF file is refused', () => {
  const change = (name: string, patch: (bytes: Buffer) => Buffer | undefined, expected: RegExp): void =>
    void test(name, async () => {
      const bytes = readFileSync(await written());
      await refused(openGguf(write(folder, `${name}.gguf`, patch(bytes) ?? bytes)), 'ERR_MODEL_FILE', expected);
    });
  const lie = (at: number, value: bigint) => (bytes: Buffer) => {
    bytes.writeBigUInt64LE(value, at);
    return bytes;
  };

  change('of another magic', (bytes) => Buffer.concat([Buffer.from('GGML'), bytes.subarray(4)]), /magic/);
  change('of version 1', (bytes) => bytes.fill(1, 4, 5), /version/);
  change('with a tensor count beyond the file', lie(8, 1n << 40n), /header/);
  change('with a tensor count beyond numbers', lie(8, 1n << 63n), /length/);
  change('with a key count beyond the file', lie(16, 1n << 40n), /header/);
  change('with a key length beyond the file', lie(24, 1n << 40n), /header/);
  change('that ends in its header', (bytes) => bytes.subarray(0, 100), /header/);
  change('that ends in its tensors', (bytes) => bytes.subarray(0, bytes.length - 32), /truncated/);
  change('that is empty', () => Buffer.alloc(0), /magic|truncated/);
});
