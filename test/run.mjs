// npm test [-- part-of-a-path ...] and npm run test:gpu: compiles dist/, then runs the test files.
import { createRequire } from 'node:module';
import { findTests, node, runTests } from './runner.mjs';

const require = createRequire(import.meta.url);
const gpu = process.argv[2] === '--gpu';
const filters = process.argv.slice(gpu ? 3 : 2);

const compiled = node([require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
const files = findTests({ gpu, filters });
if (compiled !== 0) {
  console.error('test: lib/ does not compile');
  process.exitCode = compiled;
} else if (files.length === 0) {
  console.error(`test: Expected test files for ${filters.join(', ') || 'this run'} but found none`);
  process.exitCode = 1;
} else {
  // What limits the CPU time of tokenizers has the machine for itself, after the others: they live in the caches.
  const alone = files.filter((name) => name.includes('golden/tokenizer'));
  const runs = [
    { some: files.filter((name) => !alone.includes(name)), options: gpu ? { concurrency: 1 } : {} },
    { some: alone, options: { concurrency: 1 } },
  ].filter(({ some }) => some.length > 0);
  process.exitCode = Math.max(...runs.map(({ some, options }) => runTests(some, options)));
}
