import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Both lib/cli/ and dist/cli/ are two folders below the package. */
const PACKAGE_ROOT = resolve(__dirname, '..', '..');

/** The rows that predict scores without arguments. */
export const BUNDLED_PAIRS = join(PACKAGE_ROOT, 'models', 'demo', 'test.csv');

export const VERSION = readVersion();

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return hasVersion ? String(manifest.version) : 'unknown';
}
