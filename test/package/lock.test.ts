/** cmake/lock.mjs among real processes: that end, hang, are stopped, killed, or were never here. */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from './staging';

const LOCK = pathToFileURL(join(ROOT, 'cmake', 'lock.mjs')).href;

interface Options {
  readonly holdMs: number;
  readonly timeoutMs?: number;
  readonly deadAfterMs?: number;
}

interface Contender {
  readonly child: ChildProcess;
  /** Resolves once it holds the lock. */
  readonly holds: Promise<void>;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string; readonly ms: number }>;
}

describe(
  'the lock of a build folder',
  { skip: process.platform !== 'linux' && 'processes are looked up in /proc' },
  () => {
    let root: string;
    let folder: string;
    let log: string;
    const children: ChildProcess[] = [];

    before(() => {
      root = mkdtempSync(join(tmpdir(), 'pairscore-lock-'));
    });
    beforeEach(() => {
      folder = join(mkdtempSync(join(root, 'case-')), 'claims');
      log = `${folder}.log`;
      mkdirSync(folder);
      writeFileSync(log, '');
    });
    after(() => {
      for (const child of children) child.kill('SIGKILL');
      rmSync(root, { recursive: true, force: true });
    });

    function contend({ holdMs, timeoutMs = 20_000, deadAfterMs = 60_000 }: Options): Contender {
      const text = `
      import { withLock } from ${JSON.stringify(LOCK)};
      import { appendFileSync } from 'node:fs';
      import { setTimeout } from 'node:timers/promises';
      const note = (word) => appendFileSync(${JSON.stringify(log)}, word + ' ' + process.pid + '\\n');
      await withLock(${JSON.stringify(folder)}, async () => {
        note('in');
        console.log('holds');
        await setTimeout(${holdMs});
        note('out');
      }, { pollMs: 20, timeoutMs: ${timeoutMs}, deadAfterMs: ${deadAfterMs} });
    `;
      const began = performance.now();
      const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'pipe'] });
      children.push(child);
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
      const holds = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
      const ended = new Promise<{ code: number | null; stderr: string; ms: number }>((resolve) =>
        child.once('close', (code) => resolve({ code, stderr, ms: performance.now() - began })),
      );
      return { child, holds, ended };
    }

    /** A claim as a process would have left it; text is written as it is. */
    function leave(claim: string | Readonly<Record<string, unknown>>): string {
      const file = join(folder, '1');
      writeFileSync(file, typeof claim === 'string' ? claim : JSON.stringify(claim));
      return file;
    }

    /** What a real holder writes of itself. */
    async function realClaim(): Promise<Readonly<Record<string, unknown>>> {
      const { child, holds, ended } = contend({ holdMs: 60_000 });
      await holds;
      const claim: unknown = JSON.parse(readFileSync(join(folder, '1'), 'utf8'));
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      writeFileSync(log, '');
      assert.ok(typeof claim === 'object' && claim !== null);
      return Object.fromEntries(Object.entries(claim));
    }

    function expectOneAtATime(count: number): void {
      const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
      assert.equal(lines.length, 2 * count, lines.join('; '));
      for (let i = 0; i < lines.length; i += 2) {
        assert.equal(lines[i + 1], lines[i]?.replace('in', 'out'), lines.join('; '));
      }
    }

    for (const [what, prepare] of [
      ['a free folder', async (): Promise<void> => undefined],
      ['a folder whose holder is dead', async (): Promise<void> => void leave(await realClaim())],
      ['a folder whose claim is garbled', async (): Promise<void> => void leave('{"pid":')],
    ] as const) {
      it(`lets eight processes that come at once into ${what} one after the other`, async () => {
        await prepare();
        const many = Array.from({ length: 8 }, () => contend({ holdMs: 30, deadAfterMs: 300 }));
        for (const { ended } of many) {
          const { code, stderr } = await ended;
          assert.equal(code, 0, stderr);
        }
        expectOneAtATime(8);
        assert.deepEqual(readdirSync(folder), [what === 'a free folder' ? '8' : '9'], 'old claims and drafts are gone');
      });
    }

    it('passes from a holder that was killed to those that wait, without being held by two', async () => {
      const holder = contend({ holdMs: 60_000 });
      await holder.holds;
      const waiting = Array.from({ length: 4 }, () => contend({ holdMs: 30 }));
      await sleep(1500);
      assert.equal(readFileSync(log, 'utf8').split('\n').length - 1, 1, 'nobody entered beside the holder');
      holder.child.kill('SIGKILL');
      for (const { ended } of waiting) {
        const { code, stderr, ms } = await ended;
        assert.equal(code, 0, stderr);
        assert.match(stderr, new RegExp(`waiting for process ${holder.child.pid ?? 0}, which began at 20.*claims`));
        assert.ok(ms < 15_000, `${ms} ms`);
      }
      writeFileSync(log, readFileSync(log, 'utf8').split('\n').slice(1).join('\n'));
      expectOneAtATime(4);
    });

    it('is not taken from a holder that is stopped; the wait ends with whom it waited for', async () => {
      const holder = contend({ holdMs: 500 });
      await holder.holds;
      holder.child.kill('SIGSTOP');
      const { code, stderr } = await contend({ holdMs: 1, timeoutMs: 2500, deadAfterMs: 200 }).ended;
      assert.notEqual(code, 0);
      assert.match(stderr, new RegExp(`Expected process ${holder.child.pid ?? 0}, .* to release .*claims within 3 s`));
      holder.child.kill('SIGCONT');
      assert.equal((await holder.ended).code, 0);
      expectOneAtATime(1);
    });

    it('is taken where the number of a dead holder belongs to another process now', async () => {
      const claim = await realClaim();
      leave({ ...claim, pid: process.pid });
      const { code, stderr } = await contend({ holdMs: 1 }).ended;
      assert.equal(code, 0, stderr);
      expectOneAtATime(1);
    });

    it('is taken from a holder that has ended but that nobody has waited for', async () => {
      const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
      children.push(parent);
      const pid = await new Promise<number>((resolve) =>
        parent.stdout.setEncoding('utf8').once('data', (text: string) => resolve(Number(text))),
      );
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      const claim = await realClaim();
      await sleep(500);
      assert.match(readFileSync(`/proc/${pid}/stat`, 'utf8'), /\) Z /);
      leave({ ...claim, pid, start });
      assert.equal((await contend({ holdMs: 1 }).ended).code, 0);
    });

    for (const [what, claim] of [
      ['an empty claim', ''],
      ['a garbled claim', 'pid 12'],
      ["an older version's claim", '1'],
      [
        'a claim of another boot',
        { pid: process.pid, start: '1', space: 'another boot', host: 'elsewhere', since: '?' },
      ],
    ] as const) {
      it(`${what} is respected while its time moves, and taken once it stands still`, async () => {
        const file = leave(claim);
        const beat = setInterval(() => utimesSync(file, new Date(), new Date()), 50);
        const refused = await contend({ holdMs: 1, timeoutMs: 3000, deadAfterMs: 1000 }).ended;
        clearInterval(beat);
        assert.notEqual(refused.code, 0);
        assert.match(refused.stderr, typeof claim === 'string' ? /no readable name/ : /on elsewhere, which began/);
        const { code, stderr, ms } = await contend({ holdMs: 1, deadAfterMs: 1000 }).ended;
        assert.equal(code, 0, stderr);
        assert.ok(ms > 1000, `taken after ${ms} ms`);
        expectOneAtATime(1);
      });
    }

    it('keeps the time of its claim moving while it is held', async () => {
      const holder = contend({ holdMs: 3500 });
      await holder.holds;
      const touched = (): number => statSync(join(folder, '1')).mtimeMs;
      const first = touched();
      await sleep(2600);
      assert.notEqual(touched(), first);
      assert.equal((await holder.ended).code, 0);
    });
  },
);
