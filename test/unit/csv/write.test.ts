import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { after, beforeEach, test } from 'node:test';
import { expectWritable, isSameFile, writeStream, writeWhole } from '../../../lib/csv/write';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'pairscore-write-'));
after(() => fs.rmSync(root, { recursive: true }));
let folder = root;
let target = root;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(root, 'case-'));
  target = path.join(folder, 'out.csv');
});

const OUTPUT_ERROR = { name: 'PairscoreError', code: 'ERR_OUTPUT' };

test('a file appears with all its pieces, and nothing beside it', async () => {
  await writeWhole(target, ['a\n', 'b\n']);
  assert.equal(fs.readFileSync(target, 'utf8'), 'a\nb\n');
  assert.deepEqual(fs.readdirSync(folder), ['out.csv']);
});

test('an earlier file is replaced and keeps its permissions', async () => {
  fs.writeFileSync(target, 'old');
  fs.chmodSync(target, 0o640);
  await writeWhole(target, ['new']);
  assert.equal(fs.readFileSync(target, 'utf8'), 'new');
  assert.equal(fs.statSync(target).mode & 0o777, 0o640);
});

test('a failure midway leaves the earlier file, and no temporary one', async () => {
  fs.writeFileSync(target, 'old');
  function* broken(): Generator<string> {
    yield 'half';
    throw new Error('broken source');
  }
  await assert.rejects(writeWhole(target, broken()), { ...OUTPUT_ERROR, message: /broken source/ });
  assert.equal(fs.readFileSync(target, 'utf8'), 'old');
  assert.deepEqual(fs.readdirSync(folder), ['out.csv']);
});

test('an abort midway leaves nothing', async () => {
  const controller = new AbortController();
  function* aborting(): Generator<string> {
    yield 'half';
    controller.abort();
    yield 'rest';
  }
  await assert.rejects(writeWhole(target, aborting(), controller.signal), { code: 'ERR_ABORTED' });
  assert.deepEqual(fs.readdirSync(folder), []);
});

test('a link stays a link, and its target is replaced', async () => {
  const real = path.join(folder, 'real.csv');
  fs.writeFileSync(real, 'old');
  fs.symlinkSync(real, target);
  await writeWhole(target, ['new']);
  assert(fs.lstatSync(target).isSymbolicLink());
  assert.equal(fs.readFileSync(real, 'utf8'), 'new');
});

test('a device is written to, never replaced', async () => {
  await writeWhole('/dev/null', ['a']);
  assert(fs.statSync('/dev/null').isCharacterDevice());
});

test('a folder that is missing, and a folder in the place of the file, are refused before any work', async () => {
  await assert.rejects(expectWritable(path.join(folder, 'absent', 'out.csv')), { ...OUTPUT_ERROR, message: /ENOENT/ });
  await assert.rejects(expectWritable(folder), { ...OUTPUT_ERROR, message: /a folder of that name/ });
  await assert.rejects(writeWhole(folder, ['a']), OUTPUT_ERROR);
  await expectWritable(target);
  await expectWritable('-');
});

test('a full device is an output error', async (context) => {
  if (!fs.existsSync('/dev/full')) return context.skip('this system has no /dev/full');
  await assert.rejects(writeWhole('/dev/full', ['a']), { ...OUTPUT_ERROR, message: /ENOSPC/ });
});

test('a slow reader slows the writer', async () => {
  let pending = 0;
  let most = 0;
  const slow = new Writable({
    write: (_chunk, _encoding, done) => {
      pending += 1;
      most = Math.max(most, pending);
      setTimeout(() => {
        pending -= 1;
        done();
      }, 1);
    },
  });
  function* pieces(): Generator<string> {
    for (let index = 0; index < 20; index += 1) {
      assert.equal(slow.writableLength, 0);
      yield 'x'.repeat(100_000);
    }
  }
  await writeStream(slow, pieces());
  assert.equal(most, 1);
});

test('a reader that goes away is an output error, no crash', async () => {
  const stream = new PassThrough({ highWaterMark: 1 });
  stream.once('data', () => stream.destroy(new Error('EPIPE: the reader is gone')));
  await assert.rejects(writeStream(stream, ['a', 'b', 'c', 'd']), { ...OUTPUT_ERROR, message: /reader is gone/ });
});

test('a process that exits midway leaves the earlier file, and no temporary one', () => {
  fs.writeFileSync(target, 'old');
  const module = path.join(__dirname, '..', '..', '..', 'lib', 'csv', 'write.ts');
  const script = `
    require('tsx/cjs');
    const fs = require('node:fs');
    function* pieces() { yield 'half'; console.log(fs.readdirSync(${JSON.stringify(folder)}).length); process.exit(3); }
    void require(${JSON.stringify(module)}).writeWhole(${JSON.stringify(target)}, pieces());`;
  const { status, stdout } = spawnSync(process.execPath, ['-e', script], { cwd: __dirname, encoding: 'utf8' });
  assert.deepEqual({ status, stdout }, { status: 3, stdout: '2\n' });
  assert.equal(fs.readFileSync(target, 'utf8'), 'old');
  assert.deepEqual(fs.readdirSync(folder), ['out.csv']);
});

test('one file is known by any of its names, and what is no file is never the same', async () => {
  const [link, other] = [path.join(folder, 'link.csv'), path.join(folder, 'other.csv')];
  for (const name of [target, other]) fs.writeFileSync(name, '');
  fs.symlinkSync(target, link);
  assert.equal(await isSameFile(target, link), true);
  assert.equal(await isSameFile(target, other), false);
  assert.equal(await isSameFile(target, path.join(folder, 'absent.csv')), false);
  assert.equal(await isSameFile('/dev/null', '/dev/null'), false);
});
