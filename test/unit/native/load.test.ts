import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingFeatures } from '../../../lib/native/load';

const cpu = (flags: string): string => `processor\t: 0\nmodel name\t: X\nflags\t\t: ${flags}\nbugs\t\t: spectre\n`;

test('a CPU with everything lacks nothing', () => {
  assert.deepEqual(missingFeatures(cpu('fpu sse2 avx avx2 bmi1 bmi2 f16c fma')), []);
});

test('an older CPU is told what it lacks', () => {
  assert.deepEqual(missingFeatures(cpu('fpu sse2 avx f16c')), ['avx2', 'fma', 'bmi2']);
});

test('a flag that only contains a name is another flag', () => {
  assert.deepEqual(missingFeatures(cpu('avx2_x fma4 f16c bmi2')), ['avx2', 'fma']);
});

test('a system that tells nothing is not judged', () => {
  assert.deepEqual(missingFeatures(''), []);
  assert.deepEqual(missingFeatures('Processor\t: ARM\nFeatures\t: neon\n'), []);
});
