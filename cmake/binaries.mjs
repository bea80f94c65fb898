// Which binary this package would load here, and whether it may: the search is node-gyp-build's own, as the loader's is.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, relative, sep } from 'node:path';
import { hasCurrentStamp, root } from './stamp.mjs';

const require = createRequire(import.meta.url);

/** What prebuilt binaries are compiled for; lib/native/load.ts looks again before it loads one. */
const prebuiltFeatures = ['avx2', 'fma', 'f16c', 'bmi2'];

const nameOf = (file) => relative(root, file);
const isPrebuilt = (file) => nameOf(file).split(sep)[0] === 'prebuilds';
/** What a build here made, and a build may replace. */
const isBuilt = (file) => nameOf(file).split(sep)[0] === 'build';

function missingFeatures() {
  if (process.arch !== 'x64' || !existsSync('/proc/cpuinfo')) return [];
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
  return flags === undefined ? [] : prebuiltFeatures.filter((feature) => !flags.split(/\s+/).includes(feature));
}

/** In a process of its own: a binary for another CPU ends its process. @returns null, or why it does not load */
export function loadFailure(file) {
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', file], {
    encoding: 'utf8',
  });
  if (status === 0) return null;
  return signal ?? /^Error: (.*)$/m.exec(stderr)?.[1] ?? stderr.trim();
}

/** @returns null, or why the binary is not to be used here */
function refusal(file) {
  if (!hasCurrentStamp(dirname(file))) return 'was built from other sources than these';
  const missing = isPrebuilt(file) ? missingFeatures() : [];
  if (missing.length > 0) return `is not for this machine: this CPU lacks ${missing.join(', ')}`;
  const failure = loadFailure(file);
  return failure === null ? null : `is not for this machine: ${failure}`;
}

/** @returns the binary that the loader would take, or null */
function nextBinary() {
  try {
    return require('node-gyp-build').path(root);
  } catch {
    return null;
  }
}

/**
 * Asks for one binary after the other in the loader's order. One that a build left here and that cannot be used is set
 * aside, since the loader would take it before any other; one that is not ours to move ends the search.
 * @returns the name of the binary that will be loaded, or null: then everything lies where it lay
 */
export function findUsableBinary(say) {
  const aside = [];
  for (let file = nextBinary(); file !== null; file = nextBinary()) {
    const reason = refusal(file);
    if (reason === null) {
      for (const refused of aside) say(`${nameOf(refused)} is set aside as ${nameOf(refused)}.refused`);
      return nameOf(file);
    }
    say(`${nameOf(file)} ${reason}`);
    if (!isBuilt(file)) break;
    renameSync(file, `${file}.refused`);
    aside.push(file);
  }
  for (const file of aside.reverse()) renameSync(`${file}.refused`, file);
  return null;
}
