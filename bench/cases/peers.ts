/** Case peers: what a user would use instead, on the same rows, each in a process of its own. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBaseFacts } from '../../lib/model/base-facts';
import type { ModelSpec } from '../../lib/model/spec';
import { runForJson, type Printed } from '../json-lines';
import { randomRows, rowLengths } from '../lengths';
import type { BenchOptions } from '../options';
import { findProgram } from '../programs';
import type { CaseReport, Cell } from '../report';
import { ROOT } from '../header';

export interface PeersJob {
  readonly spec: ModelSpec;
  readonly device: string;
  readonly options: BenchOptions;
  /** Our tokens a second of this model on this device, from the case models; null where it was not run. */
  readonly ours: number | null;
}

interface Peer {
  readonly name: string;
  /** null: it cannot be run here, and why. */
  readonly run: (() => Promise<Printed>) | string;
}

const LIMIT_SECONDS = 150;
const MOST_ROWS = 128;
const COLUMNS = ['model', 'device', 'peer', 'mode', 'tokens/s', 'pairscore against it'];

export async function benchPeers(job: PeersJob): Promise<CaseReport> {
  const { spec, device, ours } = job;
  const rows: (readonly Cell[])[] = [];
  const skipped: string[] = [];
  for (const peer of await peersFor(job)) {
    const label = `peer ${peer.name} with ${spec.name} on ${device}`;
    if (typeof peer.run === 'string') {
      skipped.push(`${label}: ${peer.run}`);
      continue;
    }
    const { lines, failure } = await peer.run();
    if (failure !== undefined) skipped.push(`${label}: ${failure}`);
    for (const { peer: name, mode, tokensPerSecond, skipped: why } of lines) {
      if (typeof why === 'string') skipped.push(`${label}, ${String(mode)}: ${why}`);
      if (typeof tokensPerSecond !== 'number') continue;
      const ratio = ours === null ? '-' : `${(ours / tokensPerSecond).toFixed(2)} x`;
      rows.push([spec.name, device, String(name), String(mode), tokensPerSecond, ratio]);
    }
  }
  return { tables: [{ title: 'peers on the same rows', columns: COLUMNS, rows }], skipped };
}

async function peersFor(job: PeersJob): Promise<readonly Peer[]> {
  const rows = await writeRows(job);
  return [llamaPeer(job, rows), nodeLlamaPeer(job, rows), ...(await pythonPeers(job, rows))];
}

/** Token ids, one row a line: what every peer reads. */
async function writeRows({ spec, options }: PeersJob): Promise<string> {
  const folder = join(options.cache, 'peers');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${spec.name}.ids`);
  const lengths = rowLengths(Math.min(options.rows, MOST_ROWS), spec.maxLength);
  // Any id below the smallest vocabulary in use does: a peer may not know the GGUF.
  const lines = randomRows(lengths, await smallestVocabulary(spec)).map((ids) => ids.join(' '));
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** The demo's vocabulary is small, a real one has six digits. */
async function smallestVocabulary(spec: ModelSpec): Promise<number> {
  return (await readBaseFacts(spec.base)).hidden < 1024 ? 1000 : 100_000;
}

function llamaPeer({ spec, device, options }: PeersJob, rows: string): Peer {
  const name = 'llama.cpp';
  const program = findProgram('llama_prefill', options.cache);
  if ('missing' in program) return { name, run: program.missing };
  const where = device === 'cpu' ? 'cpu' : device.slice('cuda:'.length);
  const modes = ['embedding:512', 'embedding:5632', 'logits:5632', 'streams:5632'];
  const args = [spec.base, spec.adapter ?? '-', where, rows, ...modes];
  return { name, run: () => runForJson({ file: program.path, args, limitSeconds: LIMIT_SECONDS }) };
}

function nodeLlamaPeer({ spec, device }: PeersJob, rows: string): Peer {
  const name = 'node-llama-cpp';
  try {
    require.resolve(name);
  } catch {
    return { name, run: 'it is not installed (npm install --no-save node-llama-cpp)' };
  }
  const args = [join(ROOT, 'bench', 'peers', 'node_llama.mjs'), spec.base, device, rows];
  return { name, run: () => runForJson({ file: process.execPath, args, limitSeconds: LIMIT_SECONDS }) };
}

async function pythonPeers({ spec, device }: PeersJob, rows: string): Promise<readonly Peer[]> {
  const python = process.env['PAIRSCORE_PYTHON'] ?? 'python3';
  const facts = JSON.stringify(await readBaseFacts(spec.base));
  return ['transformers_prefill', 'transformers_compiled'].map((script) => {
    const file = join(ROOT, 'bench', 'peers', `${script}.py`);
    const args = [file, device, rows, facts];
    return { name: script, run: () => runForJson({ file: python, args, limitSeconds: LIMIT_SECONDS }) };
  });
}
