/** Finds and loads the addon: one built from source where there is one, else the prebuilt one. */

import { readFileSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import nodeGypBuild from 'node-gyp-build';
import { PairscoreError } from '../errors';
import type { NativeAddon } from './contract';

/** What the prebuilt binary's code uses. A build from source asks the compiler for this machine's own. */
const PREBUILT_NEEDS = ['avx2', 'fma', 'f16c', 'bmi2'] as const;

const PACKAGE_ROOT = resolve(__dirname, '..', '..');

let loaded: NativeAddon | undefined;

/** Throws ERR_ADDON with the reason. A failed load is tried again by the next call. */
export function loadAddon(): NativeAddon {
  loaded ??= load(PACKAGE_ROOT);
  return loaded;
}

/** CPU features that the prebuilt binary needs and /proc/cpuinfo does not list. Without a flags line: none known. */
export function missingFeatures(cpuInfo: string): readonly string[] {
  const flags = /^flags\s*:(.*)$/m.exec(cpuInfo)?.[1];
  if (flags === undefined) return [];
  const present = new Set(flags.trim().split(/\s+/));
  return PREBUILT_NEEDS.filter((feature) => !present.has(feature));
}

function load(root: string): NativeAddon {
  const path = findBinary(root);
  // An unsupported instruction would end the process with SIGILL: look before loading.
  if (isPrebuilt(path)) refuseOldCpu(path);
  try {
    const addon: unknown = require(path);
    return addon as NativeAddon;
  } catch (error) {
    throw new PairscoreError('ERR_ADDON', `Expected ${path} to load but received: ${reason(error)}`, { cause: error });
  }
}

function findBinary(root: string): string {
  try {
    return nodeGypBuild.path(root);
  } catch (error) {
    const text = `Expected a built addon under ${root} but received: ${reason(error)}; run "npm rebuild pairscore"`;
    throw new PairscoreError('ERR_ADDON', text, { cause: error });
  }
}

function isPrebuilt(path: string): boolean {
  return path.split(sep).includes('prebuilds');
}

function refuseOldCpu(path: string): void {
  const missing = missingFeatures(readCpuInfo());
  if (missing.length === 0) return;
  const text =
    `Expected a CPU with ${PREBUILT_NEEDS.join(', ')} for ${path} but received one without ${missing.join(', ')}; ` +
    'build it from source with "npm rebuild pairscore --build-from-source"';
  throw new PairscoreError('ERR_ADDON', text);
}

/** '' where the system has no such file: then nothing is known, and the load decides. */
function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.trim() : String(error);
}
