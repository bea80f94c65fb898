import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figuresOf } from '../../bench/cases/models';

const SUBJECT = { model: 'm', device: 'cuda:0' };

function figures(used: string, isFirst: boolean, fixedSpeed?: number): Readonly<Record<string, number>> {
  const measured = { used, seconds: 2, tokens: 2000, loadSeconds: 1, firstSeconds: 2.5, fixedSpeed };
  const all = figuresOf(SUBJECT, measured, isFirst);
  assert.ok(all.every(({ model, device }) => model === SUBJECT.model && device === SUBJECT.device));
  return Object.fromEntries(all.map(({ name, value }) => [name, value]));
}

test('the first mode is the usual one, and of its own type as well', () => {
  const opening = { 'open and first batch': 3.5 };
  assert.deepEqual(figures('f16', true, 1100), {
    alone: 1000,
    usual: 1000,
    f16: 1000,
    'fixed shape': 1100,
    'f16 fixed shape': 1100,
    ...opening,
  });
  assert.deepEqual(figures('f32', true), { alone: 1000, usual: 1000, ...opening });
});

test('fp8 that was asked for is not held to what is 16 bits wide', () => {
  assert.deepEqual(figures('fp8', true, 1300), { alone: 1000, fp8: 1000, 'open and first batch': 3.5 });
});

test('the others stand for their type alone', () => {
  assert.deepEqual(figures('bf16', false, 1200), { bf16: 1000, 'bf16 fixed shape': 1200 });
  assert.deepEqual(figures('f16, streamed', false), { streamed: 1000 });
  assert.deepEqual(figures('fp8', false), { fp8: 1000 });
  assert.deepEqual(figures('f32', false), {});
});

test('how long opening and the first batch took is said apart', () => {
  const how = figuresOf(
    SUBJECT,
    { used: 'f32', seconds: 1, tokens: 1, loadSeconds: 1, firstSeconds: 2.5, fixedSpeed: undefined },
    true,
  ).at(-1);
  assert.equal(how?.how, '1.0 + 2.5');
});
