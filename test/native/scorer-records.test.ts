import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Progress } from '../../lib/outcome';
import { openScorer, type Scorer } from '../../lib/scorer';
import { distance } from './pairs';

const record = (row: number, responseA: string, prompt = `["question ${row}"]`) => ({
  id: `row-${row}`,
  row,
  cells: { prompt, responseA, responseB: '["fine"]' },
});

const RECORDS = Array.from({ length: 30 }, (_, i) => record(i + 1, `["${'word '.repeat((i * 11) % 47)}"]`));
/** The strip parser of the demo's Llama takes anything; the python parser of its Gemma does not. */
const BAD = [record(31, 'no list'), record(32, '["unclosed'), record(33, '[1, 2]')];
const MIXED = [...RECORDS.slice(0, 10), ...BAD, ...RECORDS.slice(10)];

describe('a run over the rows of a file', () => {
  let scorer: Scorer;
  before(async () => {
    scorer = await openScorer({ threads: 1 });
  });
  after(() => scorer.close());

  it('answers in input order, as single calls do', async () => {
    const { scores, badRows, tokens } = await scorer.scoreRecords(RECORDS);
    assert.deepEqual(
      scores.map(({ id, row }) => ({ id, row })),
      RECORDS.map(({ id, row }) => ({ id, row })),
    );
    assert.deepEqual(badRows, []);
    const texts = RECORDS.map(({ row }, i) => ({
      prompt: `question ${row}`,
      responseA: 'word '.repeat((i * 11) % 47),
      responseB: 'fine',
    }));
    const alone = await Promise.all(texts.map((pair) => scorer.scorePair(pair)));
    assert.ok(
      distance(
        scores.map(({ preference }) => preference),
        alone,
      ) <= 1e-4,
    );
    assert.ok(tokens > RECORDS.length * 20);
  });

  it('does not depend on the order of the rows', async () => {
    const forward = await scorer.scoreRecords(RECORDS);
    const backward = await scorer.scoreRecords(RECORDS.toReversed());
    const again = backward.scores.toReversed();
    assert.ok(
      distance(
        forward.scores.map(({ preference }) => preference),
        again.map(({ preference }) => preference),
      ) <= 1e-4,
    );
  });

  it('no rows are no work', async () => {
    const outcome = await scorer.scoreRecords([]);
    assert.deepEqual([outcome.scores, outcome.tokens], [[], 0]);
  });

  it('fails at the first bad row, naming row, id and column, before anything is scored', async () => {
    const seen: Progress[] = [];
    await assert.rejects(scorer.scoreRecords(MIXED, { onProgress: (progress) => seen.push(progress) }), {
      code: 'ERR_INPUT_CELL',
      message: /Row 31 .*column response_a/,
      place: { row: 31, id: 'row-31', column: 'response_a' },
    });
    assert.deepEqual(seen, []);
  });

  it('skips bad rows and reports them', async () => {
    const { scores, badRows } = await scorer.scoreRecords(MIXED, { onBadRow: 'skip' });
    assert.deepEqual(
      scores.map(({ id }) => id),
      RECORDS.map(({ id }) => id),
    );
    assert.deepEqual(
      badRows.map(({ id, row, column, code }) => ({ id, row, column, code })),
      BAD.map(({ id, row }) => ({ id, row, column: 'response_a', code: 'ERR_INPUT_CELL' })),
    );
  });

  it('answers bad rows with thirds where it is told to, in their places', async () => {
    const { scores, badRows } = await scorer.scoreRecords(MIXED, { onBadRow: 'uniform' });
    assert.deepEqual(
      scores.map(({ id }) => id),
      MIXED.map(({ id }) => id),
    );
    assert.equal(badRows.length, 3);
    for (const { preference } of scores.slice(10, 13)) {
      assert.deepEqual(preference, { winnerModelA: 1 / 3, winnerModelB: 1 / 3, winnerTie: 1 / 3 });
    }
  });

  it('tells its progress, which ends at everything', async () => {
    const seen: Progress[] = [];
    await scorer.scoreRecords(RECORDS, { onProgress: (progress) => seen.push(progress) });
    const last = seen.at(-1);
    assert.equal(last?.rowsDone, RECORDS.length);
    assert.equal(last.rowsTotal, RECORDS.length);
    assert.equal(last.tokensDone, last.tokensTotal);
    assert.equal(last.devices[0]?.tokens, last.tokensTotal);
    assert.ok(last.devices[0].busySeconds > 0 && last.devices[0].busySeconds <= last.seconds);
  });

  it('a callback that throws fails the run, and the scorer works on', async () => {
    const onProgress = (): never => {
      throw new Error('no screen');
    };
    await assert.rejects(scorer.scoreRecords(RECORDS, { onProgress }), { message: 'no screen' });
    assert.equal((await scorer.scoreRecords(RECORDS.slice(0, 2))).scores.length, 2);
  });

  it('plans a run without running it', async () => {
    const plan = await scorer.plan(MIXED, { onBadRow: 'skip' });
    assert.equal(plan.rows, RECORDS.length);
    assert.equal(plan.badRows.length, 3);
    const { tokens } = await scorer.scoreRecords(RECORDS);
    assert.equal(
      plan.models.reduce((sum, model) => sum + model.tokens, 0),
      tokens,
    );
    for (const model of plan.models) {
      assert.equal(model.sequences, RECORDS.length);
      assert.ok(model.batches >= 1 && model.paddedTokens >= model.tokens && model.longest > 0);
      assert.equal(model.atMaxLength, 0);
    }
  });

  it('single calls are answered while a long run goes on', async () => {
    const long = Array.from({ length: 10 }, () => RECORDS).flat();
    let finished = false;
    const run = scorer.scoreRecords(long).then((outcome) => {
      finished = true;
      return outcome;
    });
    await scorer.scorePair({ prompt: 'p', responseA: 'a', responseB: 'b' });
    assert.equal(finished, false);
    assert.equal((await run).scores.length, long.length);
  });
});
