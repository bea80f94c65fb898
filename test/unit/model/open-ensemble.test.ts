import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { threadsPerEngine } from '../../../lib/model/open-ensemble';

describe('threadsPerEngine', () => {
  it('shares the threads between the models on the CPU', () => {
    assert.equal(threadsPerEngine(8, [['cpu'], ['cpu']]), 4);
    assert.equal(threadsPerEngine(8, [['cpu'], ['cpu'], ['cpu']]), 2);
  });

  it('gives all threads to the only model on the CPU, and to engines on GPUs', () => {
    assert.equal(threadsPerEngine(8, [['cpu'], ['cuda:0']]), 8);
    assert.equal(threadsPerEngine(8, [['cuda:0'], ['cuda:0', 'cuda:1']]), 8);
  });

  it('gives at least one thread where models outnumber threads', () => {
    assert.equal(threadsPerEngine(1, [['cpu'], ['cpu']]), 1);
  });
});
