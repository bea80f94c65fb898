/** The module's own scorePair, whose first calls share the opening of the default ensemble. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { scorePair } from '../../lib/index';
import { runChild } from './children';

const PAIR = { prompt: 'why?', responseA: 'because', responseB: 'no' };

it("callers of the module's own scorePair who give up while it opens do not take it from the others", async () => {
  const [one, two] = [new AbortController(), new AbortController()];
  const calls = [one, two].map(({ signal }) => scorePair(PAIR, { signal }));
  one.abort();
  await assert.rejects(calls[0] ?? Promise.resolve(), { code: 'ERR_ABORTED' });
  const [, other] = calls;
  assert.ok(((await other)?.winnerTie ?? 0) > 0);
});

it("the module's own scorePair opens anew where the last who waited for it gave up", async () => {
  const fresh = await runChild(`
    const stop = new AbortController();
    const calls = [1, 2].map(() => pairscore.scorePair(pair, { signal: stop.signal }));
    setTimeout(() => stop.abort(), 20);
    const outcomes = await Promise.allSettled(calls);
    console.log(outcomes.map(({ reason }) => reason?.code).join());
    console.log((await pairscore.scorePair(pair)).winnerTie > 0);
  `);
  assert.deepEqual(fresh, { code: 0, signal: null, stdout: 'ERR_ABORTED,ERR_ABORTED\ntrue\n', stderr: '' });
});
