import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ceilingFor, type Ceiling } from '../../bench/ceiling';
import { outcomeOf } from '../../bench/cases/ceiling';
import { quantile } from '../../bench/cases/latency';
import { figuresOf } from '../../bench/cases/peers';
import type { Figure, FigureName } from '../../bench/figures';
import { parseLines, runForJson } from '../../bench/json-lines';
import { randomRows, rowLengths, sumOf } from '../../bench/lengths';
import { modesOf } from '../../bench/modes';
import { readOptions } from '../../bench/options';
import { cellText, joinReports, reportText, skippedReport, type Cell } from '../../bench/report';
import { GEMMA_9B } from '../../bench/synthetic/dimensions';
import { targetsTable } from '../../bench/targets';
import { csvOf, textRecords } from '../../bench/texts';
import { readManifest } from '../../lib/model/manifest';
import { factsOf } from '../fixtures/full-size';
import type { PlacedModel } from '../../lib/model/place-ensemble';

const GEMMA = factsOf(GEMMA_9B);

function ceiling(type: string, tokens: number, tokensPerSecond: number): Ceiling {
  return { device: 'cuda:0', architecture: 'gemma2', type, tokens, tokensPerSecond, teraflops: 1 };
}

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

describe('ceilings', () => {
  const all = [
    ceiling('f16', 8192, 42),
    ceiling('bf16', 8192, 44),
    ceiling('fp8 row', 8192, 90),
    ceiling('fp8 tensor', 8192, 75),
  ];
  const query = { device: 'cuda:0', architecture: 'gemma2', type: '16-bit' } as const;

  test('the fastest 16-bit type is the one quoted, and of fp8 the kind that the engine has', () => {
    assert.equal(ceilingFor(all, query), 44);
    assert.equal(ceilingFor(all, { ...query, type: 'f16' }), 42);
    assert.equal(ceilingFor(all, { ...query, type: 'fp8' }), 75);
  });

  test('none is quoted for another device or model', () => {
    assert.equal(ceilingFor(all, { ...query, device: 'cuda:1' }), undefined);
    assert.equal(ceilingFor(all, { ...query, architecture: 'llama' }), undefined);
    assert.equal(ceilingFor([], query), undefined);
  });

  test("the program's lines become tokens a second of the whole model", () => {
    const lines = parseLines(
      '{"type":"bf16","tokens":8192,"firstMs":5,"bestMs":4,"lastingMs":4.4,"teraflops":800}\n' +
        '{"type":"f16","tokens":8192,"firstMs":5,"bestMs":4.2,"lastingMs":4.6,"teraflops":760}\n{"copyBytesPerSecond":3e12}',
    );
    const { ceilings, report } = outcomeOf(
      { lines, failure: undefined },
      { name: 'g', device: 'cuda:0', facts: GEMMA },
    );
    assert.equal(Math.round(ceilings[0]?.tokensPerSecond ?? 0), Math.round(8192 / (0.004 * 42)));
    assert.equal(report.tables[0]?.rows.length, 3);
    assert.deepEqual(
      report.figures.map(({ name, how }) => [name, how]),
      [
        ['ceiling 16-bit', 'bf16'],
        ['ceiling f16', 'f16'],
      ],
    );
  });

  test('a type that the chip lacks is skipped with its reason', () => {
    const lines = [{ type: 'fp8 row', tokens: 8192, skipped: 'no algorithm' }];
    const { ceilings, report } = outcomeOf(
      { lines, failure: undefined },
      { name: 'g', device: 'cuda:0', facts: GEMMA },
    );
    assert.deepEqual(ceilings, []);
    assert.match(report.skipped.join(), /fp8 row, 8192 tokens: no algorithm/);
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

describe('targets', () => {
  const figure = (name: FigureName, value: number): Figure => {
    return { name, model: 'g', device: 'cuda:0', value, how: 'how' };
  };
  const subjects = [{ name: 'g', architecture: 'gemma2' }];
  const resultsOf = (figures: readonly Figure[]): readonly (readonly Cell[])[] =>
    targetsTable(figures, subjects, 'cuda:0').rows.map((row) => [row.at(-3) ?? '', row.at(-2) ?? '', row.at(-1) ?? '']);

  test('shares and ratios stand beside what was asked, met or not', () => {
    const figures = [
      ...[figure('usual', 39_500), figure('ceiling 16-bit', 44_000), figure('transformers', 26_000)],
      ...[figure('transformers', 24_000), figure('open and first batch', 3.25)],
    ];
    assert.deepEqual(resultsOf(figures), [
      ['89.8 %', '90.0 %', 'no'],
      ['1.52 x', '1.60 x', 'no'],
      ['3.3', '10.0', 'yes'],
    ]);
    assert.deepEqual(resultsOf([figure('usual', 40_000), figure('llama.cpp', 9000)]), [['4.44 x', '4.00 x', 'yes']]);
  });

  test('f16 stands beside what others reach in f16', () => {
    const figures = [
      ...[figure('f16', 37_000), figure('ceiling f16', 41_000), figure('ceiling 16-bit', 43_000)],
      ...[figure('f16 fixed shape', 38_000), figure('torch.compile f16', 32_000), figure('torch.compile', 33_000)],
    ];
    assert.deepEqual(resultsOf(figures), [
      ['90.2 %', '90.0 %', 'yes'],
      ['1.19 x', '1.15 x', 'yes'],
    ]);
  });

  test('without both figures of a row there is no row, and another device has none', () => {
    assert.deepEqual(resultsOf([figure('usual', 1), figure('fp8', 1)]), []);
    assert.deepEqual(targetsTable([figure('usual', 1), figure('transformers', 1)], subjects, 'cuda:1').rows, []);
  });

  test("peers' modes stand for what they measure", () => {
    assert.deepEqual(figuresOf('transformers', 'bfloat16 sdpa, merged, batch 8'), ['transformers']);
    assert.deepEqual(figuresOf('transformers', 'bfloat16 sdpa, PEFT LoRA, batch 8'), []);
    assert.deepEqual(figuresOf('llama.cpp', 'embedding, ubatch 512'), ['llama.cpp', 'llama.cpp embedding']);
    assert.deepEqual(figuresOf('llama.cpp', 'streams, ubatch 5632'), ['llama.cpp']);
    assert.deepEqual(figuresOf('torch.compile', 'bf16 sdpa, merged, fixed 24 x 704, 60 s to compile'), [
      'torch.compile',
    ]);
    assert.deepEqual(figuresOf('torch.compile', 'f16 sdpa, merged, fixed 24 x 704, 60 s to compile'), [
      'torch.compile f16',
    ]);
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
