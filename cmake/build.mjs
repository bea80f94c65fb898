// Builds pairscore.node with cmake-js. `node cmake/build.mjs [source|prebuild|sanitize]`, or build() from a script.
// Incremental: a second call compiles only what changed, and a failed one leaves every object that did compile.
import { createRequire } from 'node:module';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { withLock } from './lock.mjs';
import { currentStamp, root, writeStamp } from './stamp.mjs';

const require = createRequire(import.meta.url);
const buildFolder = join(root, 'build');

/** Each has its own objects; all share the unpacked llama.cpp. `output` is the folder that gets pairscore.node. */
const profiles = {
  source: { work: 'cmake', output: 'Release', switches: {} },
  prebuild: {
    work: 'cmake-prebuild',
    output: 'prebuild/build/Release',
    // For GPUs too where that is asked for by name: a release must not depend on what the machine happens to have.
    switches: {
      PAIRSCORE_NATIVE: 'OFF',
      PAIRSCORE_STATIC_RUNTIME: 'ON',
      PAIRSCORE_CUDA: process.env.PAIRSCORE_CUDA === 'on' ? 'on' : 'off',
    },
  },
  sanitize: {
    work: 'cmake-sanitize',
    output: 'sanitize/build/Release',
    switches: { PAIRSCORE_SANITIZE: 'address,undefined', PAIRSCORE_CUDA: 'off' },
  },
};

/** The switches of options.cmake and llama.cmake that a user may set in the environment. */
const environmentSwitches = [
  'PAIRSCORE_CUDA',
  'PAIRSCORE_GGML_CUDA',
  'PAIRSCORE_GGML_CUBLAS',
  'PAIRSCORE_CUBLAS_INCLUDE',
  'CMAKE_CUDA_ARCHITECTURES',
  'PAIRSCORE_NATIVE',
  'PAIRSCORE_STATIC_RUNTIME',
  'LLAMA_CPP_DIR',
];

function cmakeSwitches(profile) {
  const chosen = environmentSwitches.filter((name) => process.env[name] !== undefined);
  return {
    ...Object.fromEntries(chosen.map((name) => [name, process.env[name]])),
    ...profile.switches,
    PAIRSCORE_OUTPUT_DIR: join(buildFolder, profile.output),
  };
}

/** Compilers of llama.cpp's larger files take about 1 GiB each. */
function jobCount() {
  const asked = Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL);
  if (Number.isInteger(asked) && asked > 0) return asked;
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 30)));
}

/** CMake refuses to change the generator of a folder, for instance after ninja was installed. */
function cachedGenerator(workFolder) {
  const cache = join(workFolder, 'CMakeCache.txt');
  if (!existsSync(cache)) return undefined;
  return /^CMAKE_GENERATOR:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1];
}

/** @returns the path of the built addon */
export async function build(profileName = 'source') {
  const profile = profiles[profileName];
  if (!profile) throw new Error(`Expected one of ${Object.keys(profiles).join(', ')} but received "${profileName}"`);
  const { BuildSystem } = require('cmake-js');
  const out = join(buildFolder, profile.work);
  mkdirSync(out, { recursive: true });
  const say = (text) => console.error(`pairscore: ${text}`);
  // Two ninjas in one folder spoil each other's objects.
  const work = async () => {
    const system = new BuildSystem({
      directory: root,
      out,
      config: 'Release',
      generator: cachedGenerator(out),
      cMakeOptions: cmakeSwitches(profile),
      parallel: String(jobCount()),
    });
    const stamp = currentStamp();
    await system.configure();
    await system.build();
    writeStamp(join(buildFolder, profile.output), stamp);
    return join(buildFolder, profile.output, 'pairscore.node');
  };
  return withLock(`${out}.claims`, work, { say });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.error(`pairscore: built ${await build(process.argv[2])}`);
  } catch (error) {
    console.error(`pairscore: the native build failed: ${error.message}`);
    process.exitCode = 1;
  }
}
