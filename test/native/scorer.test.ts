import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openScorer, type Scorer } from '../../lib/scorer';
import type { Pair, Preference } from '../../lib/pair';
import { HUGE_TEXTS } from '../fixtures/huge-texts';
import { slowness } from '../fixtures/machine';
import { cannotMeasureTurns, calmestTurns } from '../fixtures/turns';
import { collect, distance, makePair, makePairs } from './pairs';

/** ggml quantises activations row by row on the CPU, so that a batch gives what its rows give alone. */
const SAME = 1e-4;

const skip = cannotMeasureTurns();
/** CPU time: 25 to 42 ms where V8 joins ten megabytes of text, 13 ms at most for a thousand callers; twice that on slower machines. */
const longest = 100 * slowness();

describe('a scorer of the bundled demo', () => {
  let scorer: Scorer;
  const pairs = makePairs(40);
  let serial: readonly Preference[];

  before(async () => {
    scorer = await openScorer({ threads: 1 });
    const answers: Preference[] = [];
    for (const pair of pairs) answers.push(await scorer.scorePair(pair));
    serial = answers;
  });
  after(() => scorer.close());

  it('gives probabilities that sum to 1 and differ between pairs', () => {
    for (const { winnerModelA, winnerModelB, winnerTie } of serial) {
      assert.ok(Math.abs(winnerModelA + winnerModelB + winnerTie - 1) < 1e-12);
      for (const p of [winnerModelA, winnerModelB, winnerTie]) assert.ok(p > 0 && p < 1);
    }
    assert.ok(new Set(serial.map((preference) => preference.winnerModelA)).size > 30);
  });

  it('answers many concurrent calls as it answers them one by one', async () => {
    const together = await Promise.all(pairs.map((pair) => scorer.scorePair(pair)));
    assert.ok(distance(together, serial) <= SAME, `distance ${distance(together, serial)}`);
  });

  it('answers in the order of the calls, whatever their order', async () => {
    const order = pairs.map((_, i) => (i * 17) % pairs.length);
    const shuffled = await Promise.all(order.map((i) => scorer.scorePair(pairs[i] ?? makePair(0))));
    const expected = order.flatMap((i) => serial[i] ?? []);
    assert.ok(distance(shuffled, expected) <= SAME);
  });

  it('streams a list and an async source in order', async () => {
    async function* source(): AsyncGenerator<Pair> {
      for (const pair of pairs) {
        await sleep(0);
        yield pair;
      }
    }
    assert.ok(distance(await collect(scorer.scorePairs(pairs)), serial) <= SAME);
    assert.ok(distance(await collect(scorer.scorePairs(source())), serial) <= SAME);
    assert.deepEqual(await collect(scorer.scorePairs([])), []);
  });

  it('takes no more pairs ahead than it was told', async () => {
    const narrow = await openScorer({ lookAhead: 3, threads: 1 });
    const pulled: number[] = [];
    function* source(): Generator<Pair> {
      for (const [i, pair] of pairs.entries()) {
        pulled.push(i);
        yield pair;
      }
    }
    let yielded = 0;
    for await (const _ of narrow.scorePairs(source())) {
      yielded += 1;
      assert.ok(pulled.length <= yielded + 3, `${pulled.length} pulled, ${yielded} yielded`);
      if (yielded === 12) break;
    }
    await narrow.close();
    assert.ok(pulled.length <= 15);
  });

  it('reads a list of turns as their texts joined', async () => {
    const text = { prompt: 'a b', responseA: 'c', responseB: '' };
    const turns = { prompt: ['a', 'b'], responseA: ['c'], responseB: [null] };
    assert.ok(distance([await scorer.scorePair(turns)], [await scorer.scorePair(text)]) === 0);
  });

  it('cuts a text of ten megabytes, and the event loop goes on meanwhile', { skip }, async () => {
    for (const name of ['all of this', 'white space of all kinds']) {
      const long = HUGE_TEXTS[name]?.(10_000_000) ?? '';
      assert.equal(long.length, 10_000_000);
      const turns = await calmestTurns(longest, async () => {
        const preference = await scorer.scorePair({ prompt: 'q', responseA: long, responseB: 'short' });
        assert.ok(preference.winnerModelA > 0);
      });
      assert.ok(turns.longestMs < longest, JSON.stringify(turns));
    }
  });

  it('keeps the event loop free under many callers', { skip }, async () => {
    const many = makePairs(1000);
    const turns = await calmestTurns(longest, () => Promise.all(many.map((pair) => scorer.scorePair(pair))));
    assert.ok(turns.longestMs < longest, JSON.stringify(turns));
  });

  it('reports what was loaded', () => {
    assert.deepEqual(
      scorer.models.map(({ name, architecture, devices, weight }) => ({ name, architecture, devices, weight })),
      [
        { name: 'demo-gemma', architecture: 'gemma2', devices: ['cpu'], weight: 0.5 },
        { name: 'demo-llama', architecture: 'llama', devices: ['cpu'], weight: 0.5 },
      ],
    );
    for (const model of scorer.models) {
      assert.ok(model.adapterMatched > 0 && model.adapterScale > 0 && model.weightBytes > 100_000);
      assert.equal(model.adapterUnmatched, 0);
    }
  });
});

