/** The bench's compiled programs: given ones (PAIRSCORE_BENCH_PROGRAMS), else built by CMake into the cache. */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './header';

export type ProgramName = 'gemm_ceiling' | 'llama_prefill';

/** The path of a program, or why there is none. */
export function findProgram(name: ProgramName, cache: string): { path: string } | { missing: string } {
  const given = process.env['PAIRSCORE_BENCH_PROGRAMS'];
  if (given && existsSync(join(given, name))) return { path: join(given, name) };
  const folder = join(cache, 'programs');
  const failure = build(folder);
  if (existsSync(join(folder, name))) return { path: join(folder, name) };
  return { missing: failure ?? reasonFor(name) };
}

function reasonFor(name: ProgramName): string {
  return name === 'gemm_ceiling'
    ? 'it needs a CUDA toolkit with cuBLASLt to be built'
    : 'it needs the libraries of a build from source (node cmake/build.mjs)';
}

/** CMake builds what the machine has the tools for. Answers the last lines of a failure. */
function build(folder: string): string | undefined {
  const llama = join(ROOT, 'build', 'cmake', 'llama');
  const tree = join(ROOT, 'build');
  const source = existsSync(tree)
    ? readdirSync(tree).find((name) => /^llama\.cpp-[^.]+\.[^.]+\.[^.]+$/.test(name))
    : undefined;
  const settings =
    source && existsSync(llama)
      ? [`-DPAIRSCORE_LLAMA_BUILD=${llama}`, `-DPAIRSCORE_LLAMA_SOURCE=${join(tree, source)}`]
      : [];
  return run(['-S', join(ROOT, 'bench'), '-B', folder, ...settings]) ?? run(['--build', folder]);
}

function run(args: readonly string[]): string | undefined {
  const { error, status, stdout, stderr } = spawnSync('cmake', args, { encoding: 'utf8' });
  if (error) return `cmake cannot be run: ${error.message}`;
  return status === 0 ? undefined : `cmake failed: ${`${stdout}\n${stderr}`.trim().split('\n').slice(-3).join(' / ')}`;
}
