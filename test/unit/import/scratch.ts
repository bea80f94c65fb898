import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type ErrorCode, PairscoreError } from '../../../lib/errors';

/** A folder that goes when the test file is done. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pairscore-import-unit-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function refused(work: Promise<unknown>, code: ErrorCode, text: RegExp): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof PairscoreError, `Expected a PairscoreError but received ${String(error)}`);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  });
}
