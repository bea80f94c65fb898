// npm run sanitize: the native tests on an addon built with AddressSanitizer and UndefinedBehaviorSanitizer, llama.cpp
// and ggml included. Any report fails the run. Of leaks, only those that node itself makes are let pass.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../cmake/build.mjs';
import { findTests, root, runTests } from './runner.mjs';

const folder = join(root, 'build', 'sanitize');
const reports = join(folder, 'reports');
const suppressions = join(root, 'test', 'sanitize.supp');

/** node is not built with the sanitizer, so its runtime, and the C++ one it wraps, must be there before node starts. */
function runtimes() {
  return ['libasan.so', 'libstdc++.so'].map((name) => {
    const { stdout } = spawnSync(process.env.CXX ?? 'g++', [`-print-file-name=${name}`], { encoding: 'utf8' });
    return stdout.trim();
  });
}

/** What the test processes run under. An error ends its process, which fails its test; a leak is only reported. */
function environment(detectLeaks) {
  return {
    LD_PRELOAD: runtimes().join(' '),
    // node-gyp-build looks for the addon here.
    PAIRSCORE_PREBUILD: folder,
    // For tests that measure time or memory: they have nothing to say about this binary.
    PAIRSCORE_SANITIZED: '1',
    ASAN_OPTIONS: `detect_leaks=${detectLeaks}:abort_on_error=1:log_path=${reports}/address`,
    LSAN_OPTIONS: 'exitcode=0',
    UBSAN_OPTIONS: `print_stacktrace=1:halt_on_error=1:abort_on_error=1:suppressions=${suppressions}`,
  };
}

/** Without the preloaded runtime a sanitized addon refuses to load: so the tests do run on one. */
function assertSanitized(addon) {
  const { stderr } = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', addon], { encoding: 'utf8' });
  if (!stderr.includes('ASan runtime does not come first')) throw new Error(`${addon} is not sanitized: ${stderr}`);
}

/**
 * Memory that our code, or llama.cpp for it, asked for: frames name the source file, or no symbol but the addon.
 * V8's own heap, and what node keeps for an external value until it is collected, is not given back by an exit.
 */
function isOurs(block) {
  if (/#1 \S+ in (v8::|node::|napi_create_external )/.test(block)) return false;
  return [join(root, 'native/'), '/llama.cpp', 'pairscore.node'].some((name) => block.includes(name));
}

function isLeakReport(report) {
  return report.includes('ERROR: LeakSanitizer: detected memory leaks');
}

/** @returns the parts of the reports that count */
function findings() {
  const texts = readdirSync(reports).map((name) => readFileSync(join(reports, name), 'utf8'));
  const leaks = texts
    .filter(isLeakReport)
    .flatMap((text) => text.split(/\n\n/).filter((part) => part.includes('leak of')));
  return [...texts.filter((text) => !isLeakReport(text)), ...leaks.filter(isOurs)];
}

assertSanitized(await build('sanitize'));
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });
// Not the doors and the kernels: they run compilers.
const files = findTests({ gpu: false, filters: ['test/native/'] }).filter((name) => !/\/(doors|kernels)\./.test(name));
// Leaks are looked for where engines are closed before the process ends: LeakSanitizer itself crashes on threads that
// are just going away, as they do where a test exits in the middle of work.
const ofLives = files.filter((name) => /\/(scorer|exit)/.test(name));
const ofCalls = files.filter((name) => !ofLives.includes(name));
const statuses = [runTests(ofCalls, { env: environment(1) }), runTests(ofLives, { env: environment(0) })];
const found = findings();
for (const finding of found) console.error(finding);
console.log(`sanitize: ${found.length} findings in the reports of AddressSanitizer and LeakSanitizer`);
process.exitCode = statuses.some((status) => status !== 0) || found.length > 0 ? 1 : 0;
