// npm run check: types, lint and formatting, all of them even when one fails. Says what it skipped for want of a tool.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A file inside a package, whether or not the package exports it. */
function inPackage(name, path) {
  return join(dirname(require.resolve(`${name}/package.json`)), path);
}

function nativeFiles() {
  const names = readdirSync(join(root, 'native'), { recursive: true });
  return names.filter((name) => /\.(cc|h|cu|cuh)$/.test(name)).map((name) => join('native', name));
}

function present(...paths) {
  return paths.filter((path) => existsSync(join(root, path)));
}

const node = process.execPath;
const checks = [
  { name: 'tsc', command: [node, inPackage('typescript', 'bin/tsc'), '-p', 'tsconfig.json'] },
  { name: 'eslint', command: [node, inPackage('eslint', 'bin/eslint.js'), '--max-warnings=0', '.'] },
  {
    name: 'prettier',
    command: [node, inPackage('prettier', 'bin/prettier.cjs'), '--check', '--log-level=warn'].concat(
      ...present('lib', 'test', 'bench', 'cmake', 'package.json', 'eslint.config.mjs', 'tsconfig.json'),
    ),
  },
  {
    name: 'clang-format',
    command: ['clang-format', '--dry-run', '-Werror', '--ferror-limit=1', ...nativeFiles()],
    debianPackage: 'clang-format',
  },
];

/** @returns 'passed', 'failed' or 'skipped' */
function runCheck({ name, command, debianPackage }) {
  const { error, status } = spawnSync(command[0], command.slice(1), { cwd: root, stdio: 'inherit' });
  if (error?.code === 'ENOENT' && debianPackage) {
    console.log(`check: ${name} skipped: it is not installed (Debian package ${debianPackage})`);
    return 'skipped';
  }
  const outcome = status === 0 ? 'passed' : 'failed';
  console.log(`check: ${name} ${outcome}`);
  return outcome;
}

const outcomes = checks.map(runCheck);
const count = (wanted) => outcomes.filter((outcome) => outcome === wanted).length;
console.log(`check: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
process.exitCode = count('failed') > 0 ? 1 : 0;
