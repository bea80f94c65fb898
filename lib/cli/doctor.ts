import { availableParallelism, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { writeStream } from '../csv/write';
import type { BuildInfo, DeviceInfo } from '../native/contract';
import { buildInfo } from '../native/engine';
import type { ModelReport } from '../outcome';
import { openScorer } from '../scorer';
import { BUNDLED_ENSEMBLE } from '../settings';
import type { ScorerFlags } from './flags';
import { VERSION } from './package-root';
import { modelLine } from './summary';

export interface DoctorFlags extends ScorerFlags {
  readonly json?: boolean;
}

interface Diagnosis {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly build: BuildInfo;
  readonly ensemble: string;
  readonly models: readonly ModelReport[];
}

/** Says what this machine and this build can do, and opens an ensemble to see that it can. Throws what stands in the way. */
export async function doctor(flags: DoctorFlags): Promise<void> {
  const { json, ...options } = flags;
  const build = buildInfo();
  const scorer = await openScorer(options);
  await scorer.close();
  const diagnosis = {
    version: VERSION,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    build,
    ensemble: resolve(flags.ensemble ?? BUNDLED_ENSEMBLE),
    models: scorer.models,
  };
  await writeStream(process.stdout, [json === true ? `${JSON.stringify(diagnosis)}\n` : diagnosisText(diagnosis)]);
}

function diagnosisText(diagnosis: Diagnosis): string {
  const { build } = diagnosis;
  const lines = [
    `pairscore ${diagnosis.version}, Node ${diagnosis.node}, ${diagnosis.platform}`,
    `${diagnosis.cores} cores, ${gibibytes(diagnosis.memoryBytes)} of memory`,
    `addon: ${build.flavour}, llama.cpp ${build.llamaVersion}`,
    `compiled for: ${build.systemInfo.trim()}`,
    ...build.devices.map(deviceLine),
    `ensemble ${diagnosis.ensemble} opens:`,
    ...diagnosis.models.map((model) => `  ${modelLine(model)}`),
  ];
  return `${lines.join('\n')}\n`;
}

function deviceLine({ device, name, totalBytes, freeBytes }: DeviceInfo): string {
  return `device ${device}: ${name}, ${gibibytes(freeBytes)} of ${gibibytes(totalBytes)} free`;
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
