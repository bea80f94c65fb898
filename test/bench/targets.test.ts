import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ceilingFor, type Ceiling } from '../../bench/ceiling';
import { outcomeOf } from '../../bench/cases/ceiling';
import { figuresOf } from '../../bench/cases/peers';
import type { Figure, FigureName } from '../../bench/figures';
import { parseLines } from '../../bench/json-lines';
import type { Cell } from '../../bench/report';
import { GEMMA_9B } from '../../bench/synthetic/dimensions';
import { targetsTable } from '../../bench/targets';
import { factsOf } from '../fixtures/full-size';

const GEMMA = factsOf(GEMMA_9B);

function ceiling(type: string, tokens: number, tokensPerSecond: number): Ceiling {
  return { device: 'cuda:0', architecture: 'gemma2', type, tokens, tokensPerSecond, teraflops: 1 };
}

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
