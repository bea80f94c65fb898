import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { csvOf, expectRefusal, run, temporaryFolder } from './program';

const NOBODY = 65534;
const root = temporaryFolder();
fs.chmodSync(root, 0o755);
after(() => fs.rmSync(root, { recursive: true }));
let cwd = root;
beforeEach(() => {
  cwd = fs.mkdtempSync(path.join(root, 'case-'));
});

const REFUSED: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['no subcommand', [], 2, /Usage: pairscore/],
  ['an unknown subcommand', ['guess'], 2, /unknown command 'guess'/],
  ['an unknown flag', ['predict', '--fast'], 2, /unknown option '--fast'/],
  ['an argument too many', ['predict', 'test.csv'], 2, /too many arguments/],
  ['a flag without its value', ['predict', '--input'], 2, /argument missing/],
  ['no number', ['predict', '--threads', 'many'], 2, /'many' is invalid\. Expected a whole number/],
  ['a number below one', ['predict', '--max-length', '0'], 2, /'0' is invalid/],
  ['a broken number', ['predict', '--batch-tokens', '1e3'], 2, /'1e3' is invalid/],
  ['an unknown tokenizer', ['predict', '--tokenizer', 'fast'], 2, /Allowed choices are native, hf/],
  ['an unknown policy', ['predict', '--on-bad-row', 'ignore'], 2, /Allowed choices are skip, fail, uniform/],
  ['a malformed device', ['predict', '--device', 'tpu'], 2, /'cpu', 'cuda:N' or 'auto' for device.*\[ERR_USAGE\]/],
  [
    'a device that is not there',
    ['predict', '--device', 'cuda:99'],
    5,
    /cuda:99 .*\[ERR_DEVICE_UNKNOWN\]|received cuda:99/,
  ],
  ['a user ensemble without rows', ['predict', '--ensemble', 'mine.json'], 2, /Expected --input FILE/],
  [
    'an ensemble that is missing',
    ['predict', '-i', 'in.csv', '--ensemble', 'absent.json'],
    2,
    /absent\.json.*\[ERR_CONFIG\]/,
  ],
  ['an empty output', ['predict', '-o', ''], 2, /\[ERR_USAGE\]/],
  [
    'the input as the output',
    ['predict', '-i', 'in.csv', '-o', './in.csv'],
    2,
    /another file than --input.*\[ERR_USAGE\]/,
  ],
  ['an output folder that is missing', ['predict', '-o', 'absent/out.csv'], 2, /ENOENT.*\[ERR_OUTPUT\]/],
  ['an output that is a folder', ['predict', '-o', '.'], 2, /a folder of that name \[ERR_OUTPUT\]/],
  ['an output below a file', ['predict', '-o', 'in.csv/out.csv'], 2, /ENOTDIR.*\[ERR_OUTPUT\]/],
];

for (const [what, args, exitCode, text] of REFUSED) {
  test(`${what} is refused with exit code ${exitCode}`, async () => {
    fs.writeFileSync(path.join(cwd, 'in.csv'), csvOf([['1', 'p', 'a', 'b']]));
    expectRefusal(await run(args, { cwd }), exitCode, text);
    assert.deepEqual(fs.readdirSync(cwd), ['in.csv']);
  });
}

test('a read-only folder is refused before the models are opened', async () => {
  fs.chmodSync(cwd, 0o555);
  const isRoot = process.getuid?.() === 0;
  const result = await run(['predict'], isRoot ? { cwd, uid: NOBODY } : { cwd });
  expectRefusal(result, 2, /EACCES.*\[ERR_OUTPUT\]/);
  assert.doesNotMatch(result.stderr, /scoring|opening/);
  assert.deepEqual(fs.readdirSync(cwd), []);
});

test('a device that is full is an output error', async (context) => {
  if (!fs.existsSync('/dev/full')) return context.skip('this system has no /dev/full');
  expectRefusal(await run(['predict', '-o', '/dev/full', '--quiet'], { cwd }), 2, /ENOSPC.*\[ERR_OUTPUT\]/);
});
