import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChild, runInWorker } from './children';

const OPEN = `const scorer = await pairscore.openScorer({ threads: 1 });`;
const MANY = `const many = Promise.allSettled(Array.from({ length: 300 }, () => scorer.scorePair(pair)));`;

/** Each must end by itself, with exit code 0 and nothing on stderr. */
const LIVES: readonly (readonly [string, string])[] = [
  ['never opened', ``],
  ['opened and left open', OPEN],
  ['left open after scoring', `${OPEN} await scorer.scorePair(pair);`],
  ['closed', `${OPEN} await scorer.scorePair(pair); await scorer.close();`],
  [
    'closed twice, at once and again',
    `${OPEN} await Promise.all([scorer.close(), scorer.close()]); await scorer.close();`,
  ],
  [
    'closed while scoring',
    `${OPEN} ${MANY} await new Promise((r) => setTimeout(r, 30)); await scorer.close(); await many;`,
  ],
  ['closed before the first turn of a call', `${OPEN} ${MANY} await scorer.close(); await many;`],
  ['a failed opening', `await pairscore.openScorer({ ensemble: 'nowhere.json' }).catch(() => undefined);`],
  [
    'a failed opening after a model was loaded',
    `await pairscore.openScorer({ threads: 1, device: ['cpu', 'cuda:63'] }).catch(() => undefined);`,
  ],
  ['scoring until the work is done, without a close', `${OPEN} ${MANY}`],
  [
    'two scorers at once',
    `${OPEN} const other = await pairscore.openScorer({ threads: 1 });
    await Promise.all([scorer.scorePair(pair), other.scorePair(pair)]); await scorer.close(); await other.scorePair(pair);`,
  ],
  [
    "the module's own scorePair",
    `const { winnerTie } = await pairscore.scorePair(pair); if (!(winnerTie > 0)) throw winnerTie;`,
  ],
];

describe('a process ends by itself, cleanly', { concurrency: 2 }, () => {
  for (const [name, body] of LIVES) {
    it(name, async () => {
      const { code, signal, stderr } = await runChild(body);
      assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    });
  }

  it('exit while scoring', async () => {
    const { code, signal, stderr } = await runChild(
      `${OPEN} ${MANY} setTimeout(() => process.exit(7), 30); await many;`,
    );
    assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' });
  });

  it('exit while opening', async () => {
    const { code, signal, stderr } = await runChild(
      `setTimeout(() => process.exit(7), 20); ${OPEN}; await new Promise(() => undefined);`,
    );
    assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' });
  });
});

describe('a worker thread', { concurrency: 2 }, () => {
  const exits = `const [code] = await once(worker, 'exit'); if (code !== 0) process.exit(code);`;

  for (const [name, body] of [
    ['ends by itself with an open scorer', `${OPEN} await scorer.scorePair(pair);`],
    ['ends by itself with a closed scorer', `${OPEN} await scorer.scorePair(pair); await scorer.close();`],
    ['may exit while it scores', `${OPEN} ${MANY} setTimeout(() => process.exit(0), 30); await many;`],
  ] as const) {
    it(name, async () => {
      const { code, signal, stderr } = await runInWorker(body, exits);
      assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    });
  }

  it('may be terminated while it scores, and the main thread scores on', async () => {
    const { code, signal, stderr, stdout } = await runInWorker(
      `${OPEN} ${MANY} parentPort.postMessage('scoring'); await many;`,
      `${OPEN}
       await once(worker, 'message');
       await worker.terminate();
       const { winnerTie } = await scorer.scorePair(pair);
       console.log(winnerTie > 0);`,
    );
    assert.deepEqual({ code, signal, stderr, stdout }, { code: 0, signal: null, stderr: '', stdout: 'true\n' });
  });

  it('answers as the main thread does', async () => {
    const { stdout, stderr } = await runInWorker(
      `${OPEN} parentPort.postMessage(await scorer.scorePair(pair));`,
      `${OPEN}
       const [theirs] = await once(worker, 'message');
       const ours = await scorer.scorePair(pair);
       console.log(JSON.stringify(theirs) === JSON.stringify(ours));`,
    );
    assert.deepEqual({ stdout, stderr }, { stdout: 'true\n', stderr: '' });
  });
});
