/** Opening a large model and changing one's mind: every stage ends long before it would have been done. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PairscoreError } from '../../lib/errors';
import { readManifest } from '../../lib/model/manifest';
import type { ModelSpec } from '../../lib/model/spec';
import { verifyModels } from '../../lib/model/verify';
import { openEngine } from '../../lib/native/engine';
import { openScorer } from '../../lib/scorer';
import type { Signal } from '../../lib/signal';
import { openRowTokenizer } from '../../lib/tokens/row-tokenizer';
import { start } from '../cli/program';
import { writeLargeModel } from '../fixtures/large-model';
import { demoSpec } from './demo';

/** 640 MB. */
const LAYERS = 40;
const SIZE = 639e6;
const NEEDED_BYTES = 2e9;
/** For a whole program that is told to end. */
const SOON_MS = 1500;

const free = statfsSync(tmpdir());
const unfit =
  process.env['PAIRSCORE_SANITIZED'] === undefined
    ? free.bavail * free.bsize < NEEDED_BYTES && 'less than 2 GB are free in the temporary folder'
    : 'time is not measured under the sanitizers';

interface Closable {
  close(): Promise<void>;
}

/** Bytes that a process has read so far. */
function bytesRead(pid: number | 'self' = 'self'): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

async function readsOf(pid: number | undefined, bytes: number): Promise<void> {
  while (bytesRead(pid) < bytes) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('opening a large model', { skip: unfit }, () => {
  let folder: string;
  let ensemble: string;
  let spec: ModelSpec;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pairscore-stop-'));
    const model = join(folder, 'model');
    await writeLargeModel(model, LAYERS);
    spec = await readManifest(model);
    ensemble = join(folder, 'ensemble.json');
    writeFileSync(ensemble, JSON.stringify({ models: [{ path: 'model', weight: 1, device: 'cpu' }] }));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const engine = (signal?: Signal): Promise<Closable> => {
    const paths = { basePath: spec.base, adapterPath: spec.adapter ?? '', headPath: spec.head };
    return openEngine(demoSpec('gemma', paths), signal);
  };
  const tokenizer = (signal?: Signal): Promise<Closable> =>
    openRowTokenizer({ spec, threads: 1, spreadMaxLength: false, tokenizer: 'native', signal });
  const scorer = (signal?: Signal): Promise<Closable> =>
    openScorer({ ensemble, threads: 1, ...(signal ? { signal } : {}) });
  const verification = async (signal?: Signal): Promise<Closable> => {
    await verifyModels([spec], signal);
    return { close: async () => undefined };
  };

  async function measured(work: () => Promise<unknown>): Promise<{ readonly ms: number; readonly bytes: number }> {
    const began = { at: performance.now(), bytes: bytesRead() };
    await work();
    return { ms: performance.now() - began.at, bytes: bytesRead() - began.bytes };
  }

  for (const [what, open] of [
    ['the check of its files', verification],
    ['its engine', engine],
    ['a scorer', scorer],
  ] as const) {
    it(`ends ${what} with ERR_ABORTED long before it would be done, and opens it afterwards`, async (t) => {
      const whole = await measured(async () => (await open()).close());
      for (const share of [0.05, 0.3]) {
        const stopped = await measured(async () => {
          const signal = AbortSignal.timeout(Math.round(share * whole.ms));
          await assert.rejects(open(signal), ({ code, cause }) => code === 'ERR_ABORTED' && cause === signal.reason);
        });
        t.diagnostic(`${stopped.ms.toFixed(0)} of ${whole.ms.toFixed(0)} ms, ${stopped.bytes} of ${whole.bytes} bytes`);
        assert.ok(stopped.ms < 0.75 * whole.ms, `${stopped.ms} ms of ${whole.ms}`);
      }
      await (await open()).close();
    });
  }

  it('ends the engine while it looks at the weights, in the middle of the file', async (t) => {
    const tried: number[] = [];
    // The thread that reads may be done before this one gets its turn on a busy machine.
    for (let attempt = 0; attempt < 5 && !tried.some((bytes) => bytes < 0.7 * SIZE); attempt += 1) {
      const { bytes } = await measured(async () => {
        const controller = new AbortController();
        const before = bytesRead();
        const opening = assert.rejects(engine(controller.signal), { code: 'ERR_ABORTED' });
        while (bytesRead() - before < 20e6) await new Promise((resolve) => setImmediate(resolve));
        controller.abort();
        await opening;
      });
      tried.push(bytes);
    }
    t.diagnostic(`${tried.join(', ')} bytes`);
    assert.ok(
      tried.some((bytes) => bytes < 0.7 * SIZE),
      tried.join(', '),
    );
  });

  it('ends the tokenizer at once, or wherever it is, and opens it afterwards', async (t) => {
    const whole = await measured(async () => (await tokenizer()).close());
    const stopped = await measured(async () => {
      const signal = AbortSignal.timeout(0);
      await assert.rejects(tokenizer(signal), ({ code, cause }) => code === 'ERR_ABORTED' && cause === signal.reason);
    });
    t.diagnostic(`${stopped.ms.toFixed(0)} of ${whole.ms.toFixed(0)} ms, ${stopped.bytes} of ${whole.bytes} bytes`);
    assert.ok(stopped.ms < 0.75 * whole.ms, `${stopped.ms} ms of ${whole.ms}`);
    // Later, it may be open already.
    for (const share of [0.05, 0.2, 0.5]) {
      const opened = await tokenizer(AbortSignal.timeout(Math.round(share * whole.ms))).catch((error: unknown) => {
        assert.ok(error instanceof PairscoreError && error.code === 'ERR_ABORTED', String(error));
        return null;
      });
      await opened?.close();
    }
    await (await tokenizer()).close();
  });

  it('a signal that fired before reads nothing of the weights', async () => {
    const { bytes } = await measured(async () => {
      for (const open of [verification, engine, tokenizer, scorer]) {
        await assert.rejects(open(AbortSignal.abort('early')), { code: 'ERR_ABORTED', cause: 'early' });
      }
    });
    assert.ok(bytes < 20e6, `${bytes} bytes`);
  });

  it('the first file that is wrong ends the check of the others', async () => {
    const broken = { ...spec, folder: join(folder, 'nowhere') };
    const { bytes } = await measured(() =>
      assert.rejects(verifyModels([spec, broken]), { code: 'ERR_MODEL_FILE', message: /nowhere/ }),
    );
    assert.ok(bytes < 0.5 * SIZE, `${bytes} bytes`);
  });

  for (const [signal, exitCode, stage] of [
    ['SIGINT', 130, 'verifying'],
    ['SIGTERM', 143, 'loading'],
  ] as const) {
    for (const command of ['predict', 'doctor'] as const) {
      it(`${signal} ends ${command} with ${exitCode}, soon, leaving nothing behind`, async () => {
        const cwd = join(folder, `${command}-${signal}`);
        mkdirSync(cwd);
        writeFileSync(join(cwd, 'in.csv'), 'id,prompt,response_a,response_b\n1,"[""p""]","[""a""]","[""b""]"\n');
        const flags = command === 'predict' ? ['-i', 'in.csv', '-o', 'out.csv'] : ['--threads', '1'];
        const running = start([command, ...flags, '--ensemble', ensemble], { cwd });
        if (command === 'predict') await running.says(stage);
        // doctor tells no stages: it reads the weights once to verify them, and once more to load them.
        else await readsOf(running.child.pid, stage === 'verifying' ? 0.1 * SIZE : 1.1 * SIZE);
        running.child.kill(signal);
        const asked = performance.now();
        const { code, stdout, stderr } = await running.finished;
        assert.deepEqual({ code, stdout }, { code: exitCode, stdout: '' }, stderr);
        assert.match(stderr, /stopped by a signal; nothing was written/);
        assert.ok(performance.now() - asked < SOON_MS, `${performance.now() - asked} ms`);
        assert.deepEqual(readdirSync(cwd), ['in.csv']);
      });
    }
  }
});
