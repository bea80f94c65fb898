// What `npm test` prints: every failure in full, every skip with its reason, and one closing line.
import { isAbsolute, relative, resolve } from 'node:path';
import { inspect } from 'node:util';

function place({ file, line }) {
  if (!file) return '';
  const path = relative('', file);
  return line === undefined ? path : `${path}:${line}`;
}

function reasonOf(error) {
  const cause = error?.cause ?? error;
  return inspect(cause, { depth: 4 }).replaceAll(/^/gm, '    ');
}

/** A suite fails with its tests, which have been counted; and so does a file. */
function isEcho({ details }) {
  return details?.error?.failureType === 'subtestsFailed';
}

/** The runner reports a file without tests as one test that passed. */
function isEmptyFile({ name, file, nesting }) {
  return (
    nesting === 0 && file !== undefined && (isAbsolute(name) || name.endsWith('.test.ts')) && resolve(name) === file
  );
}

function describePass(data, count) {
  if (isEmptyFile(data)) {
    count.failed++;
    return `FAILED  ${place(data)}  holds no tests\n`;
  }
  if (data.details?.type === 'suite') return '';
  if (data.skip !== undefined || data.todo !== undefined) {
    count.skipped++;
    const reason = data.skip ?? data.todo;
    return `skipped ${place(data)}  ${data.name}: ${typeof reason === 'string' ? reason : 'no reason given'}\n`;
  }
  count.passed++;
  return '';
}

function describeFail(data, count) {
  if (isEcho(data)) return '';
  count.failed++;
  return `FAILED  ${place(data)}  ${data.name}\n${reasonOf(data.details?.error)}\n`;
}

export default async function* report(events) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const start = performance.now();
  for await (const { type, data } of events) {
    if (type === 'test:pass') yield describePass(data, count);
    if (type === 'test:fail') yield describeFail(data, count);
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
  }
  yield `${((performance.now() - start) / 1000).toFixed(0)} s\n`;
  yield `${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`;
}
