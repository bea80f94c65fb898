// Which sources a binary was built from. A stamp lies beside each binary: the package's version and a digest of
// everything that CMake reads, so that a binary of another version or of older sources is never taken for this one's.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

function sourceFiles() {
  const native = readdirSync(join(root, 'native'), { recursive: true }).filter((name) => /\.\w+$/.test(name));
  const cmake = readdirSync(join(root, 'cmake')).filter((name) => name.endsWith('.cmake'));
  return ['CMakeLists.txt', ...native.map((name) => `native/${name}`), ...cmake.map((name) => `cmake/${name}`)].sort();
}

export function currentStamp() {
  const digest = createHash('sha256');
  for (const name of sourceFiles())
    digest
      .update(`${name}\0`)
      .update(readFileSync(join(root, name)))
      .update('\0');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return `${version} ${digest.digest('hex')}\n`;
}

export function writeStamp(folder, stamp) {
  writeFileSync(join(folder, 'pairscore.stamp'), stamp);
}

export function hasCurrentStamp(folder) {
  const file = join(folder, 'pairscore.stamp');
  return existsSync(file) && readFileSync(file, 'utf8') === currentStamp();
}
