import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runChild } from './children';

const MEGABYTE = 2 ** 20;

/** AddressSanitizer keeps freed memory aside: a resident set says nothing then. */
const skip = process.env['PAIRSCORE_SANITIZED'] === undefined ? false : 'memory is not measured under the sanitizers';

/** Calls in waves of eight, a few of them aborted; prints the resident set after each thousand. */
const TEN_THOUSAND_CALLS = `
  const scorer = await pairscore.openScorer({ threads: 1 });
  const sizes = [];
  for (let thousand = 0; thousand < 11; thousand += 1) {
    for (let wave = 0; wave < 125; wave += 1) {
      const controller = new AbortController();
      const calls = Array.from({ length: 8 }, (_, i) => scorer.scorePair(
        { prompt: 'q' + wave, responseA: 'a'.repeat(i), responseB: 'b' },
        i === 7 && wave % 10 === 0 ? { signal: controller.signal } : {},
      ));
      if (wave % 10 === 0) controller.abort();
      await Promise.allSettled(calls);
    }
    global.gc();
    sizes.push(process.memoryUsage().rss);
  }
  await scorer.close();
  console.log(JSON.stringify(sizes));
`;

it('10,000 scorePair calls leave the resident set flat', { skip, timeout: 600_000 }, async () => {
  const { code, stdout, stderr } = await runChild(TEN_THOUSAND_CALLS, ['--expose-gc']);
  assert.equal(code, 0, stderr);
  const sizes: unknown = JSON.parse(stdout);
  assert.ok(Array.isArray(sizes) && sizes.length === 11);
  const megabytes = sizes.map((size) => Number(size) / MEGABYTE);
  // The first thousand warms up: the JIT, the arenas of malloc, the tokenizer's check.
  const growth = (megabytes.at(-1) ?? Infinity) - (megabytes[0] ?? 0);
  assert.ok(growth < 12, `grew by ${growth.toFixed(1)} MB: ${megabytes.map((size) => size.toFixed(0)).join(', ')}`);
});

it('opening and closing again and again leaves the resident set flat', { skip, timeout: 600_000 }, async () => {
  const { code, stdout, stderr } = await runChild(
    `
    const sizes = [];
    for (let i = 0; i < 25; i += 1) {
      const scorer = await pairscore.openScorer({ threads: 1 });
      await scorer.scorePair(pair);
      await scorer.close();
      global.gc();
      sizes.push(process.memoryUsage().rss);
    }
    console.log(JSON.stringify(sizes));
  `,
    ['--expose-gc'],
  );
  assert.equal(code, 0, stderr);
  const sizes: unknown = JSON.parse(stdout);
  assert.ok(Array.isArray(sizes) && sizes.length === 25);
  const megabytes = sizes.map((size) => Number(size) / MEGABYTE);
  const growth = (megabytes.at(-1) ?? Infinity) - (megabytes[9] ?? 0);
  assert.ok(growth < 25, `grew by ${growth.toFixed(1)} MB: ${megabytes.map((size) => size.toFixed(0)).join(', ')}`);
});
