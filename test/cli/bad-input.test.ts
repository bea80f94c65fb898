import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { expectRefusal, HEADER, run, submissionOf, temporaryFolder } from './program';

const root = temporaryFolder();
after(() => fs.rmSync(root, { recursive: true }));
let cwd = root;
beforeEach(() => {
  cwd = fs.mkdtempSync(path.join(root, 'case-'));
  fs.writeFileSync(path.join(cwd, 'out.csv'), 'of yesterday');
});

const ROW = '1,"[""p""]","[""a""]","[""b""]"\n';

/** Nothing was written: the file of yesterday stands, and nothing stands beside it. */
function expectUntouched(): void {
  assert.equal(fs.readFileSync(path.join(cwd, 'out.csv'), 'utf8'), 'of yesterday');
  const others = fs.readdirSync(cwd).filter((name) => name !== 'out.csv' && name !== 'pairs.csv');
  assert.deepEqual(others, []);
}

const BAD: readonly (readonly [string, string | Buffer, RegExp])[] = [
  ['a missing column', 'id,prompt,response_a\n1,p,a\n', /response_b but received id, prompt.*\[ERR_INPUT_COLUMN\]/],
  ['a duplicate header', `id,prompt,prompt,response_a,response_b\n`, /'prompt' twice \[ERR_INPUT_COLUMN\]/],
  ['a duplicate id', HEADER + ROW + ROW, /Row 2 \(id 1\), column id: .*'1' in row 1 too \[ERR_INPUT_ID\]/],
  ['an empty id', `${HEADER},p,a,b\n`, /Row 1, column id: .*\[ERR_INPUT_ID\]/],
  ['no rows', HEADER, /at least one row .*\[ERR_INPUT_EMPTY\]/],
  ['no header', '', /Expected a header .*\[ERR_INPUT_EMPTY\]/],
  ['an unclosed quote', `${HEADER}${ROW}2,"p,a,b\n`, /Row 2, column prompt: .*closing quote.*\[ERR_INPUT_CSV\]/],
  ['a wrong column count', `${HEADER}${ROW}2,p,a\n`, /Row 2: Expected 4 columns but received 3 \[ERR_INPUT_CSV\]/],
  ['invalid UTF-8', Buffer.from(`${HEADER}1,caf\xe9,a,b\n`, 'latin1'), /Row 1: .*0xe9.*\[ERR_INPUT_ENCODING\]/],
  ['UTF-16', Buffer.from(`\ufeff${HEADER}${ROW}`, 'utf16le'), /UTF-16.*\[ERR_INPUT_ENCODING\]/],
  ['a NUL byte', `${HEADER}${ROW}2,p\0,a,b\n`, /Row 2: .*NUL.*\[ERR_INPUT_ENCODING\]/],
  [
    'a malformed list',
    `${HEADER}${ROW}2,"[""p""]","[""a""]","[""b"" oops]"\n`,
    /pairs\.csv: Row 2 \(id 2\), column response_b: Expected , or \] at offset 5 .*"oops\]" \[ERR_INPUT_CELL\]/,
  ],
  ['a value that is no string', `${HEADER}1,"[true]","[""a""]","[""b""]"\n`, /column prompt: .*\[ERR_INPUT_CELL\]/],
];

for (const [what, content, text] of BAD) {
  test(`${what} is refused by name, with exit code 3 and nothing written`, async () => {
    fs.writeFileSync(path.join(cwd, 'pairs.csv'), content);
    const result = await run(['predict', '-i', 'pairs.csv', '-o', 'out.csv'], { cwd });
    expectRefusal(result, 3, text);
    assert(result.stderr.includes('pairs.csv'), result.stderr);
    expectUntouched();
  });
}

test('an input that is missing, and one that is a folder, are refused', async () => {
  expectRefusal(await run(['predict', '-i', 'absent.csv', '-o', 'out.csv'], { cwd }), 3, /ENOENT.*\[ERR_INPUT_FILE\]/);
  expectRefusal(await run(['predict', '-i', '.', '-o', 'out.csv'], { cwd }), 3, /EISDIR.*\[ERR_INPUT_FILE\]/);
  expectUntouched();
});

test('an input that may not be read is refused', async (context) => {
  if (process.getuid?.() === 0) return context.skip('root reads everything');
  const file = path.join(cwd, 'pairs.csv');
  fs.writeFileSync(file, HEADER + ROW, { mode: 0 });
  expectRefusal(await run(['predict', '-i', file], { cwd }), 3, /EACCES.*\[ERR_INPUT_FILE\]/);
});

test('rows that are malformed without exception leave nothing to write under --on-bad-row skip', async () => {
  fs.writeFileSync(path.join(cwd, 'pairs.csv'), `${HEADER}1,oops,a,b\n2,oops,a,b\n`);
  const args = ['predict', '-i', 'pairs.csv', '-o', 'out.csv', '--on-bad-row', 'skip', '--quiet'];
  expectRefusal(await run(args, { cwd }), 3, /received 2 malformed ones \[ERR_INPUT_EMPTY\]/);
  expectUntouched();
});

const FINE: readonly (readonly [string, string])[] = [
  ['a byte order mark', `\ufeff${HEADER}${ROW}`],
  ['CRLF line ends', `${HEADER}${ROW}`.replaceAll('\n', '\r\n')],
  ['a cell of 10 MB', `${HEADER}1,"[""${'long text '.repeat(1024 * 1024)}""]","[""a""]","[""b""]"\n`],
];

for (const [what, content] of FINE) {
  test(`${what} is no fault`, async () => {
    fs.writeFileSync(path.join(cwd, 'pairs.csv'), content);
    const result = await run(['predict', '-i', 'pairs.csv', '-o', '-', '--quiet'], { cwd });
    assert.equal(submissionOf(result.stdout).length, 1, result.stderr);
  });
}
