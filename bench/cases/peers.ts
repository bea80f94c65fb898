/** Case peers: what a user would use instead, on the same rows, each in a process of its own. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBaseFacts } from '../../lib/model/base-facts';
import type { ModelSpec } from '../../lib/model/spec';
import { bestFigure, type Figure, type FigureName } from '../figures';
import { runForJson, type Printed } from '../json-lines';
import { randomRows, rowLengths } from '../lengths';
import type { BenchOptions } from '../options';
import { findProgram } from '../programs';
import { cellText, type CaseReport, type Cell } from '../report';
import { ROOT } from '../header';

export interface PeersJob {
  readonly spec: ModelSpec;
  readonly device: string;
  readonly options: BenchOptions;
  /** Of the case models: our own speed of this model on this device. */
  readonly figures: readonly Figure[];
}

interface Peer {
  readonly name: string;
  /** null: it cannot be run here, and why. */
  readonly run: (() => Promise<Printed>) | string;
}

const LIMIT_SECONDS = 150;
/** Each of two types is compiled for a minute. */
const COMPILED_LIMIT_SECONDS = 240;
const TITLE = 'peers on the same rows, each alone, in this order, after our own cases';
const COLUMNS = ['model', 'device', 'peer', 'mode', 'tokens/s', 'pairscore against it'];

export async function benchPeers(job: PeersJob): Promise<CaseReport> {
  const { spec, device } = job;
  const rows: (readonly Cell[])[] = [];
  const skipped: string[] = [];
  const figures: Figure[] = [];
  for (const peer of await peersFor(job)) {
    const label = `peer ${peer.name} with ${spec.name} on ${device}`;
    if (typeof peer.run === 'string') {
      skipped.push(`${label}: ${peer.run}`);
      continue;
    }
    const started = performance.now();
    const { lines, failure } = await peer.run();
    process.stderr.write(`${label} took ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
    if (failure !== undefined) skipped.push(`${label}: ${failure}`);
    for (const { peer: name, mode, tokensPerSecond, skipped: why } of lines) {
      if (typeof why === 'string') skipped.push(`${label}, ${String(mode)}: ${why}`);
      if (typeof tokensPerSecond !== 'number') continue;
      process.stderr.write(`  ${String(mode)}: ${cellText(tokensPerSecond)} tokens/s\n`);
      const found = figuresOf(String(name), String(mode)).map((figure) => {
        return { name: figure, model: spec.name, device, value: tokensPerSecond, how: String(mode) };
      });
      figures.push(...found);
      rows.push([
        spec.name,
        device,
        String(name),
        String(mode),
        tokensPerSecond,
        ratio(job, figuresOf(String(name), String(mode)), tokensPerSecond),
      ]);
    }
  }
  return { tables: [{ title: TITLE, columns: COLUMNS, rows }], skipped, figures };
}

/** What a peer's figure stands for in the table of targets. */
export function figuresOf(peer: string, mode: string): readonly FigureName[] {
  if (peer === 'torch.compile') return [mode.startsWith('f16') ? 'torch.compile f16' : 'torch.compile'];
  if (peer === 'transformers') return mode.includes('sdpa, merged') ? ['transformers'] : [];
  if (peer !== 'llama.cpp') return [];
  return mode === 'embedding, ubatch 512' ? ['llama.cpp', 'llama.cpp embedding'] : ['llama.cpp'];
}

/** Of ours at the peer's shape, and there in its type; else of what a user gets. */
function ratio({ spec, device, figures }: PeersJob, peer: readonly FigureName[], speed: number): string {
  const name = peer.includes('torch.compile')
    ? 'bf16 fixed shape'
    : peer.includes('torch.compile f16')
      ? 'f16 fixed shape'
      : 'usual';
  const ours = bestFigure(figures, { name, model: spec.name, device });
  return ours === undefined ? '-' : `${(ours.value / speed).toFixed(2)} x`;
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
  const lengths = rowLengths(Math.min(options.rows, options.peerRows), spec.maxLength);
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
  const modes = ['embedding:512', 'logits:5632', 'streams:5632'];
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
  const scripts = { transformers_prefill: LIMIT_SECONDS, transformers_compiled: COMPILED_LIMIT_SECONDS };
  return Object.entries(scripts).map(([name, limitSeconds]) => {
    const args = [join(ROOT, 'bench', 'peers', `${name}.py`), device, rows, facts];
    return { name, run: () => runForJson({ file: python, args, limitSeconds }) };
  });
}
