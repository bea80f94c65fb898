import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { Dispatcher, type ScoringEngine } from '../../lib/batches/dispatch';
import { nextTurn } from '../../lib/batches/gather';
import { readManifest } from '../../lib/model/manifest';
import type { ModelSpec } from '../../lib/model/spec';
import type { PairRecord } from '../../lib/pair';
import { RecordRun, planRecords, type RunSeats } from '../../lib/record-run';
import { cannotMeasureTurns, turnsOf } from '../fixtures/turns';

const ROWS = 400_000;
const DEMO = path.join(__dirname, '../../models/demo');

/** Room for the collector of garbage; one pass over all rows that orders, copies or answers them takes several times that. */
const LONGEST_TURN_MS = 120;

/** The logits of a row tell its length. Answers come in a later turn, as from a thread; nothing else takes time here. */
const engine: ScoringEngine = {
  async score(_, offsets) {
    await nextTurn();
    const lengths = [...offsets.slice(1)].map((end, row) => end - (offsets[row] ?? 0));
    return Float32Array.from(lengths.flatMap((length) => [Math.log(length), 0, 0]));
  },
};

const lengthOf = (row: number): number => 2 + ((row * 7919) % 61);
const ALL_TOKENS = Array.from({ length: 63 }, (_, length) => new Int32Array(length));

function seatsFor(specs: readonly ModelSpec[]): RunSeats {
  const limits = { maxBatchTokens: 32768, maxBatchSequences: 512 };
  const seats = specs.map((_, model) => {
    const padding = model === 0 ? ('counted' as const) : ('none' as const);
    return { model, limits: { ...limits, padding }, engine };
  });
  return {
    members: specs.map((spec) => {
      let row = 0;
      const tokenize = async (parts: readonly unknown[]): Promise<readonly Int32Array[]> => {
        await nextTurn();
        return parts.map(() => ALL_TOKENS[lengthOf(row++)] ?? new Int32Array(1));
      };
      return { spec, tokenizer: { tokenize, close: async () => undefined } };
    }),
    voters: specs.map(({ name, labels }) => ({ name, labels, weight: 1 })),
    dispatcher: new Dispatcher([{ device: 'cpu', seats }]),
    orientations: ['asGiven'],
  };
}

function recordsOf(count: number): readonly PairRecord[] {
  const cells = { prompt: '["p"]', responseA: '["a"]', responseB: '["b"]' };
  const bad = { ...cells, prompt: '[broken' };
  return Array.from({ length: count }, (_, i) => ({ id: `${i}`, row: i + 1, cells: i % 1000 === 999 ? bad : cells }));
}

const skip = cannotMeasureTurns();

test('no turn of a run over very many rows is long, and each row gets its own answer', { skip }, async () => {
  const specs = [await readManifest(path.join(DEMO, 'gemma')), await readManifest(path.join(DEMO, 'llama'))];
  const records = recordsOf(ROWS);
  const run = new RecordRun(seatsFor(specs), { onBadRow: 'skip' });
  const scored = run.score(records);
  const turns = await turnsOf(() => scored);
  assert.ok(turns.longestMs < LONGEST_TURN_MS, JSON.stringify(turns));
  const result = await scored;
  assert.equal(result.scores.length, ROWS - ROWS / 1000);
  assert.equal(result.badRows.length, ROWS / 1000);
  for (const [good, { row, preference }] of result.scores.entries()) {
    assert.equal(row, good + Math.floor(good / 999) + 1);
    const length = lengthOf(good);
    assert.ok(Math.abs(preference.winnerModelA - length / (length + 2)) < 1e-6, `row ${row}`);
  }
});

test('rows that no parser accepts keep their place with a third for each answer', async () => {
  const specs = [await readManifest(path.join(DEMO, 'gemma'))];
  const { scores } = await new RecordRun(seatsFor(specs), { onBadRow: 'uniform' }).score(recordsOf(3000));
  assert.deepEqual(
    scores.map(({ row }) => row),
    Array.from({ length: 3000 }, (_, i) => i + 1),
  );
  assert.deepEqual(
    scores.filter(({ preference }) => preference.winnerTie === 1 / 3).map(({ row }) => row),
    [1000, 2000, 3000],
  );
});

for (const padding of ['counted', 'none'] as const) {
  test(`a plan tells the longest row wherever it stands, padding ${padding}`, async () => {
    const { members } = seatsFor([await readManifest(path.join(DEMO, 'gemma'))]);
    const limits = { maxBatchTokens: 64, maxBatchSequences: 8, padding };
    const planned = members.map((member) => ({ ...member, engines: [{ device: 'cpu', limits }] }));
    const { models } = await planRecords(recordsOf(500), planned, { orientations: ['asGiven'] });
    const [model] = models;
    const lengths = Array.from({ length: 500 }, (_, row) => lengthOf(row));
    assert.equal(model?.longest, Math.max(...lengths));
    assert.equal(
      model.tokens,
      lengths.reduce((sum, length) => sum + length, 0),
    );
  });
}
