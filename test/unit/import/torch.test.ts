import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readFloats } from '../../../lib/import/tensor';
import { openTorch } from '../../../lib/import/torch';
import { pickled as p, torchArchive, u32, write, zip } from './archive';
import { refused, scratchFolder } from './scratch';

const folder = scratchFolder();
const floats = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
const plain = p.tensor([2, 3], [3, 1], { elements: 6, offset: 0 });

function file(pickle: Buffer): string {
  return write(folder, 'file.pt', torchArchive(p.whole(pickle), floats));
}

async function valuesOf(pickle: Buffer, name = 'w'): Promise<readonly number[]> {
  const store = await openTorch(file(pickle));
  try {
    const tensor = store.tensors.get(name);
    assert.ok(tensor);
    return [...(await readFloats(tensor))];
  } finally {
    await store.close();
  }
}

describe('a torch archive', () => {
  test('gives its tensors by name', async () => {
    assert.deepEqual(await valuesOf(p.dict(p.text('w'), plain)), [1, 2, 3, 4, 5, 6]);
  });

  test('may hold views: offset and transposed', async () => {
    assert.deepEqual(
      await valuesOf(p.dict(p.text('w'), p.tensor([2, 2], [2, 1], { elements: 6, offset: 2 }))),
      [3, 4, 5, 6],
    );
    assert.deepEqual(
      await valuesOf(p.dict(p.text('w'), p.tensor([3, 2], [1, 3], { elements: 6, offset: 0 }))),
      [1, 4, 2, 5, 3, 6],
    );
  });

  test('is looked for under the names that training loops use', async () => {
    assert.deepEqual(
      await valuesOf(p.dict(p.text('epoch'), p.int(3), p.text('state_dict'), p.dict(p.text('w'), plain))),
      [1, 2, 3, 4, 5, 6],
    );
  });
});

describe('a pickle that is no state dict is refused and not executed', () => {
  const witness = join(folder, 'executed');
  const calls: readonly (readonly [string, Buffer])[] = [
    ['os.system', p.reduce(p.global('os', 'system'), p.tuple(p.text(`touch ${witness}`)))],
    ['builtins.eval', p.reduce(p.global('builtins', 'eval'), p.tuple(p.text('1')))],
    ['torch.load', p.reduce(p.global('torch', 'load'), p.tuple(p.text('x')))],
    ['numpy.core.multiarray._reconstruct', p.global('numpy.core.multiarray', '_reconstruct')],
    ['argparse.Namespace', p.global('argparse', 'Namespace')],
    ['posix.system', Buffer.concat([p.text('posix'), p.text('system'), Buffer.from([0x93])])],
  ];
  for (const [name, pickle] of calls) {
    test(name, async () => {
      await refused(
        openTorch(file(p.dict(p.text('w'), pickle))),
        'ERR_MODEL_FILE',
        new RegExp(`${name.replaceAll('.', '\\.')}.*nothing was executed`),
      );
      assert.equal(existsSync(witness), false);
    });
  }

  for (const [opcode, bytes] of [
    ['INST', Buffer.from('(ios\nsystem\n')],
    ['OBJ', Buffer.from('(o')],
    ['NEWOBJ', Buffer.from(')\x81', 'latin1')],
    ['EXT1', Buffer.from([0x82, 1])],
    ['EMPTY_SET', Buffer.from([0x8f])],
  ] as const) {
    test(`opcode ${opcode}`, () => refused(openTorch(file(bytes)), 'ERR_MODEL_FILE', new RegExp(`opcode ${opcode}`)));
  }

  test('BUILD of anything but a dictionary', () =>
    refused(openTorch(file(Buffer.concat([Buffer.from(']'), p.dict(), Buffer.from('b')]))), 'ERR_MODEL_FILE', /BUILD/));

  test('REDUCE of a value that is no name', () =>
    refused(openTorch(file(p.reduce(p.text('os.system'), p.tuple()))), 'ERR_MODEL_FILE', /REDUCE/));
});

