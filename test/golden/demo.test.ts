/** The quantised demo, from cells to probabilities, against transformers on the dequantised weights. See make/demo.py. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { readPairs } from '../../lib/csv/read';
import type { Preference } from '../../lib/pair';
import { openScorer } from '../../lib/scorer';
import type { ScorerOptions } from '../../lib/settings';
import { readJson } from '../fixtures/read-json';
import { TOLERANCES } from './tolerances';

type Kind = 'plain' | 'tta' | 'spread' | 'short';
type Rows = readonly (readonly number[])[];
type Answers = Readonly<Record<Kind, Rows>>;
type Who = 'gemma' | 'llama' | 'ensemble';

interface Golden extends Readonly<Record<Who, Answers>> {
  readonly heldoutLogLoss: Readonly<Record<Who, number>>;
}

const golden = readJson<Golden>(join(__dirname, 'demo-answers.json'));
const models = join(__dirname, '..', '..', 'models');
const options: Readonly<Record<Kind, ScorerOptions>> = {
  plain: {},
  tta: { tta: true },
  spread: { spreadMaxLength: true, maxLength: 96 },
  short: { maxLength: 33 },
};

const compared: readonly (readonly [Who, readonly Kind[]])[] = [
  ['gemma', ['plain', 'tta', 'spread', 'short']],
  ['llama', ['plain', 'tta', 'spread', 'short']],
  ['ensemble', ['plain', 'tta']],
];

const scratch = mkdtempSync(join(tmpdir(), 'pairscore-demo-'));
after(() => rmSync(scratch, { recursive: true }));

function ensembleFile(who: Who): string {
  if (who === 'ensemble') return join(models, 'ensemble.json');
  const path = join(scratch, `${who}.json`);
  const only = { path: join(models, 'demo', who), weight: 1, device: 'cpu' };
  writeFileSync(path, JSON.stringify({ models: [only] }));
  return path;
}

async function score(who: Who, kind: Kind, file: string): Promise<readonly Preference[]> {
  const { records } = await readPairs(join(models, 'demo', file));
  const scorer = await openScorer({ ...options[kind], ensemble: ensembleFile(who), device: 'cpu', threads: 1 });
  try {
    return (await scorer.scoreRecords(records)).scores.map(({ preference }) => preference);
  } finally {
    await scorer.close();
  }
}

function row({ winnerModelA, winnerModelB, winnerTie }: Preference): readonly number[] {
  return [winnerModelA, winnerModelB, winnerTie];
}

function differences(found: readonly Preference[], expected: Rows): readonly number[] {
  assert.equal(found.length, expected.length);
  return found.flatMap((preference, i) => row(preference).map((p, k) => Math.abs(p - (expected[i]?.[k] ?? NaN))));
}

/** Which of the three columns of a labelled file is 1, row by row. */
function readWinners(): readonly number[] {
  const lines = readFileSync(join(models, 'demo', 'heldout.csv'), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1);
  return lines.map((line) => line.split(',').slice(-3).indexOf('1'));
}

describe('the quantised demo', () => {
  for (const [who, kinds] of compared) {
    for (const kind of kinds) {
      it(`answers as transformers does on its dequantised weights: ${who}, ${kind}`, async (context: TestContext) => {
        const off = differences(await score(who, kind, 'test.csv'), golden[who][kind]);
        const largest = off.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a), 0);
        const mean = off.reduce((a, b) => a + b, 0) / off.length;
        context.diagnostic(`|Δp| at most ${largest.toFixed(4)}, ${mean.toFixed(5)} on average`);
        assert.ok(largest <= TOLERANCES.quantised.largest, `largest |Δp| ${largest}`);
        assert.ok(mean <= TOLERANCES.quantised.mean, `mean |Δp| ${mean}`);
      });
    }
  }

  it('knows the rule: its log loss on held-out rows is well under ln 3', async (context: TestContext) => {
    const winners = readWinners();
    const found = await score('ensemble', 'plain', 'heldout.csv');
    const losses = found.map((preference, i) => -Math.log(row(preference)[winners[i] ?? -1] ?? NaN));
    const loss = losses.reduce((a, b) => a + b, 0) / losses.length;
    context.diagnostic(`log loss ${loss.toFixed(4)}, transformers ${golden.heldoutLogLoss.ensemble.toFixed(4)}`);
    assert.ok(loss < 0.75, `log loss ${loss}`);
    assert.ok(Math.abs(loss - golden.heldoutLogLoss.ensemble) < 0.01, `log loss ${loss}`);
  });
});
