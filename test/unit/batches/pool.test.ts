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

test('clearing gives back what waits, taken out ahead or not', () => {
  const ticket = new Ticket(300);
  const pool = new Pool();
  const rows = Array.from({ length: 300 }, (_, slot) => ({ ticket, slot, tokens: new Int32Array(1 + (slot % 9)) }));
  pool.add(RowGroups.of(rows.slice(0, 200)));
  const taken = pool.take(LIMITS);
  pool.add(RowGroups.of(rows.slice(200)));
  assert.equal(taken.length + pool.clear().length, 300);
  assert.equal(pool.tokens, 0);
  assert.deepEqual(pool.take(LIMITS), []);
});
