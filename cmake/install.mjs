// npm's install script: takes a binary that belongs to these sources and loads here, else builds one.
import { findUsableBinary, loadFailure } from './binaries.mjs';
import { build } from './build.mjs';
import { missingTools } from './tools.mjs';

const say = (text) => console.error(`pairscore: ${text}`);

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
  const usable = wantsBuild() ? null : findUsableBinary(say);
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