describe('settings of a scorer', () => {
  it('tta answers a pair and its mirror image alike', async () => {
    await using scorer = await openScorer({ tta: true, threads: 1 });
    for (const pair of makePairs(6)) {
      const mirror = { prompt: pair.prompt, responseA: pair.responseB, responseB: pair.responseA };
      const [one, other] = await Promise.all([scorer.scorePair(pair), scorer.scorePair(mirror)]);
      assert.ok(Math.abs(one.winnerModelA - other.winnerModelB) <= SAME);
      assert.ok(Math.abs(one.winnerTie - other.winnerTie) <= SAME);
    }
  });

  it('tta is the mean of both orders', async () => {
    await using plain = await openScorer({ threads: 1 });
    await using tta = await openScorer({ tta: true, threads: 1 });
    const pair = makePair(11);
    const mirror = { prompt: pair.prompt, responseA: pair.responseB, responseB: pair.responseA };
    const [given, swapped, both] = [
      await plain.scorePair(pair),
      await plain.scorePair(mirror),
      await tta.scorePair(pair),
    ];
    assert.ok(Math.abs(both.winnerModelA - (given.winnerModelA + swapped.winnerModelB) / 2) <= SAME);
    assert.ok(Math.abs(both.winnerTie - (given.winnerTie + swapped.winnerTie) / 2) <= SAME);
  });

  it('a smaller maximum length changes long pairs and leaves short ones', async () => {
    await using whole = await openScorer({ threads: 1 });
    await using cut = await openScorer({ maxLength: 48, threads: 1 });
    const short = { prompt: 'hi', responseA: 'a', responseB: 'b' };
    const long = { prompt: 'hi', responseA: 'word '.repeat(200), responseB: 'b' };
    assert.ok(distance([await whole.scorePair(short)], [await cut.scorePair(short)]) <= SAME);
    assert.ok(distance([await whole.scorePair(long)], [await cut.scorePair(long)]) > SAME);
    assert.equal(cut.models[0]?.maxLength, 48);
  });

  it('both tokenizers give the same answers', async () => {
    await using native = await openScorer({ threads: 1 });
    await using hf = await openScorer({ tokenizer: 'hf', threads: 1 });
    const pairs = makePairs(8);
    const answers = await Promise.all(
      [native, hf].map((scorer) => Promise.all(pairs.map((pair) => scorer.scorePair(pair)))),
    );
    assert.ok(distance(answers[0] ?? [], answers[1] ?? []) <= SAME);
  });

  it('small batches and large ones give the same answers', async () => {
    const pairs = makePairs(20);
    await using small = await openScorer({ maxLength: 512, batchTokens: 512, threads: 1 });
    await using large = await openScorer({ maxLength: 512, batchTokens: 8192, threads: 2 });
    const [a, b] = await Promise.all([collect(small.scorePairs(pairs)), collect(large.scorePairs(pairs))]);
    assert.ok(distance(a, b) <= SAME);
  });
});
