import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { csvOf, DEMO_ROWS, HEADER, ROOT, run, submissionOf, temporaryFolder } from './program';

const root = temporaryFolder();
after(() => fs.rmSync(root, { recursive: true }));
let cwd = root;
let input = root;
let output = root;
beforeEach(() => {
  cwd = fs.mkdtempSync(path.join(root, 'case-'));
  input = path.join(cwd, 'pairs.csv');
  output = path.join(cwd, 'out.csv');
});

const PAIRS = csvOf([
  ['7', 'Which is warmer?', 'The sun.', 'The moon, of course.'],
  ['x-1', 'Say hello', 'Hello! How are you today?', 'no'],
  ['3', 'Count', '1 2 3', '1 2 3'],
]);

function object(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  assert(typeof value === 'object' && value !== null);
  return Object.fromEntries(Object.entries(value));
}

test('without arguments the demo is scored into ./submission.csv, and its path and a summary are told', async () => {
  const result = await run(['predict'], { cwd });
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stdout, '');
  const written = path.join(cwd, 'submission.csv');
  const source: unknown[] = parse(fs.readFileSync(DEMO_ROWS), { from: 2 });
  const rows = submissionOf(fs.readFileSync(written, 'utf8'));
  assert.equal(rows.length, 200);
  assert.deepEqual(
    rows.map(({ id }) => id),
    source.map((row) => (Array.isArray(row) ? String(row[0]) : '')),
  );
  assert.match(result.stderr, /scoring 200\/200 rows/);
  assert(result.stderr.includes(`200 rows written to ${fs.realpathSync(cwd)}/submission.csv`), result.stderr);
  assert.match(result.stderr, /gemma2 .* on cpu, weight 0\.500, adapter of \d+ LoRA pairs \(0 unmatched\)/);
});

test('rows keep the order of the input, and both replies of a pair of equals weigh alike under --tta', async () => {
  fs.writeFileSync(input, PAIRS);
  const result = await run(['predict', '--input', input, '-o', output, '--tta'], { cwd });
  assert.equal(result.code, 0, result.stderr);
  const rows = submissionOf(fs.readFileSync(output, 'utf8'));
  assert.deepEqual(
    rows.map(({ id }) => id),
    ['7', 'x-1', '3'],
  );
  assert(Math.abs((rows[2]?.a ?? 0) - (rows[2]?.b ?? 1)) < 1e-6);
});

test('under --tta a swapped file gives swapped answers', async () => {
  const swap = (text: string): string => text.replace('response_a,response_b', 'response_b,response_a');
  fs.writeFileSync(input, PAIRS);
  const straight = await run(['predict', '-i', input, '-o', '-', '--tta', '--quiet'], { cwd });
  fs.writeFileSync(input, swap(PAIRS));
  const swapped = await run(['predict', '-i', input, '-o', '-', '--tta', '--quiet'], { cwd });
  const [first, second] = [submissionOf(straight.stdout), submissionOf(swapped.stdout)];
  for (const [index, { a, b }] of first.entries()) {
    assert(Math.abs(a - (second[index]?.b ?? 0)) < 1e-6 && Math.abs(b - (second[index]?.a ?? 0)) < 1e-6);
  }
});

test('-o - writes rows and nothing else to standard output, --quiet nothing to standard error', async () => {
  fs.writeFileSync(input, PAIRS);
  const result = await run(['predict', '-i', input, '-o', '-', '--quiet'], { cwd });
  assert.equal(result.code, 0);
  assert.equal(submissionOf(result.stdout).length, 3);
  assert.equal(result.stderr, '');
  assert.deepEqual(fs.readdirSync(cwd), ['pairs.csv']);
});

test('--json prints one summary on standard output', async () => {
  fs.writeFileSync(input, PAIRS);
  const result = await run(['predict', '-i', input, '-o', output, '--json'], { cwd });
  const summary = object(result.stdout);
  assert.equal(summary['rows'], 3);
  assert.equal(summary['written'], 3);
  assert.equal(summary['output'], fs.realpathSync(output));
  assert(Array.isArray(summary['models']) && summary['models'].length === 2);
  assert(Array.isArray(summary['badRows']) && summary['badRows'].length === 0);
});

test('--json beside -o - goes to standard error', async () => {
  fs.writeFileSync(input, PAIRS);
  const result = await run(['predict', '-i', input, '-o', '-', '--json', '--quiet'], { cwd });
  assert.equal(submissionOf(result.stdout).length, 3);
  assert.equal(object(result.stderr)['written'], 3);
});

test('--dry-run says what would run, and writes nothing', async () => {
  fs.writeFileSync(input, PAIRS);
  const result = await run(['predict', '-i', input, '-o', output, '--dry-run', '--json'], { cwd });
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stderr, /3 of 3 rows can be scored; nothing was written/);
  const summary = object(result.stdout);
  assert.equal(summary['scorable'], 3);
  assert(Array.isArray(summary['plan']) && summary['plan'].length === 2);
  assert.deepEqual(fs.readdirSync(cwd), ['pairs.csv']);
});

