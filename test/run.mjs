// npm test [-- part-of-a-path ...] and npm run test:gpu: compiles dist/, then runs the test files with node's own runner.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const testFolder = dirname(fileURLToPath(import.meta.url));
const root = dirname(testFolder);

const [gpu, filters] = process.argv[2] === '--gpu' ? [true, process.argv.slice(3)] : [false, process.argv.slice(2)];

/** Tests of the graphics card are a run of their own: a machine without one has nothing to say about them. */
function testFiles() {
  const files = readdirSync(testFolder, { recursive: true })
    .filter((name) => name.endsWith('.test.ts') && name.startsWith('gpu/') === gpu)
    .filter((name) => filters.length === 0 || filters.some((filter) => `test/${name}`.includes(filter)));
  return files.sort().map((name) => relative(root, join(testFolder, name)));
}

function node(args) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
}

/** Engines bring threads of their own, so more test processes than cores only take turns. */
function concurrency() {
  return gpu ? 1 : Math.min(Math.max(availableParallelism(), 1), 6);
}

const compiled = node([require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
const files = testFiles();
if (compiled !== 0) {
  console.error('test: lib/ does not compile');
  process.exitCode = compiled;
} else if (files.length === 0) {
  console.error(`test: Expected test files for ${filters.join(', ') || 'this run'} but found none`);
  process.exitCode = 1;
} else {
  const flags = ['--test', `--test-concurrency=${concurrency()}`, '--test-timeout=900000'];
  process.exitCode = node(['--import', 'tsx', ...flags, '--test-reporter=./test/reporter.mjs', ...files]);
}
