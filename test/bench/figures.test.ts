import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { quantile } from '../../bench/cases/latency';
import { runForJson } from '../../bench/json-lines';
import { randomRows, rowLengths, sumOf } from '../../bench/lengths';
import { modesOf } from '../../bench/modes';
import { readOptions } from '../../bench/options';
import { cellText, joinReports, reportText, skippedReport } from '../../bench/report';
import { csvOf, textRecords } from '../../bench/texts';
import { readManifest } from '../../lib/model/manifest';
import type { PlacedModel } from '../../lib/model/place-ensemble';

describe('lengths', () => {
  test('are those of the task: median near 600, four fifths below 1000, none above 2048', () => {
    const lengths = [...rowLengths(1600, 4096)].sort((a, b) => a - b);
    const median = lengths[800] ?? 0;
    assert.ok(median > 550 && median < 660, `median ${median}`);
    const below = lengths.filter((length) => length <= 999).length / lengths.length;
    assert.ok(Math.abs(below - 13 / 16) < 0.01, `${below} below 1000`);
    assert.ok((lengths.at(-1) ?? 0) <= 2048 && (lengths[0] ?? 0) >= 2);
  });

  test('are the same in every run, and cut at the longest sequence of a model', () => {
    assert.deepEqual(rowLengths(100, 512), rowLengths(100, 512));
    assert.deepEqual(rowLengths(37, 512), rowLengths(100, 512).slice(0, 37));
    assert.ok(rowLengths(100, 512).every((length) => length <= 512));
  });

  test('few rows have the mean of many', () => {
    const mean = (count: number): number => sumOf(rowLengths(count, 2048)) / count;
    assert.ok(Math.abs(mean(32) / mean(3200) - 1) < 0.1, `${mean(32)} against ${mean(3200)}`);
  });

  test('ids stay inside a vocabulary, however small', () => {
    for (const vocabulary of [2, 10, 1200, 256_000]) {
      const ids = randomRows([500, 1], vocabulary).flatMap((row) => [...row]);
      assert.ok(
        ids.every((id) => id >= 0 && id < vocabulary),
        `vocabulary ${vocabulary}`,
      );
    }
  });
});

describe('reports', () => {
  const table = { title: 't', columns: ['a', 'b'], rows: [['x', 1]] };

  test('tables of one title and the same columns become one', () => {
    const joined = joinReports([
      { tables: [table], skipped: [], figures: [] },
      { tables: [table], skipped: ['why'], figures: [] },
    ]);
    assert.equal(joined.tables.length, 1);
    assert.equal(joined.tables[0]?.rows.length, 2);
    assert.deepEqual(joined.skipped, ['why']);
  });

  test('Markdown and plain text show every cell, and what was skipped', () => {
    const report = { tables: [table], skipped: ['no GPU'], figures: [] };
    assert.equal(reportText(report, 'markdown'), '### t\n| a | b |\n| --- | --- |\n| x | 1 |\n\nskipped: no GPU\n');
    assert.match(reportText(report, 'plain'), /t\n {2}a {2}b\n {2}x {2}1\n/);
    assert.match(reportText(skippedReport('one', 'two'), 'plain'), /skipped: one\n\nskipped: two/);
  });

  test('figures have four digits, and none at all where nothing was measured', () => {
    assert.deepEqual([12345.6, 0.123456, 3, NaN, Infinity].map(cellText), ['12,346', '0.1235', '3', '-', '-']);
  });

  test('quantiles of few values are values', () => {
    assert.equal(quantile([3, 1, 2], 0.5), 2);
    assert.equal(quantile([1], 0.99), 1);
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });
});

describe('modes', () => {
  async function placedDemo(): Promise<PlacedModel> {
    const spec = await readManifest(join(__dirname, '..', '..', 'models', 'demo', 'gemma'));
    return { spec, weight: 1, devices: ['cuda:0'], gpuBatchTokens: 33_792, gpuWeights: 'resident', gpuMemory: null };
  }

  test('a GPU is measured in every mode, what a user gets first; told one, in that alone', async () => {
    const placed = await placedDemo();
    const all = modesOf(placed, 'cuda:0', readOptions([], true));
    assert.deepEqual(
      all.map(({ compute, weights }) => `${compute} ${weights}`),
      [...['auto auto', 'bf16 auto', 'f16 auto', 'auto streamed', 'fp8 auto']],
    );
    assert.ok(all.every(({ limits }) => limits.maxBatchTokens === 33_792));
    const told = modesOf(placed, 'cuda:0', readOptions(['--compute', 'fp8', '--batch-tokens', '4096,8192'], true));
    assert.deepEqual(
      told.map(({ compute, limits }) => [compute, limits.maxBatchTokens]),
      [
        ['fp8', 4096],
        ['fp8', 8192],
      ],
    );
  });

  test('a CPU has one mode, whatever GPUs are told', async () => {
    const placed = await placedDemo();
    const [mode, ...others] = modesOf(placed, 'cpu', readOptions(['--compute', 'bf16'], false));
    assert.equal(mode?.compute, 'auto');
    assert.deepEqual(others, []);
  });
});

describe('texts', () => {
  test('as CSV have a line a row and quotes doubled', () => {
    const csv = csvOf(textRecords(5, 1.3)).trim().split('\n');
    assert.equal(csv.length, 6);
    assert.match(csv[1] ?? '', /^100000,"\[""[a-z ]+""\]",/);
  });
});

describe('options', () => {
  test('unknown cases, flags and numbers are refused by name', () => {
    assert.throws(() => readOptions(['--cases', 'speed'], false), /received 'speed'/);
    assert.throws(() => readOptions(['--rows', '0'], false), /--rows but received '0'/);
    assert.throws(() => readOptions(['--rows', '12.5'], false), /--rows/);
    assert.throws(() => readOptions(['--fast'], false), /--fast/);
    assert.throws(() => readOptions(['--compute', 'bf16,int4'], false), /--compute but received 'int4'/);
  });

  test('lists are read, and rows are fewer without a GPU', () => {
    const options = readOptions(['--cases', 'models, latency', '--batch-tokens', '4096,8192'], true);
    assert.deepEqual(options.cases, ['models', 'latency']);
    assert.deepEqual(options.batchTokens, [4096, 8192]);
    assert.ok(options.rows > readOptions([], false).rows);
  });
});

describe('programs', () => {
  test('what a program printed before it failed counts, and its last word is the reason', async () => {
    const script =
      'console.log(JSON.stringify({ a: 1 })); console.log("{broken"); console.error("x\\nout of luck"); process.exit(3)';
    const printed = await runForJson({ file: process.execPath, args: ['-e', script], limitSeconds: 60 });
    assert.deepEqual(printed, { lines: [{ a: 1 }], failure: 'out of luck' });
  });

  test('a program that hangs is ended', async () => {
    const args = ['-e', 'console.log("{}"); setInterval(() => {}, 1000)'];
    const printed = await runForJson({ file: process.execPath, args, limitSeconds: 2 });
    assert.deepEqual(printed, { lines: [{}], failure: 'ended after 2 s' });
  });

  test('a program that does not exist is a failure, not a crash', async () => {
    const printed = await runForJson({ file: 'no-such-program-anywhere', args: [], limitSeconds: 5 });
    assert.match(printed.failure ?? '', /ENOENT/);
  });
});
