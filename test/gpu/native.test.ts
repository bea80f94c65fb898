import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingBuild, runNativeTest } from '../native/native-tests';

const skip = missingBuild() || false;

for (const [target, sentence] of [
  ['kernels_test', 'every kernel gives the results of its CPU twin'],
  ['attention_test', 'attention gives the results of its CPU twin on every path'],
  ['engine_test', "the CUDA engine gives the reference's logits for every tiny model in every mode"],
] as const) {
  test(sentence, { skip }, () => {
    const { status, output } = runNativeTest(target);
    assert.equal(status, 0, output);
    assert.match(output, / 0 failed/);
  });
}
