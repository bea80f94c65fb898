/** A system that grants no more threads or memory: each call says so, and the process lives on. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { demoFile, demoSpec } from './demo';

const ROOT = join(__dirname, '..', '..');

/** Less than a thread's stack, which is 2 MiB where the system leaves it open and mostly 8. */
const NO_THREAD = 1e6;
/** For the queue's own thread and a few more, not for hundreds. */
const FEW_THREADS = 200e6;

const unfit =
  process.env['PAIRSCORE_SANITIZED'] === undefined
    ? spawnSync('prlimit', ['--version']).status !== 0 && 'no prlimit on this machine'
    : 'the address space is not limited under the sanitizers';

/** Without tsx, so that nothing but the call needs memory. The event loop must run empty by itself. */
const PREPARE = `
  const { spawnSync } = require('node:child_process');
  const { readFileSync } = require('node:fs');
  const addon = require('node-gyp-build')(${JSON.stringify(ROOT)});
  const setLimit = (bytes) => {
    const { status, stderr } = spawnSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':']);
    if (status !== 0) throw new Error(String(stderr));
  };
  const withOnly = async (bytes, call) => {
    const taken = 1024 * Number(/^VmSize:\\s+(\\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    setLimit(taken + bytes);
    try {
      return await call();
    } catch (error) {
      return error.code + ' ' + error.message;
    } finally {
      setLimit('unlimited');
    }
  };
  const none = new Float32Array(0);
  const rowsOf = (count) => new Uint8Array(4 * 32 * count).fill(1);
  const convert = (rows, threads) => addon.convertRows({ from: 'f32', to: 'f32', columns: 32, threads }, rows, none, none);
  const openTokenizer = () =>
    addon.openTokenizer(${JSON.stringify({ basePath: demoFile('llama', 'base.gguf'), threads: 1 })}, addon.newStop());
  const openEngine = () => addon.openEngine(${JSON.stringify(demoSpec('gemma'))}, addon.newStop());
`;

function says(body: string): string {
  const program = `${PREPARE} (async () => { ${body} })();`;
  const child = spawnSync(process.execPath, ['-e', program], { cwd: ROOT, encoding: 'utf8', timeout: 120_000 });
  const { status, signal, stderr } = child;
  assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' });
  return child.stdout;
}

describe('where the system grants', { skip: unfit }, () => {
  for (const call of ['openTokenizer()', 'openEngine()', 'convert(rowsOf(2), 1)']) {
    it(`no thread, ${call} throws ERR_INTERNAL, and works again once there is one`, () => {
      const [refused, ...later] = says(`
        console.log(await withOnly(${NO_THREAD}, () => ${call}));
        const opened = await ${call};
        console.log(typeof opened);
        await opened.close?.();
      `).split('\n');
      assert.match(refused ?? '', /^ERR_INTERNAL Expected a thread for native work but received: /);
      assert.deepEqual(later, ['object', '']);
    });
  }

  it('no memory for the copy of an argument, the call throws ERR_INTERNAL', () => {
    const stdout = says(`
      const rows = rowsOf(1e6);
      console.log(await withOnly(${FEW_THREADS} / 2, () => convert(rows, 1)));
      console.log((await convert(rows, 1)).length === rows.length);
    `);
    assert.equal(stdout, 'ERR_INTERNAL Out of memory\ntrue\n');
  });

  it('few threads of many, those convert all rows', () => {
    const stdout = says(`
      const rows = rowsOf(500);
      const converted = await withOnly(${FEW_THREADS}, () => convert(rows, 500));
      console.log(Buffer.compare(Buffer.from(converted), rows));
    `);
    assert.equal(stdout, '0\n');
  });
});