test('--dry-run finds a malformed cell', async () => {
  fs.writeFileSync(input, `${HEADER}1,"[""p""]",oops,"[""b""]"\n`);
  const result = await run(['predict', '-i', input, '-o', output, '--dry-run'], { cwd });
  assert.equal(result.code, 3);
  assert.match(result.stderr, /Row 1 \(id 1\), column response_a: .*ERR_INPUT_CELL/);
});

test('the flags that shape the text reach the models', async () => {
  const plan = async (...flags: readonly string[]): Promise<string> => {
    const result = await run(['predict', '-i', input, '--dry-run', '--json', '--quiet', ...flags], { cwd });
    assert.equal(result.code, 0, result.stderr);
    return JSON.stringify(object(result.stdout)['plan']);
  };
  const words = 'many words of a text that is cut '.repeat(20);
  fs.writeFileSync(input, csvOf([['1', words, `A. ${words}`, `B. ${words}`]]));
  const plain = await plan();
  assert.notEqual(await plan('--max-length', '64'), plain);
  assert.notEqual(await plan('--tta'), plain);
  assert.notEqual(await plan('--spread-max-length', '--max-length', '64'), await plan('--max-length', '64'));
  assert.equal(await plan('--device', 'cpu', '--threads', '1', '--tokenizer', 'hf'), plain);
});

test('null, empty and missing turns are scored', async () => {
  const cells = ['"[null]"', '"[""""]"', '"[]"', 'null', '"[""a"",null,""b""]"'];
  const rows = cells.map((cell, index) => `${index},"[""p""]",${cell},"[""b""]"\n`);
  fs.writeFileSync(input, HEADER + rows.join(''));
  const result = await run(['predict', '-i', input, '-o', '-', '--quiet'], { cwd });
  assert.equal(submissionOf(result.stdout).length, cells.length, result.stderr);
});

const ONE_BAD = `${PAIRS}4,"[""p""]","[""a""","[""b""]"\n`;

test('--on-bad-row skip leaves a malformed row out and names it', async () => {
  fs.writeFileSync(input, ONE_BAD);
  const result = await run(['predict', '-i', input, '-o', output, '--on-bad-row', 'skip'], { cwd });
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stderr, /1 malformed rows, left out:\n\s+Row 4 \(id 4\), column response_a: Expected , or \]/);
  const rows = submissionOf(fs.readFileSync(output, 'utf8'));
  assert.deepEqual(
    rows.map(({ id }) => id),
    ['7', 'x-1', '3'],
  );
});

test('--on-bad-row uniform answers a malformed row with a third each, in its place', async () => {
  fs.writeFileSync(input, ONE_BAD.replace(PAIRS.slice(HEADER.length), '') + PAIRS.slice(HEADER.length));
  const result = await run(['predict', '-i', input, '-o', '-', '--on-bad-row', 'uniform', '--quiet'], { cwd });
  const [first, ...rest] = submissionOf(result.stdout);
  assert.deepEqual(first, { id: '4', a: 1 / 3, b: 1 / 3, tie: 1 / 3 });
  assert.equal(rest.length, 3);
});

test('--help and --version answer on standard output', async () => {
  const help = await run(['predict', '--help'], { cwd });
  assert.equal(help.code, 0);
  for (const flag of ['--input', '--output', '--ensemble', '--tta', '--on-bad-row', '--dry-run']) {
    assert(help.stdout.includes(flag), flag);
  }
  const version = await run(['--version'], { cwd });
  assert.equal(version.code, 0);
  const manifest = object(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  assert.equal(version.stdout.trim(), manifest['version']);
});

test('doctor tells the build, the devices and what an ensemble holds', async () => {
  const result = await run(['doctor'], { cwd });
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /llama\.cpp .*\n[^]*device cpu: [^]*demo.* on cpu, weight/);
  const json = await run(['doctor', '--json'], { cwd });
  assert.equal(object(json.stdout)['node'], process.version);
});

test('models of weight 0 are named: in the summaries of predict, its dry run and doctor, for people and programs', async () => {
  fs.writeFileSync(input, PAIRS);
  const ensemble = path.join(cwd, 'ensemble.json');
  const models = [
    { path: path.join(ROOT, 'models', 'demo', 'gemma'), weight: 1, device: 'cpu' },
    { path: 'nowhere', weight: 0, device: 'cpu' },
  ];
  fs.writeFileSync(ensemble, JSON.stringify({ models }));
  const nowhere = path.join(cwd, 'nowhere');
  for (const args of [
    ['predict', '-i', input, '-o', output, '--ensemble', ensemble],
    ['predict', '-i', input, '-o', output, '--ensemble', ensemble, '--dry-run'],
    ['doctor', '--ensemble', ensemble],
  ]) {
    const { code, stdout, stderr } = await run(args, { cwd });
    assert.equal(code, 0, stderr);
    assert((stdout + stderr).includes(`left out, of weight 0: ${nowhere}\n`), stdout + stderr);
    const summary = object((await run([...args, '--json'], { cwd })).stdout);
    assert.deepEqual(summary['leftOut'], [nowhere]);
    assert(Array.isArray(summary['models']) && summary['models'].length === 1);
  }
  const whole = await run(['predict', '-i', input, '--dry-run', '--json', '--quiet'], { cwd });
  assert.deepEqual(object(whole.stdout)['leftOut'], []);
});
