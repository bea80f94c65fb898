// npm's install script: takes a binary that belongs to these sources and loads here, else builds one.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { hasCurrentStamp, root } from './stamp.mjs';
import { missingTools } from './tools.mjs';

const say = (text) => console.error(`pairscore: ${text}`);

/** What prebuilt binaries are compiled for; lib/native/load.ts looks again before it loads one. */
const prebuiltFeatures = ['avx2', 'fma', 'f16c', 'bmi2'];

function missingFeatures() {
  if (process.arch !== 'x64' || !existsSync('/proc/cpuinfo')) return [];
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
  return flags === undefined ? [] : prebuiltFeatures.filter((feature) => !flags.split(/\s+/).includes(feature));
}

/** In a process of its own: a binary for another CPU ends its process. @returns null, or why it does not load */
function loadFailure(file) {
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', file], {
    encoding: 'utf8',
  });
  if (status === 0) return null;
  return signal ?? /^Error: (.*)$/m.exec(stderr)?.[1] ?? stderr.trim();
}

/** @returns null, or why the binary is not for this machine */
function refusal(file, isPrebuilt) {
  const missing = isPrebuilt ? missingFeatures() : [];
  if (missing.length > 0) return `this CPU lacks ${missing.join(', ')}`;
  return loadFailure(file);
}

function findBinaries() {
  const prebuilds = join('prebuilds', `${process.platform}-${process.arch}`);
  const folders = [join('build', 'Release'), prebuilds].filter((folder) => existsSync(join(root, folder)));
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.node'))
      .map((name) => ({ folder, name: join(folder, name), isPrebuilt: folder === prebuilds })),
  );
}

/** The loader prefers build/Release, so a prebuilt binary counts only where nothing was built. */
function findUsableBinary() {
  const [binary] = findBinaries();
  if (!binary) return null;
  if (!hasCurrentStamp(join(root, binary.folder))) {
    say(`${binary.name} was built from other sources than these`);
    return null;
  }
  const reason = refusal(join(root, binary.name), binary.isPrebuilt);
  if (reason === null) return binary.name;
  say(`${binary.name} is not for this machine: ${reason}`);
  return null;
}

function wantsBuild() {
  const { npm_config_build_from_source: flag, PAIRSCORE_CUDA, PAIRSCORE_NATIVE, LLAMA_CPP_DIR } = process.env;
  return (flag !== undefined && flag !== 'false') || [PAIRSCORE_CUDA, PAIRSCORE_NATIVE, LLAMA_CPP_DIR].some(Boolean);
}

async function buildFromSource() {
  const missing = missingTools();
  if (missing.length > 0) {
    for (const { what, debianPackage } of missing) say(`building needs ${what}: Debian package ${debianPackage}`);
    say(`on Debian: apt-get install ${missing.map(({ debianPackage }) => debianPackage).join(' ')}`);
    return 1;
  }
  say('building the addon from source (about two minutes on two cores)');
  const start = performance.now();
  const file = await build('source');
  const reason = loadFailure(file);
  if (reason !== null) throw new Error(`${file} does not load: ${reason}`);
  say(`built ${file} in ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return 0;
}

async function install() {
  const usable = wantsBuild() ? null : findUsableBinary();
  if (usable === null) return buildFromSource();
  say(`using ${usable}`);
  return 0;
}

try {
  process.exitCode = await install();
} catch (error) {
  say(`the native build failed: ${error.message}`);
  process.exitCode = 1;
}
