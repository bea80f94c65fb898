import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { readPairs } from '../../../lib/csv/read';
import type { ErrorPlace } from '../../../lib/errors';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pairscore-read-'));
after(() => fs.rmSync(folder, { recursive: true }));
const file = path.join(folder, 'pairs.csv');
const HEADER = 'id,prompt,response_a,response_b\n';
const ROW = '7,"[""p""]","[""a""]","[""b""]"\n';

async function read(content: string | Buffer): ReturnType<typeof readPairs> {
  fs.writeFileSync(file, content);
  return readPairs(file);
}

/** Reading must fail with this code, this message and this place (beside the file). */
async function refused(content: string | Buffer, code: string, message: RegExp, place: ErrorPlace = {}): Promise<void> {
  await assert.rejects(read(content), (error: Error) => {
    assert('code' in error && 'place' in error, error.stack);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.deepEqual(error.place, { file, ...place });
    return true;
  });
}

test('a row becomes its id, its number and its cells as they stand there', async () => {
  const { records } = await read(`${HEADER}${ROW}x y,"a ""q"" b","line\nend",é🍍\n`);
  assert.deepEqual(records, [
    { id: '7', row: 1, cells: { prompt: '["p"]', responseA: '["a"]', responseB: '["b"]' } },
    { id: 'x y', row: 2, cells: { prompt: 'a "q" b', responseA: 'line\nend', responseB: 'é🍍' } },
  ]);
});

test('columns may stand in any order, with others between them', async () => {
  const { records } = await read('response_b,model_a,id,response_a,winner_tie,prompt\nb,gpt,1,a,0,p\n');
  assert.deepEqual(records, [{ id: '1', row: 1, cells: { prompt: 'p', responseA: 'a', responseB: 'b' } }]);
});

const SAME: readonly (readonly [string, string | Buffer])[] = [
  ['CRLF line ends', `${HEADER}${ROW}`.replaceAll('\n', '\r\n')],
  ['CR line ends', `${HEADER}${ROW}`.replaceAll('\n', '\r')],
  ['mixed line ends', `${HEADER.trimEnd()}\r\n${ROW}`],
  ['a byte order mark', `\ufeff${HEADER}${ROW}`],
  ['no line end behind the last row', `${HEADER}${ROW}`.trimEnd()],
  ['empty lines', `${HEADER}\n\n${ROW}\n\r\n`],
];

for (const [what, content] of SAME) {
  test(`a file with ${what} reads as one without`, async () => {
    const { records } = await read(content);
    assert.deepEqual(records, [
      { id: '7', row: 1, cells: { prompt: '["p"]', responseA: '["a"]', responseB: '["b"]' } },
    ]);
  });
}

test('a cell of 10 MB is read whole', async () => {
  const long = '🍍 "quoted", '.repeat((10 * 1024 * 1024) / 16);
  const { records } = await read(`${HEADER}1,"${long.replaceAll('"', '""')}",a,b\n`);
  assert.equal(records[0]?.cells.prompt, long);
});

test('characters and line ends cut by the reader in two are whole', async () => {
  for (const shift of [0, 1, 2, 3, 4]) {
    const filler = 'x'.repeat(64 * 1024 - HEADER.length - 8 + shift);
    const rows = `1,${filler},"🍍","é"\r\n2,p,a,b\r\n`;
    const { records } = await read(HEADER + rows);
    assert.deepEqual(
      records.map((record) => record.cells.responseA),
      ['🍍', 'a'],
    );
  }
});

test('a missing column is named, beside what was found', () =>
  refused('id,prompt,response_a\n1,p,a\n', 'ERR_INPUT_COLUMN', /response_b but received id, prompt, response_a$/, {
    column: 'response_b',
  }));

test('a file of another delimiter shows its header as the one column it is', () =>
  refused('id;prompt;response_a;response_b\n', 'ERR_INPUT_COLUMN', /but received id;prompt;response_a;response_b$/, {
    column: 'id',
  }));

test('a header with a column twice is refused', () =>
  refused('id,prompt,response_a,response_b,prompt\n1,p,a,b,q\n', 'ERR_INPUT_COLUMN', /'prompt' twice/, {
    column: 'prompt',
  }));

test('an id that stands twice is named with both rows', () =>
  refused(`${HEADER}1,p,a,b\n2,p,a,b\n1,p,a,b\n`, 'ERR_INPUT_ID', /^Row 3 \(id 1\), column id: .*'1' in row 1 too$/, {
    row: 3,
    column: 'id',
    id: '1',
  }));

test('an empty id is refused', () =>
  refused(`${HEADER}1,p,a,b\n,p,a,b\n`, 'ERR_INPUT_ID', /empty cell/, { row: 2, column: 'id' }));

test('an empty file and a file of a header alone are refused', async () => {
  await refused('', 'ERR_INPUT_EMPTY', /Expected a header/);
  await refused('\n\n', 'ERR_INPUT_EMPTY', /Expected a header/);
  await refused(HEADER, 'ERR_INPUT_EMPTY', /at least one row/);
});

