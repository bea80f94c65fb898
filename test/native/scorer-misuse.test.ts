import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openScorer, type Scorer } from '../../lib/scorer';
import { collect, makePair, makePairs } from './pairs';

/** What a JavaScript caller without types could do. */
function untyped(target: object, method: string, ...values: readonly unknown[]): Promise<unknown> {
  return (async () => {
    const call: unknown = Reflect.get(target, method);
    assert.ok(typeof call === 'function');
    const result: unknown = Reflect.apply(call, target, values);
    return await result;
  })();
}

const GOOD = { prompt: 'p', responseA: 'a', responseB: 'b' };

describe('wrong arguments of an open scorer', () => {
  let scorer: Scorer;
  before(async () => {
    scorer = await openScorer({ threads: 1 });
  });
  after(() => scorer.close());

  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['no pair', undefined, /Expected the pair to be an object .* but received undefined/],
    ['null', null, /received null/],
    ['a string', 'prompt', /received 'prompt'/],
    ['a list', [GOOD], /received a list/],
    [
      'a missing reply',
      { prompt: 'p', responseB: 'b' },
      /Expected responseA to be a string or a list of strings but received undefined/,
    ],
    ['a number as the prompt', { ...GOOD, prompt: 3 }, /Expected prompt .* received 3/],
    ['a number as a turn', { ...GOOD, responseB: ['x', 7] }, /responseB\[1\] .* received 7/],
    ['names of another style', { ...GOOD, response_a: 'x' }, /'response_a'/],
  ];
  for (const [name, pair, message] of wrong) {
    it(`${name} instead of a pair is ERR_USAGE that names the key`, async () => {
      await assert.rejects(untyped(scorer, 'scorePair', pair), { name: 'PairscoreError', code: 'ERR_USAGE', message });
    });
  }

  it('a signal that is none is ERR_USAGE', async () => {
    await assert.rejects(untyped(scorer, 'scorePair', GOOD, { signal: 'stop' }), {
      code: 'ERR_USAGE',
      message: /signal/,
    });
  });

  it('a source that is none is ERR_USAGE at once', async () => {
    for (const source of [undefined, 7, 'text', GOOD]) {
      await assert.rejects(untyped(scorer, 'scorePairs', source), { code: 'ERR_USAGE', message: /iterable/ });
    }
  });

  it('a wrong pair in a stream ends it there, after the answers before it', async () => {
    const source: unknown[] = [GOOD, GOOD, { prompt: 'p' }, GOOD];
    const seen: unknown[] = [];
    const stream = await untyped(scorer, 'scorePairs', source);
    assert.ok(typeof stream === 'object' && stream !== null && Symbol.asyncIterator in stream);
    await assert.rejects(
      async () => {
        for (;;) {
          const next = await untyped(stream, 'next');
          assert.ok(typeof next === 'object' && next !== null && 'value' in next);
          seen.push(next.value);
        }
      },
      { code: 'ERR_USAGE', message: /responseA/ },
    );
    assert.equal(seen.length, 2);
  });

  it('a policy that is none is ERR_USAGE', async () => {
    await assert.rejects(untyped(scorer, 'scoreRecords', [], { onBadRow: 'ignore' }), { code: 'ERR_USAGE' });
  });

  it('the scorer works on after all that', async () => {
    assert.ok((await scorer.scorePair(GOOD)).winnerTie > 0);
  });
});

describe('wrong options', () => {
  const open = (options: unknown): Promise<unknown> => untyped({ openScorer }, 'openScorer', options);
  const wrong: readonly (readonly [unknown, string, RegExp])[] = [
    [null, 'ERR_USAGE', /options/],
    [{ ensmble: 'x' }, 'ERR_USAGE', /'ensmble'/],
    [{ ensemble: 7 }, 'ERR_USAGE', /ensemble but received 7/],
    [{ device: 'gpu' }, 'ERR_USAGE', /device but received 'gpu'/],
    [{ device: [] }, 'ERR_USAGE', /device/],
    [{ threads: 0 }, 'ERR_USAGE', /threads but received 0/],
    [{ threads: 1.5 }, 'ERR_USAGE', /threads/],
    [{ maxLength: '9' }, 'ERR_USAGE', /maxLength but received '9'/],
    [{ batchTokens: -1 }, 'ERR_USAGE', /batchTokens/],
    [{ tta: 'yes' }, 'ERR_USAGE', /tta/],
    [{ tokenizer: 'spm' }, 'ERR_USAGE', /tokenizer/],
    [{ onStage: 1 }, 'ERR_USAGE', /onStage/],
    [{ batchTokens: 100 }, 'ERR_CONFIG', /at least 2048.*batchTokens but received 100/],
    [{ device: 'cuda:63' }, 'ERR_DEVICE_UNKNOWN', /cuda:63/],
    [{ ensemble: 'nowhere.json' }, 'ERR_CONFIG', /nowhere\.json/],
  ];
  for (const [options, code, message] of wrong) {
    it(`${JSON.stringify(options)} is ${code}`, async () => {
      await assert.rejects(open(options), { code, message });
    });
  }
});

