import { copyFile, open } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PairscoreError } from '../errors';
import { digestFiles } from '../model/digest';
import { type Manifest, manifestSchema } from '../model/manifest';
import { writeAdapter, writeHead } from './adapter-write';
import { compareTokenizers } from './compare-tokenizers';
import type { ImportPlan, ImportWatch } from './import-model';
import { hasAdapter, type ImportReport, reportOf } from './report';

/** Writes the files of a plan; the manifest last, since a folder without one is never loaded. */
export async function writeFolder(plan: ImportPlan, folder: string, watch: ImportWatch): Promise<ImportReport> {
  let done = 0;
  const totalBytes = plan.base.outputBytes;
  const baseDigest = await plan.base.write(join(folder, 'base.gguf'), (tensor, bytes) => {
    done += bytes;
    if (watch.signal.aborted)
      throw new PairscoreError('ERR_ABORTED', 'The import was aborted', { cause: watch.signal.reason });
    watch.onProgress({ doneBytes: done, totalBytes, tensor });
  });
  const adapter = hasAdapter(plan) ? 'adapter.gguf' : null;
  if (adapter !== null) await writeAdapter(join(folder, adapter), plan.pairs, plan.base.shape);
  await writeHead(join(folder, 'head.gguf'), { weights: plan.head, labels: plan.labels }, plan.base.shape);
  await copyTokenizer(plan.tokenizer.folder, folder);
  const difference = await compareTokenizers(folder, join(folder, 'base.gguf'), plan.options.threads);
  const report = reportOf(plan, difference ?? 'agrees');
  await writeText(join(folder, 'import.json'), `${JSON.stringify(report, null, 2)}\n`);
  const names = [
    'base.gguf',
    ...(adapter === null ? [] : [adapter]),
    'head.gguf',
    'tokenizer.json',
    'tokenizer_config.json',
  ];
  const manifest = manifestOf(plan, adapter, await digests(folder, names, baseDigest));
  await writeText(join(folder, 'manifest.json'), `${JSON.stringify(manifestSchema.parse(manifest), null, 2)}\n`);
  return report;
}

async function copyTokenizer(source: string, folder: string): Promise<void> {
  await copyFile(join(source, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  const config = join(source, 'tokenizer_config.json');
  if (existsSync(config)) await copyFile(config, join(folder, 'tokenizer_config.json'));
  else await writeText(join(folder, 'tokenizer_config.json'), '{}\n');
}

async function writeText(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function digests(
  folder: string,
  names: readonly string[],
  base: string | null,
): Promise<Readonly<Record<string, string>>> {
  const unknown = names.filter((name) => base === null || name !== 'base.gguf');
  const found = await digestFiles(unknown.map((name) => join(folder, name)));
  const entries = unknown.map((name): readonly [string, string] => {
    const digest = found.get(join(folder, name));
    if (digest !== undefined && 'sha256' in digest) return [name, digest.sha256];
    throw new PairscoreError('ERR_OUTPUT', `Expected to read back ${name} but could not`, { file: join(folder, name) });
  });
  return { ...(base === null ? {} : { 'base.gguf': base }), ...Object.fromEntries(entries) };
}

function manifestOf(plan: ImportPlan, adapter: string | null, sha256: Readonly<Record<string, string>>): Manifest {
  const { options, base } = plan;
  return {
    name: modelName(plan),
    architecture: base.shape.architecture,
    base: 'base.gguf',
    adapter,
    head: 'head.gguf',
    tokenizer: '.',
    sha256: { ...sha256 },
    parser: options.parser,
    nullText: options.nullText,
    joiner: options.joiner,
    template: { ...options.template },
    maxLength: options.maxLength,
    truncation: options.truncation,
    bos: plan.tokenizer.bos,
    eos: plan.tokenizer.eos,
    specialTokensInText: 'parse',
    attentionSoftCap: base.shape.architecture === 'gemma2' && options.attentionSoftCap,
    labels: [...plan.labels],
    adapterTensors: adapter === null ? 0 : plan.pairs.length,
  };
}

function modelName(plan: ImportPlan): string {
  return (
    plan.options.name ??
    plan.options.out
      .replace(/[\\/]+$/, '')
      .split(/[\\/]/)
      .at(-1) ??
    'model'
  );
}
