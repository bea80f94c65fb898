import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const buildFolder = join(__dirname, '..', '..', 'build', 'cmake');

/** Why the tests in C++ cannot run here, or ''. */
export function missingBuild(): string {
  return existsSync(join(buildFolder, 'CMakeCache.txt')) ? '' : 'this checkout has no native build of its own';
}

export interface NativeRun {
  readonly status: number | null;
  readonly output: string;
}

/** Builds a target of cmake/native-tests.cmake and runs it; its files go to a folder that is gone afterwards. */
export function runNativeTest(target: string): NativeRun {
  const built = spawnSync('cmake', ['--build', buildFolder, '--target', target], { encoding: 'utf8' });
  if (built.status !== 0) return { status: built.status, output: built.stdout + built.stderr };
  const folder = mkdtempSync(join(tmpdir(), 'pairscore-'));
  try {
    const environment = { ...process.env, TMPDIR: folder };
    const ran = spawnSync(join(buildFolder, 'native-tests', target), [], { encoding: 'utf8', env: environment });
    return { status: ran.status, output: ran.stdout + ran.stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