describe('a malformed pickle is refused', () => {
  test('a dictionary that holds itself', () =>
    // memo 0 is the dictionary; it gets itself as its only value.
    refused(
      openTorch(
        file(Buffer.concat([Buffer.from('}q\0', 'latin1'), p.text('state_dict'), Buffer.from('h\0s', 'latin1')])),
      ),
      'ERR_MODEL_FILE',
      /found no tensors/,
    ));

  test('a list in a tuple in itself', () =>
    refused(openTorch(file(Buffer.from(']q\0h\0\x85a', 'latin1'))), 'ERR_MODEL_FILE', /found no tensors/));

  test('a memo that was never set', () =>
    refused(openTorch(file(Buffer.from('h\x07', 'latin1'))), 'ERR_MODEL_FILE', /memo 7/));

  test('a string of four gigabytes', () =>
    refused(openTorch(file(Buffer.concat([Buffer.from('X'), u32(0xffffffff)]))), 'ERR_MODEL_FILE', /truncated/));

  test('an integer of two gigabytes', () =>
    refused(
      openTorch(file(Buffer.concat([Buffer.from([0x8b]), u32(0x7fffffff)]))),
      'ERR_MODEL_FILE',
      /integer of at most 64/,
    ));

  test('an empty stack', () => refused(openTorch(file(Buffer.from('R'))), 'ERR_MODEL_FILE', /stack/));

  test('a tensor outside its storage', async () => {
    for (const lie of [
      p.tensor([2, 4], [4, 1], { elements: 6, offset: 0 }),
      p.tensor([2, 3], [3, 1], { elements: 6, offset: 1 }),
    ]) {
      await refused(openTorch(file(p.dict(p.text('w'), lie))), 'ERR_MODEL_FILE', /inside its storage/);
    }
  });

  test('a storage longer than its bytes', () =>
    refused(
      openTorch(file(p.dict(p.text('w'), p.tensor([8], [1], { elements: 8, offset: 0 })))),
      'ERR_MODEL_FILE',
      /32 bytes of storage/,
    ));

  test('an expanded tensor of a petabyte', async () => {
    const store = await openTorch(
      file(p.dict(p.text('w'), p.tensor([1 << 24, 1 << 24], [0, 0], { elements: 6, offset: 0 }))),
    );
    const tensor = store.tensors.get('w');
    assert.ok(tensor);
    await refused(tensor.read(0, 4), 'ERR_MODEL_FILE', /contiguous/);
    await store.close();
  });
});

describe('a malformed archive is refused', () => {
  const state = p.whole(p.dict(p.text('w'), plain));
  const refuses = (name: string, bytes: Buffer, text: RegExp): void =>
    void test(name, () => refused(openTorch(write(folder, 'archive.pt', bytes)), 'ERR_MODEL_FILE', text));

  refuses('an empty file', Buffer.alloc(0), /another format/);
  refuses('a bare pickle', state, /bare pickle/);
  refuses('a truncated archive', torchArchive(state, floats).subarray(0, 200), /truncated/);
  refuses('a compressed member', zip([{ name: 'a/data.pkl', bytes: state, method: 8 }]), /compressed/);
  refuses('a member beyond the file', zip([{ name: 'a/data.pkl', bytes: state, size: 1 << 30 }]), /file ends/);
  refuses(
    'members that overlap',
    zip([
      { name: 'a/data.pkl', bytes: state },
      { name: 'a/data/0', bytes: floats, offset: 0 },
    ]),
    /overlaps/,
  );
  refuses(
    'two members of one name',
    zip([
      { name: 'a/x', bytes: floats },
      { name: 'a/x', bytes: floats },
    ]),
    /received two/,
  );
  refuses('no pickle', zip([{ name: 'a/x', bytes: floats }]), /data\.pkl/);
  refuses(
    'a TorchScript program',
    zip([
      { name: 'a/constants.pkl', bytes: state },
      { name: 'a/data.pkl', bytes: state },
    ]),
    /TorchScript/,
  );
  refuses('a storage that is missing', zip([{ name: 'a/data.pkl', bytes: state }]), /storage of w/);
  refuses(
    'big-endian tensors',
    zip([
      { name: 'a/data.pkl', bytes: state },
      { name: 'a/byteorder', bytes: Buffer.from('big') },
    ]),
    /little-endian/,
  );
});
