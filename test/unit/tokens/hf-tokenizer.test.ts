import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openHfTokenizer } from '../../../lib/tokens/hf-tokenizer';
import { runChild } from '../../native/children';

const folder = join(__dirname, '..', '..', '..', 'models', 'demo', 'gemma');

test('a close with an answer in the queue comes to its end', async () => {
  const { code, stdout, stderr } = await runChild(`
    const { openHfTokenizer } = require('./lib/tokens/hf-tokenizer.ts');
    for (let i = 0; i < 4; i++) {
      const tokenizer = await openHfTokenizer(${JSON.stringify(folder)}, 'parse');
      await tokenizer.encode(['built by this']);
      tokenizer.encode([' word']).catch(() => undefined);
      // The thread has answered long before this one looks. Nothing but the close keeps the process alive.
      for (const until = performance.now() + 300; performance.now() < until;);
      await tokenizer.close();
    }
    console.log('closed');
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'closed\n', stderr: '' });
});

test('calls before and after the end of the thread are refused, not left waiting', { timeout: 60_000 }, async () => {
  const started = once(process, 'worker');
  const tokenizer = await openHfTokenizer(folder, 'parse');
  const worker: unknown = (await started)[0];
  assert.ok(worker instanceof Worker);
  const waiting = assert.rejects(tokenizer.encode(['a']), { code: 'ERR_INTERNAL', message: /stopped: exit code/ });
  await worker.terminate();
  await waiting;
  await assert.rejects(tokenizer.encode(['a']), { code: 'ERR_INTERNAL' });
  await assert.rejects(tokenizer.describe([1]), { code: 'ERR_INTERNAL' });
  await tokenizer.close();
  await assert.rejects(tokenizer.encode(['a']), { code: 'ERR_CLOSED' });
});
