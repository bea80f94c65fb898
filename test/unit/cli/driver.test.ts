import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driverVersion } from '../../../lib/cli/driver';

test('the driver version is found in the words of closed and open kernel modules', () => {
  const closed = 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb 10 01:32:49 UTC 2024';
  const open = 'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (build@x)';
  assert.equal(driverVersion(closed), '535.161.08');
  assert.equal(driverVersion(open), '580.159.04');
});

test('a text without a version gives none', () => {
  assert.equal(driverVersion(''), null);
  assert.equal(driverVersion('NVRM version: something else'), null);
});
