import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

const ROOT = join(__dirname, '..', '..');

const PAIR = `{ prompt: 'p', responseA: ['a', null], responseB: 'b' }`;

/** Uses what a user would, and one thing that is wrong: the types must say so. */
const USE = `
  const preference = await scorePair(${PAIR}, { signal: new AbortController().signal });
  const sum: number = preference.winnerModelA + preference.winnerModelB + preference.winnerTie;
  await using scorer = await openScorer({ tta: true, device: 'cpu' });
  for await (const { winnerTie } of scorer.scorePairs([${PAIR}])) console.log(winnerTie.toFixed(3), sum);
  // @ts-expect-error a number is no reply
  await scorePair({ prompt: 'p', responseA: 7, responseB: 'b' });
  try { await scorer.close(); } catch (error) { if (hasErrorCode(error) && error.code === 'ERR_CLOSED') throw error; }
`;

describe(
  'the package as its users load it',
  { skip: !existsSync(join(ROOT, 'dist')) && 'dist/ is not compiled' },
  () => {
    let folder: string;

    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'pairscore-user-'));
      mkdirSync(join(folder, 'node_modules'));
      symlinkSync(ROOT, join(folder, 'node_modules', 'pairscore'), 'dir');
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    const node = (name: string, text: string, ...flags: readonly string[]) => {
      writeFileSync(join(folder, name), text);
      const run = spawnSync(process.execPath, [...flags, name], { cwd: folder, encoding: 'utf8' });
      return { status: run.status, stdout: run.stdout, stderr: run.stderr };
    };

    it('require and import give the same names, and each the same object', () => {
      const outcome = node(
        'both.mjs',
        `import { createRequire } from 'node:module';
       import * as esm from 'pairscore';
       const cjs = createRequire(import.meta.url)('pairscore');
       const names = (door) => Object.keys(door).filter((name) => !['default', '__esModule', 'module.exports'].includes(name)).sort();
       console.log(names(esm).join() === names(cjs).join(), names(cjs).every((name) => esm[name] === cjs[name]), names(esm).includes('scorePair'));`,
      );
      assert.deepEqual(outcome, { status: 0, stdout: 'true true true\n', stderr: '' });
    });

    it('require scores a pair', () => {
      const outcome = node(
        'use.cjs',
        `require('pairscore').scorePair(${PAIR}).then(({ winnerTie }) => console.log(winnerTie > 0));`,
      );
      assert.deepEqual(outcome, { status: 0, stdout: 'true\n', stderr: '' });
    });

    it('import scores a pair', () => {
      const outcome = node(
        'use.mjs',
        `import { scorePair } from 'pairscore'; console.log((await scorePair(${PAIR})).winnerTie > 0);`,
      );
      assert.deepEqual(outcome, { status: 0, stdout: 'true\n', stderr: '' });
    });

    it('PAIRSCORE_ENSEMBLE names another ensemble, and a wrong one is told with its code', () => {
      const script = `require('pairscore').scorePair(${PAIR}).catch(({ code, message }) => console.log(code, message.includes('nowhere.json')));`;
      writeFileSync(join(folder, 'env.cjs'), script);
      const env = { ...process.env, PAIRSCORE_ENSEMBLE: 'nowhere.json' };
      const run = spawnSync(process.execPath, ['env.cjs'], { cwd: folder, encoding: 'utf8', env });
      assert.equal(run.stdout, 'ERR_CONFIG true\n');
    });

    for (const [name, imports, end] of [
      ['use.mts', `import { scorePair, openScorer, hasErrorCode } from 'pairscore';\n${USE}`, ''],
      [
        'use.cts',
        `import { scorePair, openScorer, hasErrorCode } from 'pairscore';\nasync function main() {${USE}}\n`,
        'void main();',
      ],
    ] as const) {
      it(`types hold for ${name}`, () => {
        writeFileSync(join(folder, name), imports + end);
        const types = join(ROOT, 'node_modules', '@types');
        const flags = [
          '--noEmit',
          '--strict',
          '--module',
          'node16',
          '--target',
          'es2022',
          '--lib',
          'es2023,esnext.disposable',
        ];
        const run = spawnSync(
          process.execPath,
          [require.resolve('typescript/bin/tsc'), ...flags, '--types', 'node', '--typeRoots', types, name],
          { cwd: folder, encoding: 'utf8' },
        );
        assert.equal(run.stdout, '');
        assert.equal(run.status, 0);
      });
    }
  },
);
