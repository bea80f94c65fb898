import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingBuild, runNativeTest } from './native-tests';

const skip = missingBuild() || false;

for (const [target, sentence] of [
  ['twins_test', "the kernels' CPU twins give ggml's numbers, and rows are packed whole"],
  ['reference_test', "the reference of the CUDA engine gives llama.cpp's logits for every tiny model"],
] as const) {
  test(sentence, { skip }, () => {
    const { status, output } = runNativeTest(target);
    assert.equal(status, 0, output);
    assert.match(output, / 0 failed/);
  });
}
