import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readEnsemble } from '../../../lib/model/ensemble';
import { makeModelFolder, temporaryFolder } from './folder';

const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  ['no models', { models: [] }, /for models but received \[\]/],
  ['no list', {}, /for models but received nothing/],
  ['a list instead of an object', [], /an object for the file/],
  ['no path', { models: [{ weight: 1, device: 'cpu' }] }, /models\[0\]\.path/],
  ['no weight', { models: [{ path: 'a', device: 'cpu' }] }, /models\[0\]\.weight/],
  ['no device', { models: [{ path: 'a', weight: 1 }] }, /models\[0\]\.device/],
  ['a negative weight', { models: [{ path: 'a', weight: -1, device: 'cpu' }] }, /models\[0\]\.weight but received -1/],
  ['weights that are all zero', { models: [{ path: 'a', weight: 0, device: 'cpu' }] }, /a weight above 0/],
  [
    'weights whose sum is not finite',
    { models: [1, 2].map(() => ({ path: 'a', weight: 1e308, device: 'cpu' })) },
    /a finite sum/,
  ],
  ['an unknown device', { models: [{ path: 'a', weight: 1, device: 'gpu' }] }, /"cuda:N".*models\[0\]\.device.*"gpu"/],
  ['a device number that is none', { models: [{ path: 'a', weight: 1, device: 'cuda:x' }] }, /models\[0\]\.device/],
  ['an empty list of devices', { models: [{ path: 'a', weight: 1, device: [] }] }, /models\[0\]\.device/],
  ['an unknown key', { models: [{ path: 'a', weight: 1, device: 'cpu', wieght: 2 }] }, /'wieght'/],
];

for (const [name, content, message] of WRONG) {
  test(`${name}: ERR_CONFIG, naming the key`, async (context) => {
    const path = join(await temporaryFolder(context), 'ensemble.json');
    await writeFile(path, JSON.stringify(content));
    await assert.rejects(readEnsemble(path), { code: 'ERR_CONFIG', message });
  });
}

test('a weight that is not finite is no JSON and no weight', async (context) => {
  const path = join(await temporaryFolder(context), 'ensemble.json');
  await writeFile(path, '{"models": [{"path": "a", "weight": Infinity, "device": "cpu"}]}');
  await assert.rejects(readEnsemble(path), { code: 'ERR_CONFIG' });
  await writeFile(path, '{"models": [{"path": "a", "weight": 1e999, "device": "cpu"}]}');
  await assert.rejects(readEnsemble(path), { code: 'ERR_CONFIG', message: /weight/ });
});

test('a missing ensemble file is ERR_CONFIG, a missing model is ERR_MODEL_FILE', async (context) => {
  const folder = await temporaryFolder(context);
  const path = join(folder, 'ensemble.json');
  await assert.rejects(readEnsemble(path), { code: 'ERR_CONFIG' });
  await writeFile(path, JSON.stringify({ models: [{ path: 'nowhere', weight: 1, device: 'cpu' }] }));
  await assert.rejects(readEnsemble(path), { code: 'ERR_MODEL_FILE', message: /nowhere/ });
});

test('paths are relative to the file, weights are shares, devices are lists', async (context) => {
  const folder = await temporaryFolder(context);
  await makeModelFolder(join(folder, 'one'));
  await makeModelFolder(join(folder, 'two'), { name: 'second' });
  await mkdir(join(folder, 'settings'));
  const path = join(folder, 'settings', 'ensemble.json');
  const models = [
    { path: '../one', weight: 3, device: 'auto' },
    { path: join(folder, 'two'), weight: 1, device: ['cuda:0', 'cpu'] },
  ];
  await writeFile(path, JSON.stringify({ models }));
  const ensemble = await readEnsemble(path);
  assert.deepEqual(
    ensemble.models.map(({ spec, weight, devices }) => [spec.name, weight, devices]),
    [
      ['small', 0.75, ['auto']],
      ['second', 0.25, ['cuda:0', 'cpu']],
    ],
  );
});

test('a model of weight 0 is left out: nothing of it is read', async (context) => {
  const folder = await temporaryFolder(context);
  await makeModelFolder(join(folder, 'one'));
  const path = join(folder, 'ensemble.json');
  const models = [
    { path: 'nowhere', weight: 0, device: 'cpu' },
    { path: 'one', weight: 2, device: 'cpu' },
  ];
  await writeFile(path, JSON.stringify({ models }));
  const ensemble = await readEnsemble(path);
  assert.deepEqual(
    ensemble.models.map(({ spec, weight }) => [spec.name, weight]),
    [['small', 1]],
  );
  assert.deepEqual(ensemble.leftOut, [join(folder, 'nowhere')]);
});
