import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { TYPE_CONSUMERS } from './consumers';
import { ROOT, bareEnvironment, installPackage, run, type Outcome, type Stage } from './staging';

/** What both consumers do; the second call must not compile, so the types are real ones. */
const BODY = `
async function main(): Promise<void> {
  const answer: Preference = await scorePair({ prompt: 'Hi', responseA: ['Hello!'], responseB: 'No.' });
  const sum: number = answer.winnerModelA + answer.winnerModelB + answer.winnerTie;
  // @ts-expect-error a prompt is no number
  const refused: unknown = await scorePair({ prompt: 1, responseA: '', responseB: '' }).catch((error: unknown) => error);
  const code = refused instanceof PairscoreError ? refused.code : 'none';
  process.stdout.write(JSON.stringify({ answer, sum, code }));
}
void main();
`;

const CONSUMERS = {
  mts: `import { PairscoreError, scorePair, type Preference } from 'pairscore';\n${BODY}`,
  cts: `import pairscore = require('pairscore');
const { PairscoreError, scorePair } = pairscore;
type Preference = pairscore.Preference;
${BODY}`,
} as const;

const Answer = z.object({
  answer: z.object({ winnerModelA: z.number(), winnerModelB: z.number(), winnerTie: z.number() }),
  sum: z.number(),
  code: z.string(),
});

const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

/** What a user may see of the package's insides. */
const PUBLIC_TYPES = [
  'compute',
  'default-scorer',
  'errors',
  'index',
  'outcome',
  'pair',
  'scorer',
  'settings',
  'signal',
];

