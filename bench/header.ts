/** What was measured on: printed above every run, so that figures can be compared. */

import { spawnSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { buildInfo } from '../lib/native/engine';
import type { DeviceInfo } from '../lib/native/contract';
import type { PlacedModel } from '../lib/model/place-ensemble';
import type { BenchOptions } from './options';

export const ROOT = join(__dirname, '..');

export interface Header {
  readonly time: string;
  readonly commit: string;
  readonly node: string;
  readonly llama: string;
  readonly flavour: string;
  readonly cpu: string;
  readonly memoryBytes: number;
  readonly devices: readonly DeviceInfo[];
  readonly driver: string;
  readonly settings: BenchOptions;
}

export function readHeader(settings: BenchOptions): Header {
  const { flavour, llamaVersion, devices } = buildInfo();
  return {
    time: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    llama: llamaVersion,
    flavour,
    cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memoryBytes: totalmem(),
    devices,
    driver: output('nvidia-smi', ['--query-gpu=driver_version', '--format=csv,noheader'])?.split('\n')[0] ?? 'none',
    settings,
  };
}

export function headerText(header: Header): string {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const { settings } = header;
  const lines = [
    `pairscore bench, ${header.time}, commit ${header.commit}`,
    `Node ${header.node}, llama.cpp ${header.llama}, addon ${header.flavour}, NVIDIA driver ${header.driver}`,
    `CPU ${header.cpu}, ${gib(header.memoryBytes)}`,
    ...header.devices.map((gpu) => `${gpu.device}: ${gpu.name}, ${gib(gpu.freeBytes)} of ${gib(gpu.totalBytes)} free`),
    `ensemble ${settings.synthetic ? 'synthetic, full size' : settings.ensemble}, ${settings.rows} rows, ${settings.threads} threads, compute ${settings.computes?.join(', ') ?? 'auto'}, weights ${settings.weights ?? 'auto'}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Which file a model is, where it goes, and what memory it was expected to take there. */
export function placeText({ spec, devices, gpuBatchTokens, gpuWeights, gpuMemory }: PlacedModel): string {
  const digest = spec.sha256[relative(spec.folder, spec.base)]?.slice(0, 12) ?? 'unknown';
  const where = `${spec.name} (sha256 of its base ${digest}) on ${devices.join(', ')}`;
  if (gpuMemory === null || devices.every((device) => device === 'cpu')) return `${where}\n`;
  const gib = (gpuMemory.total / 2 ** 30).toFixed(1);
  return `${where}: ${gpuWeights} weights, calls of up to ${gpuBatchTokens} tokens, at most ${gib} GiB on each\n`;
}

/** A tree that travelled without its history says so through the environment. */
function commit(): string {
  const given = process.env['PAIRSCORE_COMMIT'];
  if (given) return given;
  const hash = output('git', ['-C', ROOT, 'rev-parse', '--short', 'HEAD']);
  if (hash === undefined) return 'unknown';
  const changed = output('git', ['-C', ROOT, 'status', '--porcelain', '--untracked-files=no']);
  return changed ? `${hash} with changes` : hash;
}

/** Standard output, or undefined where the program is missing or fails. */
export function output(program: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return status === 0 ? stdout.trim() : undefined;
}
