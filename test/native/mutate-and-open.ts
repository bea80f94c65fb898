/**
 * Child process of mutated-files.test.ts: opens many damaged copies of one model file and prints how each ended.
 * usage: mutate-and-open.ts gemma|llama base|adapter|head FOLDER COUNT
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode } from '../../lib/errors';
import type { NativeAddon } from '../../lib/native/contract';
import { loadAddon } from '../../lib/native/load';
import { demoFile, demoSpec, type DemoModel } from './demo';

/** Where the mutations fall: keys, types, counts, names and shapes, and the first weights. */
const HEADER_BYTES = 3000;
const NASTY = [0, 1, 0xffffffff, 0x7fffffff, 65536] as const;

/** mulberry32: small, seeded, good enough to pick bytes. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function mutate(original: Buffer, seed: number): Buffer {
  const next = random(seed);
  const copy = Buffer.from(original);
  const at = (): number => Math.floor(next() * Math.min(HEADER_BYTES, copy.length - 8));
  for (let left = 1 + Math.floor(next() * 3); left > 0; left--) {
    const kind = next();
    if (kind < 0.5) copy[at()] = Math.floor(next() * 256);
    else if (kind < 0.75) copy.writeUInt32LE(NASTY[Math.floor(next() * NASTY.length)] ?? 0, at());
    else copy.writeBigUInt64LE(BigInt(Math.floor(next() * 2 ** 53)), at());
  }
  return next() < 0.1 ? copy.subarray(0, Math.floor(next() * copy.length)) : copy;
}

async function open(addon: NativeAddon, model: DemoModel, changed: Readonly<Record<string, string>>): Promise<string> {
  const spec = demoSpec(model, changed);
  try {
    const engine = await addon.openEngine(spec, addon.newStop());
    await engine.score(Int32Array.of(2, 5, 6, 7), Int32Array.of(0, 4));
    await engine.close();
    const tokenizer = await addon.openTokenizer({ basePath: spec.basePath, threads: 1 }, addon.newStop());
    await tokenizer.tokenize(['hello <eos> é🍍'], true);
    await tokenizer.close();
    return 'opened';
  } catch (error) {
    return hasErrorCode(error) ? error.code : `no code: ${String(error)}`;
  }
}

async function main(): Promise<void> {
  const [model, file, folder = '', count] = process.argv.slice(2);
  if ((model !== 'gemma' && model !== 'llama') || file === undefined)
    throw new Error('usage: see the head of this file');
  const original = readFileSync(demoFile(model, `${file}.gguf`));
  const path = join(folder, `${file}.gguf`);
  const counts: Record<string, number> = {};
  for (let seed = 1; seed <= Number(count); seed++) {
    writeFileSync(path, mutate(original, seed));
    const outcome = await open(loadAddon(), model, { [`${file}Path`]: path });
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  process.stdout.write(JSON.stringify(counts));
}

void main();