/** A declaration file and all that it imports, by their names in dist/. */
function declarationGraph(dist: string, name: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(name)) return found;
  found.add(name);
  const text = readFileSync(join(dist, `${name}.d.ts`), 'utf8');
  for (const [, target = ''] of text.matchAll(/(?:from|import\(|require\()\s*['"]([^'"]+)['"]/g)) {
    assert.ok(target.startsWith('.'), `${name}.d.ts imports ${target}: the package's types stand alone`);
    declarationGraph(dist, posix.join(posix.dirname(name), target), found);
  }
  return found;
}

describe('the packed tarball, installed in an empty folder with nothing but node and npm on PATH', () => {
  let stage: Stage;

  before(() => {
    stage = installPackage();
  });
  after(() => rmSync(stage.folder, { recursive: true, force: true }));

  const inConsumer = (program: string, ...args: readonly string[]): Outcome =>
    run(program, args, { cwd: stage.consumer, env: bareEnvironment(stage.folder) });

  test('has no compiler, no cmake and no git around it', () => {
    for (const program of ['g++', 'cc', 'cmake', 'make', 'ninja', 'git', 'python3']) {
      assert.throws(() => inConsumer(program, '--version'), { code: 'ENOENT' });
    }
  });

  test('takes its binary from prebuilds and builds nothing', (t) => {
    t.diagnostic(`the binary is ${stage.binary === 'prebuilt' ? "npm run prebuild's" : "this machine's own build"}`);
    assert.match(stage.installOutput, /pairscore: using prebuilds\//);
    assert.doesNotMatch(stage.installOutput, /building/);
  });

  test('holds what predicts and what builds, the notices, and no tests, training scripts or other weights', () => {
    for (const name of [
      'LICENSE',
      'THIRD_PARTY_NOTICES',
      'README.md',
      'CMakeLists.txt',
      'binding.gyp',
      'dist/index.js',
    ]) {
      assert.ok(stage.packed.includes(name), name);
    }
    const rooms = /^(dist|lib|native|cmake|prebuilds|models)\/|^[^/]+$/;
    assert.deepEqual(
      stage.packed.filter((name) => !rooms.test(name) || /\.(py|test\.\w+)$|\/make\//.test(name)),
      [],
    );
    assert.ok(stage.tarballBytes < 10e6, `${stage.tarballBytes} bytes`);
  });

  test('names no folder of the machine that built it', (t) => {
    if (stage.binary === 'local') {
      t.skip('no prebuilt binary of these sources in the tree: npm run prebuild makes one');
      return;
    }
    const binary = stage.packed.find((name) => name.endsWith('.node')) ?? '';
    const bytes = readFileSync(join(stage.consumer, 'node_modules', 'pairscore', binary));
    assert.equal(bytes.includes(`${ROOT}/`), false);
  });

  for (const kind of ['mts', 'cts'] as const) {
    const word = kind === 'mts' ? 'import' : 'require';
    test(`gives a typed scorePair to ${word}`, () => {
      writeFileSync(join(stage.consumer, `consumer.${kind}`), CONSUMERS[kind]);
      const flags = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023,esnext.disposable'];
      const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules', '@types'), '--ignoreConfig'];
      const compiled = inConsumer('node', TSC, ...flags, ...types, `consumer.${kind}`);
      assert.equal(compiled.status, 0, compiled.stdout);
      const ran = inConsumer('node', `consumer.${kind.replace('ts', 'js')}`);
      assert.equal(ran.status, 0, ran.stderr);
      const { answer, sum, code } = Answer.parse(JSON.parse(ran.stdout));
      assert.ok(Math.abs(sum - 1) < 1e-12 && answer.winnerModelA > 0);
      assert.equal(code, 'ERR_USAGE');
    });
  }

  for (const { name, file, text, options } of TYPE_CONSUMERS) {
    test(`its types compile, libraries checked, for ${name}`, () => {
      const typeRoots = [join(ROOT, 'node_modules', '@types')];
      const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true };
      const compilerOptions = { target: 'es2022', types: [], typeRoots, ...strict, ...options };
      writeFileSync(join(stage.consumer, file), text);
      writeFileSync(join(stage.consumer, `${file}.json`), JSON.stringify({ compilerOptions, files: [file] }));
      const { status, stdout } = inConsumer('node', TSC, '-p', `${file}.json`);
      assert.equal(status, 0, stdout);
    });
  }

  test('its types reach no models, tokenizers, addon and no package', () => {
    const graph = declarationGraph(join(stage.consumer, 'node_modules', 'pairscore', 'dist'), 'index');
    assert.deepEqual([...graph].sort(), PUBLIC_TYPES);
  });

  test('predicts the demo with npx pairscore predict', () => {
    const { status, stderr } = inConsumer('npx', '--no-install', 'pairscore', 'predict', '-o', 'submission.csv');
    assert.equal(status, 0, stderr);
    const lines = readFileSync(join(stage.consumer, 'submission.csv'), 'utf8').trimEnd().split('\n');
    assert.equal(lines[0], 'id,winner_model_a,winner_model_b,winner_tie');
    assert.equal(lines.length, 201);
  });

  test('without a binary for the machine, names every missing tool and its Debian package', () => {
    const copy = join(stage.consumer, 'unbuilt');
    cpSync(join(stage.consumer, 'node_modules', 'pairscore'), copy, { recursive: true });
    rmSync(join(copy, 'prebuilds'), { recursive: true });
    const { status, stderr } = inConsumer('node', join(copy, 'cmake', 'install.mjs'));
    assert.equal(status, 1);
    assert.match(stderr, /C\+\+17 compiler: Debian package g\+\+/);
    assert.match(stderr, /apt-get install g\+\+ cmake git make/);
  });

  test('refuses a binary that was built from other sources', () => {
    const copy = join(stage.consumer, 'changed');
    cpSync(join(stage.consumer, 'node_modules', 'pairscore'), copy, { recursive: true });
    writeFileSync(join(copy, 'native', 'error.h'), '// changed\n', { flag: 'a' });
    const { status, stderr } = inConsumer('node', join(copy, 'cmake', 'install.mjs'));
    assert.equal(status, 1);
    assert.match(stderr, /built from other sources/);
  });
});
