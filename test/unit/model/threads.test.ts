import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadsPerEngine } from '../../../lib/model/open-ensemble';

test('models on the CPU share the threads, a model on a GPU takes none', () => {
  assert.equal(threadsPerEngine(16, [['cpu'], ['cpu']]), 8);
  assert.equal(threadsPerEngine(16, [['cpu'], ['cuda:0']]), 16);
  assert.equal(threadsPerEngine(16, [['cpu', 'cuda:0'], ['cpu'], ['cpu']]), 5);
});

test('every engine has a thread, even where there are more engines than threads', () => {
  assert.equal(threadsPerEngine(1, [['cpu'], ['cpu']]), 1);
  assert.equal(threadsPerEngine(2, [['cuda:0']]), 2);
});
