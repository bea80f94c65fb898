// Finds the test files and hands them to node's own runner: for run.mjs and sanitize.mjs.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const testFolder = dirname(fileURLToPath(import.meta.url));
export const root = dirname(testFolder);

/** Tests of the graphics card are a run of their own: a machine without one has nothing to say about them. */
export function findTests({ gpu, filters }) {
  const names = readdirSync(testFolder, { recursive: true })
    .filter((name) => name.endsWith('.test.ts') && name.startsWith('gpu/') === gpu)
    .filter((name) => filters.length === 0 || filters.some((filter) => `test/${name}`.includes(filter)));
  return names.sort().map((name) => relative(root, join(testFolder, name)));
}

/** @returns the exit status */
export function node(args, env = {}) {
  return (
    spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1
  );
}

/** Engines bring threads of their own, so more test processes than cores only take turns. */
function mostAtOnce() {
  return Math.min(Math.max(availableParallelism(), 1), 6);
}

/** Ends with the line "N passed, N failed, N skipped". @returns the exit status */
export function runTests(files, { concurrency = mostAtOnce(), env = {} } = {}) {
  const flags = ['--test', `--test-concurrency=${concurrency}`, '--test-timeout=900000'];
  return node(['--import', 'tsx', ...flags, '--test-reporter=./test/reporter.mjs', ...files], env);
}