describe('aborts', () => {
  let scorer: Scorer;
  before(async () => {
    scorer = await openScorer({ threads: 1 });
  });
  after(() => scorer.close());

  it('a signal that fired before rejects at once', async () => {
    await assert.rejects(scorer.scorePair(GOOD, { signal: AbortSignal.abort('early') }), {
      code: 'ERR_ABORTED',
      cause: 'early',
    });
  });

  it('a signal of another class, as a test environment or a polyfill brings it, works the same', async () => {
    let fire = (): void => undefined;
    const signal = {
      aborted: false,
      reason: 'foreign',
      addEventListener: (_: 'abort', listener: () => void) => void (fire = listener),
    };
    const gone = scorer.scorePair(GOOD, { signal });
    fire();
    await assert.rejects(gone, { code: 'ERR_ABORTED', cause: 'foreign' });
  });

  it('an aborted call leaves the queue, its neighbours are answered', async () => {
    const controller = new AbortController();
    const neighbours = makePairs(20).map((pair) => scorer.scorePair(pair));
    const gone = makePairs(20).map((pair) => scorer.scorePair(pair, { signal: controller.signal }));
    controller.abort();
    for (const outcome of await Promise.allSettled(gone)) assert.equal(outcome.status, 'rejected');
    assert.equal((await Promise.all(neighbours)).length, 20);
  });

  it('many calls may share a signal without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on('warning', onWarning);
    const { signal } = new AbortController();
    await Promise.all(makePairs(30).map((pair) => scorer.scorePair(pair, { signal })));
    await collect(scorer.scorePairs(makePairs(30), { signal }));
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });

  it('an aborted stream rejects, and closes its source', async () => {
    const controller = new AbortController();
    let closed = false;
    function* source() {
      try {
        for (let i = 0; ; i += 1) yield makePair(i);
      } finally {
        closed = true;
      }
    }
    const run = async (): Promise<void> => {
      for await (const _ of scorer.scorePairs(source(), { signal: controller.signal })) controller.abort();
    };
    await assert.rejects(run(), { code: 'ERR_ABORTED' });
    assert.equal(closed, true);
  });

  it('an aborted run over records rejects', async () => {
    const records = makeRecords(60);
    const controller = new AbortController();
    const run = scorer.scoreRecords(records, { signal: controller.signal, onProgress: () => controller.abort() });
    await assert.rejects(run, { code: 'ERR_ABORTED' });
    await assert.rejects(scorer.scoreRecords(records, { signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' });
    assert.equal((await scorer.scoreRecords(records.slice(0, 3))).scores.length, 3);
  });
});

describe('a closed scorer', () => {
  it('refuses every call with ERR_CLOSED, and may be closed again', async () => {
    const scorer = await openScorer({ threads: 1 });
    await scorer.close();
    await scorer.close();
    await assert.rejects(scorer.scorePair(GOOD), { code: 'ERR_CLOSED' });
    await assert.rejects(untyped(scorer, 'scorePairs', [GOOD]), { code: 'ERR_CLOSED' });
    await assert.rejects(scorer.scoreRecords([]), { code: 'ERR_CLOSED' });
    await assert.rejects(scorer.plan([]), { code: 'ERR_CLOSED' });
    assert.equal(scorer.models.length, 2);
  });

  it('answers what was in flight, and fails what waited with ERR_CLOSED', async () => {
    const scorer = await openScorer({ threads: 1 });
    const calls = makePairs(150).map((pair) => scorer.scorePair(pair));
    const settled = Promise.allSettled(calls);
    await sleep(20);
    await Promise.all([scorer.close(), scorer.close()]);
    for (const outcome of await settled) {
      if (outcome.status === 'rejected') assert.equal(Reflect.get(Object(outcome.reason), 'code'), 'ERR_CLOSED');
    }
  });

  it('ends a stream and a run over records with ERR_CLOSED', async () => {
    const scorer = await openScorer({ threads: 1 });
    const ends = [
      assert.rejects(collect(scorer.scorePairs(makePairs(200))), { code: 'ERR_CLOSED' }),
      assert.rejects(scorer.scoreRecords(makeRecords(200)), { code: 'ERR_CLOSED' }),
    ];
    await sleep(10);
    await scorer.close();
    await Promise.all(ends);
  });

  it('await using closes it', async () => {
    let kept: Scorer | undefined;
    {
      await using scorer = await openScorer({ threads: 1 });
      kept = scorer;
      await scorer.scorePair(GOOD);
    }
    await assert.rejects(kept.scorePair(GOOD), { code: 'ERR_CLOSED' });
  });
});

function makeRecords(count: number) {
  return Array.from({ length: count }, (_, i) => ({
    id: `id${i}`,
    row: i + 1,
    cells: { prompt: `["question ${i}"]`, responseA: `["${'word '.repeat(30 + i)}"]`, responseB: '["b"]' },
  }));
}
