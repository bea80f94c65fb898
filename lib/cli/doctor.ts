import { availableParallelism, totalmem } from 'node:os';
import type { WeightStorage } from '../compute';
import { writeStream } from '../csv/write';
import { readEnsemble, type EnsembleSpec } from '../model/ensemble';
import type { MemoryEstimate } from '../model/memory';
import { overriddenModels } from '../model/open-ensemble';
import { placeEnsemble } from '../model/place-ensemble';
import type { BuildInfo, DeviceInfo } from '../native/contract';
import { buildInfo } from '../native/engine';
import type { ModelReport } from '../outcome';
import { openScorer } from '../scorer';
import { checkOptions, type Settings } from '../settings';
import { readDriverVersion } from './driver';
import { toFailure } from './failure';
import type { ScorerFlags } from './flags';
import { VERSION } from './package-root';
import { leftOutLine, modelLine } from './summary';

export interface DoctorFlags extends ScorerFlags {
  readonly json?: boolean;
}

/** Where a model goes, known before anything is loaded. */
interface Place {
  readonly name: string;
  readonly devices: readonly string[];
  readonly gpuBatchTokens: number;
  readonly gpuWeights: WeightStorage;
  readonly gpuMemory: MemoryEstimate | null;
}

interface Diagnosis {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly driver: string | null;
  readonly build: BuildInfo;
  readonly ensemble: string;
  /** [] where the ensemble does not fit. */
  readonly places: readonly Place[];
  /** [] where the ensemble does not open. */
  readonly models: readonly ModelReport[];
  /** Folders of models of weight 0. */
  readonly leftOut: readonly string[];
  readonly failure: Error | undefined;
}

/** Says what this machine and this build can do, and whether an ensemble fits and opens; then throws what stands in the way. */
export async function doctor(flags: DoctorFlags, signal: AbortSignal): Promise<void> {
  const { json, ...options } = flags;
  const settings = checkOptions(options);
  const build = buildInfo();
  let places: readonly Place[] = [];
  let leftOut: readonly string[] = [];
  let models: readonly ModelReport[] = [];
  let failure: Error | undefined;
  try {
    const ensemble = await readEnsemble(settings.ensemble);
    ({ leftOut } = ensemble);
    places = await placesOf(ensemble, settings, build.devices);
    signal.throwIfAborted();
    const scorer = await openScorer({ ...options, signal });
    await scorer.close();
    signal.throwIfAborted();
    models = scorer.models;
  } catch (error) {
    // Stopped half-way, it would tell of an ensemble that does not open.
    signal.throwIfAborted();
    failure = error instanceof Error ? error : new Error(String(error));
  }
  const diagnosis = { ...machine(), build, ensemble: settings.ensemble, places, models, leftOut, failure };
  await writeStream(process.stdout, [json === true ? jsonOf(diagnosis) : diagnosisText(diagnosis)]);
  if (failure !== undefined) throw failure;
}

function machine() {
  return {
    version: VERSION,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    driver: readDriverVersion(),
  };
}

async function placesOf(
  ensemble: EnsembleSpec,
  settings: Settings,
  devices: readonly DeviceInfo[],
): Promise<readonly Place[]> {
  const placed = await placeEnsemble(overriddenModels(ensemble, settings), devices, settings);
  return placed.map(({ spec, ...place }) => ({ name: spec.name, ...place }));
}

function jsonOf(diagnosis: Diagnosis): string {
  const { failure, ...facts } = diagnosis;
  const said = failure === undefined ? null : toFailure(failure);
  return `${JSON.stringify({ ...facts, failure: said })}\n`;
}

function diagnosisText(diagnosis: Diagnosis): string {
  const { build, driver, failure, ensemble } = diagnosis;
  const verdict =
    failure === undefined ? 'opens' : diagnosis.places.length > 0 ? 'fits, but does not open' : 'cannot be placed';
  const lines = [
    `pairscore ${diagnosis.version}, Node ${diagnosis.node}, ${diagnosis.platform}`,
    `${diagnosis.cores} cores, ${gibibytes(diagnosis.memoryBytes)} of memory, NVIDIA driver ${driver ?? 'none'}`,
    `addon: ${build.flavour}, llama.cpp ${build.llamaVersion}`,
    `compiled for: ${build.systemInfo.trim()}`,
    ...build.devices.map(deviceLine),
    ...diagnosis.places.map(placeLine),
    `ensemble ${ensemble} ${verdict}${diagnosis.models.length > 0 ? ':' : ''}`,
    ...diagnosis.models.map((model) => `  ${modelLine(model)}`),
    ...diagnosis.leftOut.map((folder) => `  ${leftOutLine(folder)}`),
  ];
  return `${lines.join('\n')}\n`;
}

function deviceLine({ device, name, totalBytes, freeBytes }: DeviceInfo): string {
  return `device ${device}: ${name}, ${gibibytes(freeBytes)} of ${gibibytes(totalBytes)} free`;
}

function placeLine({ name, devices, gpuBatchTokens, gpuWeights, gpuMemory }: Place): string {
  const where = `model ${name} goes on ${devices.join(', ')}`;
  if (gpuMemory === null || devices.every((device) => device === 'cpu')) return where;
  const { weights, cache, scratch, total } = gpuMemory;
  const kept = gpuWeights === 'auto' ? '' : `${gpuWeights} `;
  const cached = cache === 0 ? '' : `keys and values ${gibibytes(cache)}, `;
  const parts = `${kept}weights ${gibibytes(weights)}, ${cached}scratch ${gibibytes(scratch)}`;
  return `${where}, at most ${gibibytes(total)} on each GPU (${parts}) with batches of ${gpuBatchTokens} tokens`;
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
