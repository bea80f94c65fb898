// One process at a time in a folder, among processes that may end at any moment, be on another machine, or be long dead.
//
// A lock is a folder of numbered claims, and the highest number holds it. A claim appears whole and under one name only
// once (link), so of many that see the same dead holder one gets the next number and nobody's file is ever removed from
// under him. A released claim stays, marked: numbers never start again. A killed process releases nothing; the next one sees
// that it is gone: by its start time where it can be looked up, else by its claim's time standing still.
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout } from 'node:timers/promises';

const HEARTBEAT_MS = 2000;
const defaults = { timeoutMs: 60 * 60_000, pollMs: 500, deadAfterMs: 30_000, say: (text) => console.error(text) };

/** @returns what reading gives, or null */
function attempt(read) {
  try {
    return read();
  } catch {
    return null;
  }
}

/**
 * In clock ticks since boot, field 22: with the boot's id it names a process for good, as its number alone does not.
 * @returns 'ended' for a zombie, null where nothing can be looked up
 */
function startTime(pid) {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return 'ZX'.includes(fields[0]) ? 'ended' : fields[19];
}

/** Where process numbers mean the same thing: one boot of one machine, one namespace of one container. */
function processSpace() {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'));
  return boot === null ? null : `${boot} ${namespace}`;
}

function ownClaim() {
  const { pid } = process;
  const since = new Date().toISOString();
  return { pid, start: startTime(pid), space: processSpace(), host: hostname(), since, released: false };
}

function exists(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** @returns 'free', 'held', or 'unknown' where only the claim's time can tell */
function judge(claim) {
  if (claim?.released === true) return 'free';
  if (!Number.isInteger(claim?.pid) || typeof claim.start !== 'string') return 'unknown';
  if (claim.space === null || claim.space !== processSpace()) return 'unknown';
  const start = startTime(claim.pid);
  if (start === null) return exists(claim.pid) ? 'held' : 'free';
  return start === claim.start ? 'held' : 'free';
}

/** @returns the highest claim: its number, what it says (null where it is no claim) and when it was touched */
function readHighest(folder) {
  const numbers = readdirSync(folder).filter((name) => /^\d+$/.test(name));
  const number = Math.max(0, ...numbers.map(Number));
  if (number === 0) return { number, claim: { released: true }, touched: 0 };
  const file = join(folder, String(number));
  const touched = attempt(() => statSync(file).mtimeMs) ?? 0;
  return { number, claim: attempt(() => JSON.parse(readFileSync(file, 'utf8'))), touched };
}

function writeClaim(folder, claim) {
  const draft = join(folder, `draft-${process.pid}-${process.hrtime.bigint()}`);
  writeFileSync(draft, JSON.stringify(claim));
  return draft;
}

/** @returns the claim's file, or null where another was faster */
function claimNext(folder, { number }) {
  const draft = writeClaim(folder, ownClaim());
  const file = join(folder, String(number + 1));
  try {
    linkSync(draft, file);
  } catch (error) {
    if (error.code === 'EEXIST' || error.code === 'ENOENT') return null;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  // What was seen may be long past: by now later numbers may have come, and gone with this one.
  if (readHighest(folder).number === number + 1) return file;
  rmSync(file, { force: true });
  return null;
}

function release(folder, file) {
  attempt(() => renameSync(writeClaim(folder, { ...ownClaim(), released: true }), file));
}

function removeOlder(folder, file) {
  const number = Number(basename(file));
  for (const name of readdirSync(folder)) {
    if (/^\d+$/.test(name) && Number(name) < number) rmSync(join(folder, name), { force: true });
  }
}

function describe(claim) {
  if (!Number.isInteger(claim?.pid)) return 'a process that left no readable name';
  const elsewhere = claim.space === processSpace() ? '' : ` on ${claim.host ?? 'another machine'}`;
  return `process ${claim.pid}${elsewhere}, which began at ${claim.since ?? 'an unknown time'}`;
}

/** Waits until the lock is free, or its holder has been still for so long that it must be dead. @returns the claim's file */
async function acquire(folder, { timeoutMs, pollMs, deadAfterMs, say }) {
  const began = performance.now();
  let watched = { number: 0, touched: 0, since: began };
  let told = 0;
  for (;;) {
    mkdirSync(folder, { recursive: true });
    const highest = readHighest(folder);
    const { number, touched, claim } = highest;
    const now = performance.now();
    if (watched.number !== number || watched.touched !== touched) watched = { number, touched, since: now };
    const state = judge(claim);
    const still = state === 'unknown' && now - watched.since >= deadAfterMs;
    const file = state === 'free' || still ? claimNext(folder, highest) : null;
    if (file !== null) return file;
    if (now - began >= timeoutMs) {
      const waited = `${Math.round(timeoutMs / 1000)} s`;
      throw new Error(
        `Expected ${describe(claim)} to release ${folder} within ${waited}; if it hangs, end it and retry`,
      );
    }
    if (state !== 'free' && told !== number) say(`waiting for ${describe(claim)}, to release ${folder}`);
    told = number;
    await setTimeout(pollMs);
  }
}

/** @returns what work returns; throws where the lock was not free in time */
export async function withLock(folder, work, options = {}) {
  const file = await acquire(folder, { ...defaults, ...options });
  removeOlder(folder, file);
  const heartbeat = setInterval(() => attempt(() => utimesSync(file, new Date(), new Date())), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    release(folder, file);
  }
}