test('an unclosed quote names the row and the column in which it opens', () =>
  refused(`${HEADER}1,p,a,b\n2,p,"a,b\n3,p,a,b\n`, 'ERR_INPUT_CSV', /closing quote .* end of the file/, {
    row: 2,
    column: 'response_a',
  }));

test('an unclosed quote in the header is refused', () =>
  refused('id,"prompt,response_a\n1,p,a\n', 'ERR_INPUT_CSV', /end of the file/));

test('text behind a closing quote, and a quote inside an unquoted cell, are refused', async () => {
  await refused(`${HEADER}1,"p"x,a,b\n`, 'ERR_INPUT_CSV', /behind a closing quote/, { row: 1, column: 'prompt' });
  await refused(`${HEADER}1,["p"],a,b\n`, 'ERR_INPUT_CSV', /in its middle/, { row: 1, column: 'prompt' });
});

test('a row with too few or too many columns is refused', async () => {
  await refused(`${HEADER}1,p,a,b\n2,p,a\n`, 'ERR_INPUT_CSV', /^Row 2: Expected 4 columns but received 3$/, { row: 2 });
  await refused(`${HEADER}1,p,a,b,c\n`, 'ERR_INPUT_CSV', /^Row 1: Expected 4 columns but received 5$/, { row: 1 });
});

test('bytes that are no UTF-8 name the row and the byte', async () => {
  const latin1 = Buffer.from(`${HEADER}1,p,a,b\n2,caf\xe9,a,b\n`, 'latin1');
  await refused(latin1, 'ERR_INPUT_ENCODING', new RegExp(`received the byte 0xe9 at byte ${latin1.indexOf(0xe9)}$`), {
    row: 2,
  });
  const surrogate = Buffer.concat([Buffer.from(`${HEADER}1,`), Buffer.from([0xed, 0xa0, 0xbd]), Buffer.from(',a,b\n')]);
  await refused(surrogate, 'ERR_INPUT_ENCODING', /the byte 0xed/, { row: 1 });
  const overlong = Buffer.concat([Buffer.from(`${HEADER}1,`), Buffer.from([0xc0, 0xaf])]);
  await refused(overlong, 'ERR_INPUT_ENCODING', /the byte 0xc0/, { row: 1 });
});

test('a file that ends within a character is refused', () =>
  refused(
    Buffer.concat([Buffer.from(`${HEADER}1,p,a,`), Buffer.from([0xf0, 0x9f, 0x8d])]),
    'ERR_INPUT_ENCODING',
    /half/,
    {
      row: 1,
    },
  ));

test('a broken byte far behind the first chunk names its row', async () => {
  const rows = Array.from({ length: 5000 }, (_, index) => `${index},"prompt é ${'x'.repeat(40)}",a,b\n`).join('');
  const content = Buffer.concat([Buffer.from(`${HEADER}${rows}last,`), Buffer.from([0xff]), Buffer.from(',a,b\n')]);
  await refused(content, 'ERR_INPUT_ENCODING', /0xff/, { row: 5001 });
});

test('UTF-16 is refused, with and without a byte order mark', async () => {
  const little = Buffer.from(`\ufeff${HEADER}`, 'utf16le');
  await refused(little, 'ERR_INPUT_ENCODING', /received UTF-16/);
  await refused(Buffer.from(little).swap16(), 'ERR_INPUT_ENCODING', /received UTF-16/);
  await refused(little.subarray(2), 'ERR_INPUT_ENCODING', /NUL byte \(is the file UTF-16\?\) at byte 1$/);
});

test('a NUL byte names its row', () =>
  refused(`${HEADER}1,p,a,b\n2,p\0,a,b\n`, 'ERR_INPUT_ENCODING', /a NUL byte/, { row: 2 }));

test('a path that is missing or a folder is refused', async () => {
  await assert.rejects(readPairs(path.join(folder, 'absent.csv')), { code: 'ERR_INPUT_FILE', message: /ENOENT/ });
  await assert.rejects(readPairs(folder), { code: 'ERR_INPUT_FILE', message: /EISDIR/ });
});

test('an abort ends the reading', async () => {
  fs.writeFileSync(file, HEADER + ROW);
  await assert.rejects(readPairs(file, AbortSignal.abort()), { code: 'ERR_ABORTED' });
});

test('rows by the ten thousand read at more than 10 MB/s, with the event loop free between chunks', async () => {
  const cell = `"[""${'some words of a reply, and a \\n '.repeat(30)}""]"`;
  const rows = Array.from({ length: 20_000 }, (_, index) => `${index},${cell},${cell},${cell}\n`);
  fs.writeFileSync(file, HEADER + rows.join(''));
  const megabytes = fs.statSync(file).size / 1e6;
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 1);
  const start = performance.now();
  const { records } = await readPairs(file);
  const seconds = (performance.now() - start) / 1000;
  clearInterval(ticking);
  assert.equal(records.length, 20_000);
  assert(megabytes / seconds > 10, `${(megabytes / seconds).toFixed(1)} MB/s`);
  assert(turns > 20, `the event loop turned ${turns} times`);
});
