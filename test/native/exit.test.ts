/**
 * process.exit() anywhere in the middle of native work, many times at other moments. Without tsx, so that a child is all
 * native work. What threads read at that moment shows itself best under the sanitizers.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { demoFile, demoSpec } from './demo';

const ROOT = join(__dirname, '..', '..');
const SANITIZED = process.env['PAIRSCORE_SANITIZED'] !== undefined;
const TIMES = SANITIZED ? 5 : 30;
const AT_ONCE = 2;

const PREPARE = `
  const addon = require('node-gyp-build')(${JSON.stringify(ROOT)});
  const openEngine = () => addon.openEngine(${JSON.stringify(demoSpec('gemma', { threads: 2 }))}, addon.newStop());
  const openTokenizer = () =>
    addon.openTokenizer(${JSON.stringify({ basePath: demoFile('llama', 'base.gguf'), threads: 2 })}, addon.newStop());
  const tokens = Int32Array.from({ length: 4 * 120 }, (_, i) => 20 + ((i * 37) % 500));
  const offsets = Int32Array.from([0, 120, 240, 360, 480]);
  const texts = Array.from({ length: 40 }, () => 'hello wörld 123 '.repeat(2000));
`;

/** Each goes on for ever; an exit comes some time after it began. */
const WORKS = {
  'loading models': `for (;;) await (await openEngine()).close();`,
  'loading tokenizers': `for (;;) await (await openTokenizer()).close();`,
  'loading many at once': `for (;;) await Promise.all([openEngine(), openTokenizer(), openEngine(), openTokenizer()]);`,
  scoring: `const engine = await openEngine(); for (;;) await engine.score(tokens, offsets);`,
  tokenizing: `const tokenizer = await openTokenizer(); for (;;) await tokenizer.tokenize(texts, true);`,
} as const;

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string): Promise<Ending> {
  const flags = { cwd: ROOT, timeout: 300_000, killSignal: 'SIGKILL', stdio: ['ignore', 'pipe', 'pipe'] } as const;
  const child = spawn(process.execPath, ['-e', program], { ...flags, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, ...output })));
}

/** The work, and process.exit(code) in its own thread after so many milliseconds (Infinity: never). */
function exiting(work: string, code: number, afterMs: number): string {
  const exit = afterMs === Infinity ? '' : `setTimeout(() => process.exit(${code}), ${afterMs});`;
  return `${PREPARE} ${exit} (async () => { ${work} })();`;
}

async function inTurns(count: number, once: (time: number) => Promise<void>): Promise<void> {
  let next = 0;
  const turn = async (): Promise<void> => {
    while (next < count) await once(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, turn));
}

/** From the first millisecond on to where every work is in full swing. */
const momentOf = (time: number): number => Math.round(1.18 ** time);

for (const [name, work] of Object.entries(WORKS)) {
  describe(`process.exit() while ${name}`, () => {
    it(`on the main thread ends the process with its own code, ${TIMES} times of ${TIMES}`, async () => {
      await inTurns(TIMES, async (time) => {
        const ending = await run(exiting(work, 7, momentOf(time)));
        assert.deepEqual(ending, { code: 7, signal: null, stdout: '', stderr: '' }, `after ${momentOf(time)} ms`);
      });
    });

    it(`in a worker thread ends that thread alone, ${TIMES} times of ${TIMES}, and the main thread goes on`, async () => {
      const programs = Array.from({ length: TIMES }, (_, time) => exiting(work, 5, momentOf(time)));
      const ending = await run(`
        const { Worker } = require('node:worker_threads');
        const { once } = require('node:events');
        (async () => {
          const codes = new Set();
          for (const program of ${JSON.stringify(programs)}) {
            const [code] = await once(new Worker(program, { eval: true }), 'exit');
            codes.add(code);
          }
          ${PREPARE}
          const logits = await (await openEngine()).score(tokens, offsets);
          console.log([...codes].join(), logits.every(Number.isFinite));
          process.exit(0);
        })();
      `);
      assert.deepEqual(ending, { code: 0, signal: null, stdout: '5 true\n', stderr: '' });
    });

    it(`on the main thread, with the work in a worker thread, ends the process with its own code, ${TIMES} times of ${TIMES}`, async () => {
      await inTurns(TIMES, async (time) => {
        const worker = exiting(work, 5, Infinity);
        const ending = await run(`
          const { Worker } = require('node:worker_threads');
          new Worker(${JSON.stringify(worker)}, { eval: true }).once('online', () =>
            setTimeout(() => process.exit(7), ${momentOf(time)}));
        `);
        assert.deepEqual(ending, { code: 7, signal: null, stdout: '', stderr: '' }, `after ${momentOf(time)} ms`);
      });
    });
  });
}

it('worker threads that load the addon one after the other leave nothing behind', async (t) => {
  if (SANITIZED) {
    t.skip('memory is not measured under the sanitizers');
    return;
  }
  const once = `${PREPARE} (async () => { const tokenizer = await openTokenizer(); await tokenizer.close(); })();`;
  const { stdout, stderr, code } = await run(`
    const { Worker } = require('node:worker_threads');
    const { once } = require('node:events');
    (async () => {
      const sizes = [];
      for (let i = 0; i < 60; i += 1) {
        await once(new Worker(${JSON.stringify(once)}, { eval: true }), 'exit');
        sizes.push(process.memoryUsage().rss / 1e6);
      }
      console.log(sizes.at(-1) - sizes[19]);
    })();
  `);
  assert.deepEqual({ stderr, code }, { stderr: '', code: 0 });
  assert.ok(Number(stdout) < 30, `${stdout.trim()} MB more after 40 threads`);
});
