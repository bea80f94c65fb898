#!/usr/bin/env node
// npm run prebuild: prebuilds/<platform>-<arch>/*.node for CPUs of the AVX2 class, with the C++ runtime inside, and with
// PAIRSCORE_CUDA=on for GPUs too.
// prebuildify names, strips and places the binary; where it would call node-gyp it calls this very file, which builds
// with CMake: no node-gyp, no Python and no Node headers are needed.
import { createRequire } from 'node:module';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from './build.mjs';
import { currentStamp, root, writeStamp } from './stamp.mjs';

const require = createRequire(import.meta.url);
/** prebuildify looks for the binary in build/Release under its working folder; ours is not the developer's. */
const workFolder = join(root, 'build', 'prebuild');

async function prebuild() {
  const stamp = currentStamp();
  const prebuilds = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(workFolder, { recursive: true });
  rmSync(prebuilds, { recursive: true, force: true });
  await promisify(require('prebuildify'))({
    name: 'pairscore',
    cwd: workFolder,
    out: root,
    targets: [process.version],
    napi: true,
    strip: true,
    tagLibc: true,
    nodeGyp: fileURLToPath(import.meta.url),
  });
  writeStamp(prebuilds, stamp);
  console.error(`pairscore: the prebuilt binary is in ${prebuilds}`);
}

try {
  if (process.argv[2] === 'rebuild') await build('prebuild');
  else await prebuild();
} catch (error) {
  console.error(`pairscore: no prebuilt binary: ${error.message}`);
  process.exitCode = 1;
}
