/** Case end to end: a CSV file in, a submission file out, and the share of time when devices had nothing to do. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPairs } from '../../lib/csv/read';
import { submissionPieces } from '../../lib/csv/submission';
import { writeWhole } from '../../lib/csv/write';
import { openScorer } from '../../lib/scorer';
import { sumOf } from '../lengths';
import { scorerOptions } from '../models';
import type { BenchOptions } from '../options';
import { percent, type CaseReport } from '../report';
import { csvOf, measureTokensPerWord, textRecords } from '../texts';

export async function benchEndToEnd(options: BenchOptions): Promise<CaseReport> {
  const folder = join(options.cache, 'end-to-end');
  mkdirSync(folder, { recursive: true });
  const input = join(folder, `rows-${process.pid}.csv`);
  const output = join(folder, `submission-${process.pid}.csv`);
  const opening = performance.now();
  await using scorer = await openScorer(scorerOptions(options));
  const loadSeconds = (performance.now() - opening) / 1000;
  const records = textRecords(options.rows, await measureTokensPerWord(scorer));
  await scorer.scoreRecords(records.slice(0, Math.min(128, records.length)));
  try {
    writeFileSync(input, csvOf(records));
    const started = performance.now();
    const table = await readPairs(input);
    const read = performance.now();
    const outcome = await scorer.scoreRecords(table.records);
    const scored = performance.now();
    await writeWhole(output, submissionPieces(outcome.scores));
    const wall = (performance.now() - started) / 1000;
    const busy = sumOf(outcome.devices.map(({ busySeconds }) => busySeconds));
    const rows = [
      ['rows', outcome.scores.length],
      ['tokens, all models', outcome.tokens],
      ['wall s, models loaded before', wall],
      ['rows/s', outcome.scores.length / wall],
      ['tokens/s, all models', outcome.tokens / wall],
      ['reading s', (read - started) / 1000],
      ['parsing, tokenizing and scoring s', (scored - read) / 1000],
      ['writing s', wall - (scored - started) / 1000],
      ...outcome.devices.map(({ device, busySeconds }) => [`${device} busy`, percent(busySeconds / wall)]),
      ['time lost to anything but the devices', percent(1 - busy / (wall * outcome.devices.length))],
      ['opening s (digests, tokenizers, weights)', loadSeconds],
    ];
    return {
      tables: [{ title: 'end to end: CSV to CSV', columns: ['measure', 'value'], rows }],
      skipped: [],
      figures: [],
    };
  } finally {
    for (const file of [input, output]) rmSync(file, { force: true });
  }
}
