import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { combineAnswers, softmax, swapped, toPreference, weightedMean } from '../../lib/probability';

const LABELS = ['winner_model_a', 'winner_model_b', 'winner_tie'] as const;
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const close = (a: number, b: number): boolean => Math.abs(a - b) < 1e-12;

test('probabilities sum to 1 and keep the order of the logits', () => {
  const logits = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(logits, (values) => {
      const probabilities = softmax(values);
      assert.ok(close(sum(probabilities), 1));
      values.forEach((a, i) => {
        values.forEach((b, j) => assert.ok(a > b || (probabilities[i] ?? 0) <= (probabilities[j] ?? 0)));
      });
    }),
  );
});

test('logits far beyond the range of exp give finite probabilities', () => {
  assert.deepEqual(softmax([3e38, 0, -3e38]), [1, 0, 0]);
  assert.deepEqual(softmax([-2000, -2000]), [0.5, 0.5]);
});

test('softmax of known logits', () => {
  const [a = 0, b = 0, c = 0] = softmax([Math.log(1), Math.log(2), Math.log(5)]);
  assert.ok(close(a, 1 / 8) && close(b, 2 / 8) && close(c, 5 / 8));
});

test('a logit that is not finite is ERR_MODEL_VALUES', () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    assert.throws(() => softmax([0, bad, 1]), { code: 'ERR_MODEL_VALUES' });
  }
});

test('labels give each logit its name, whatever the order of the head', () => {
  const preference = toPreference(
    [Math.log(5), Math.log(2), Math.log(1)],
    ['winner_tie', 'winner_model_a', 'winner_model_b'],
  );
  assert.ok(close(preference.winnerTie, 5 / 8));
  assert.ok(close(preference.winnerModelA, 2 / 8));
  assert.ok(close(preference.winnerModelB, 1 / 8));
});

test('a head of two labels leaves nothing for a tie', () => {
  assert.deepEqual(toPreference([0, 0], ['winner_model_a', 'winner_model_b']), {
    winnerModelA: 0.5,
    winnerModelB: 0.5,
    winnerTie: 0,
  });
});

test('another number of logits than of labels is refused', () => {
  assert.throws(() => toPreference([0, 0], LABELS), { code: 'ERR_INTERNAL' });
});

test('a mean follows the weights, which need not sum to 1', () => {
  const a = { winnerModelA: 1, winnerModelB: 0, winnerTie: 0 };
  const b = { winnerModelA: 0, winnerModelB: 0.5, winnerTie: 0.5 };
  assert.deepEqual(weightedMean([a, b], [3, 1]), { winnerModelA: 0.75, winnerModelB: 0.125, winnerTie: 0.125 });
  assert.deepEqual(weightedMean([a, b], [0, 2]), b);
});

test('weights that are negative, not finite, all zero or too few are refused', () => {
  const one = { winnerModelA: 1, winnerModelB: 0, winnerTie: 0 };
  for (const weights of [[-1, 2], [NaN, 1], [Infinity, 1], [0, 0], [1]]) {
    assert.throws(() => weightedMean([one, one], weights), { code: 'ERR_INTERNAL' });
  }
});

test('swapping twice changes nothing, and a tie stays', () => {
  const preference = { winnerModelA: 0.5, winnerModelB: 0.3, winnerTie: 0.2 };
  assert.deepEqual(swapped(preference), { winnerModelA: 0.3, winnerModelB: 0.5, winnerTie: 0.2 });
  assert.deepEqual(swapped(swapped(preference)), preference);
});

test('swapped views are turned back before the mean', () => {
  const logits = [
    [Math.log(6), Math.log(2), Math.log(2)],
    [Math.log(1), Math.log(4), Math.log(5)],
  ];
  const mean = combineAnswers(logits, [{ name: 'one', labels: LABELS, weight: 1 }], ['asGiven', 'swapped']);
  assert.ok(close(mean.winnerModelA, (0.6 + 0.4) / 2));
  assert.ok(close(mean.winnerModelB, (0.2 + 0.1) / 2));
  assert.ok(close(mean.winnerTie, (0.2 + 0.5) / 2));
});

test('models answer each with its own labels and weight', () => {
  const voters = [
    { name: 'one', labels: LABELS, weight: 0.25 },
    { name: 'two', labels: ['winner_model_b', 'winner_model_a'] as const, weight: 0.75 },
  ];
  const mean = combineAnswers(
    [
      [0, 0, 0],
      [Math.log(3), 0],
    ],
    voters,
    ['asGiven'],
  );
  assert.ok(close(mean.winnerModelA, 0.25 / 3 + 0.75 / 4));
  assert.ok(close(mean.winnerModelB, 0.25 / 3 + (0.75 * 3) / 4));
});

test('a model without an answer is named, whatever the others answer', () => {
  const voters = ['fine', 'lost'].map((name) => ({ name, labels: LABELS, weight: 1 }));
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.throws(
      () =>
        combineAnswers(
          [
            [0, 0, 0],
            [0, value, 0],
          ],
          voters,
          ['asGiven'],
        ),
      {
        code: 'ERR_MODEL_VALUES',
        message: new RegExp(`model lost but received ${value}`),
      },
    );
  }
});
