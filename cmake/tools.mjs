// The tools that a build from source needs, and the Debian package of each.
import { spawnSync } from 'node:child_process';

const oldestCmake = [3, 21];

function succeeds(program, args, input) {
  return spawnSync(program, args, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
}

function hasCompiler() {
  const program = '#include <optional>\nint main() { return std::optional<int>(0).value(); }\n';
  const compilers = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++'];
  return compilers.some((compiler) => succeeds(compiler, ['-std=c++17', '-fsyntax-only', '-xc++', '-'], program));
}

function hasCmake() {
  const { stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  if (major === undefined) return false;
  return Number(major) > oldestCmake[0] || (Number(major) === oldestCmake[0] && Number(minor) >= oldestCmake[1]);
}

const tools = [
  { what: 'a C++17 compiler', debianPackage: 'g++', isThere: hasCompiler },
  { what: `cmake ${oldestCmake.join('.')} or newer`, debianPackage: 'cmake', isThere: hasCmake },
  { what: 'git', debianPackage: 'git', isThere: () => succeeds('git', ['--version']) },
  {
    what: 'make or ninja',
    debianPackage: 'make',
    isThere: () => succeeds('ninja', ['--version']) || succeeds('make', ['--version']),
  },
];

/** @returns {{ what: string, debianPackage: string }[]} */
export function missingTools() {
  return tools.filter(({ isThere }) => !isThere()).map(({ what, debianPackage }) => ({ what, debianPackage }));
}
