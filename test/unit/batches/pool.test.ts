import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pool } from '../../../lib/batches/pool';
import { RowGroups, type Row } from '../../../lib/batches/row-groups';
import { Ticket } from '../../../lib/batches/ticket';

const ROWS = 115_000;
const LIMITS = { maxBatchTokens: 4096, maxBatchSequences: 64, padding: 'counted' } as const;

/** Counts how often a row is looked at: work, whatever the clock of the machine says. */
function countedRows(ticket: Ticket): { readonly rows: readonly Row[]; readonly looks: () => number } {
  let looks = 0;
  const all = Array.from({ length: 2000 }, (_, i) => new Int32Array(i + 1));
  const rows = Array.from({ length: ROWS }, (_, slot) => ({
    ticket,
    slot,
    get tokens(): Int32Array {
      looks += 1;
      return all[(slot * 7919) % 2000] ?? new Int32Array(1);
    },
  }));
  return { rows, looks: () => looks };
}

test('a batch of very many rows is taken without looking at all of them', () => {
  const { rows, looks } = countedRows(new Ticket(ROWS));
  const pool = new Pool();
  pool.add(RowGroups.of(rows));
  const before = looks();
  const batch = pool.take(LIMITS);
  assert.equal(batch[0]?.tokens.length, 2000);
  assert.ok(looks() - before < 1000, `${looks() - before} looks`);
});

test('every row is taken once, the longest first, and rows of one length as they came', () => {
  const { rows } = countedRows(new Ticket(ROWS));
  const pool = new Pool();
  pool.add(RowGroups.of(rows));
  const taken: Row[] = [];
  for (let batch = pool.take(LIMITS); batch.length > 0; batch = pool.take(LIMITS)) taken.push(...batch);
  assert.equal(pool.tokens, 0);
  const order = (a: Row, b: Row): number => b.tokens.length - a.tokens.length || a.slot - b.slot;
  assert.deepEqual(
    taken.map(({ slot }) => slot),
    rows.toSorted(order).map(({ slot }) => slot),
  );
});

test('clearing drops what waits, taken out ahead or not, and names who waits', () => {
  const [first, second] = [new Ticket(200), new Ticket(100)];
  const pool = new Pool();
  const rows = (ticket: Ticket, count: number): RowGroups =>
    RowGroups.of(
      Array.from({ length: count }, (_, slot) => ({ ticket, slot, tokens: new Int32Array(1 + (slot % 9)) })),
    );
  pool.add(rows(first, 200));
  assert.equal(pool.take(LIMITS).length, 64);
  pool.add(rows(second, 100));
  assert.deepEqual(new Set(pool.clear()), new Set([first, second]));
  assert.equal(pool.tokens, 0);
  assert.deepEqual(pool.take(LIMITS), []);
});

for (const padding of ['counted', 'none'] as const) {
  test(`rows that nobody waits for any more are dropped without a look at each, padding ${padding}`, async () => {
    const limits = { ...LIMITS, padding };
    const gone = new Ticket(ROWS);
    const { rows, looks } = countedRows(gone);
    const pool = new Pool();
    pool.add(RowGroups.of(rows));
    assert.ok(pool.take(limits).length > 0);
    gone.fail(new Error('gone'));
    await assert.rejects(gone.answers, { message: 'gone' });
    const here = new Ticket(1);
    pool.add(RowGroups.of([{ ticket: here, slot: 0, tokens: new Int32Array(7) }]));
    const before = looks();
    assert.deepEqual(
      pool.take(limits).map(({ ticket }) => ticket === here),
      [true],
    );
    assert.ok(looks() - before < 1000, `${looks() - before} looks`);
    assert.equal(pool.tokens, 0);
  });
}
