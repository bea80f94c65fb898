/** Rows of text whose token counts follow the task's lengths, for the cases that tokenize. */

import type { PairRecord } from '../lib/pair';
import type { Scorer } from '../lib/scorer';
import { randomFrom, rowLengths, sumOf, type Random } from './lengths';

const WORDS =
  `the of and to in a is that for it as was with be by on not he his but at are this have from or had an they
which one you were all her she there would their we him been has when who will no more if out so up said what its about
than into them can only other time new some could these two may first then do any like my now over such our man me even
most made after also did many before must through years where much your way well down should because each just those
people how too little state good very make world still see own work long here get both between life being under never day
same another know while last might us great old year off come since against go came right used take three language model
answer question because example function value number return list order explain compare reason result data system`.split(
    /\s+/,
  );

/** Words that make about so many tokens: `tokensPerWord` is measured with the ensemble's own tokenizer. */
export function textRecords(count: number, tokensPerWord: number): readonly PairRecord[] {
  const random = randomFrom(23);
  return rowLengths(count, 2048).map((tokens, i) => {
    const words = Math.max(3, Math.round(tokens / tokensPerWord));
    const prompt = Math.ceil(words * 0.2);
    const reply = Math.ceil((words - prompt) / 2);
    const cell = (length: number): string => JSON.stringify([sentence(length, random)]);
    const cells = { prompt: cell(prompt), responseA: cell(reply), responseB: cell(reply) };
    return { id: String(100_000 + i), row: i + 1, cells };
  });
}

export async function measureTokensPerWord(scorer: Scorer): Promise<number> {
  const words = 400;
  const plan = await scorer.plan(textRecords(16, 1).map((record) => withWords(record, words)));
  const perRow = plan.models.map(({ tokens, sequences }) => tokens / Math.max(1, sequences));
  return sumOf(perRow) / perRow.length / words;
}

export function csvOf(records: readonly PairRecord[]): string {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const lines = records.map(({ id, cells }) =>
    [id, quoted(cells.prompt), quoted(cells.responseA), quoted(cells.responseB)].join(','),
  );
  return `${['id,prompt,response_a,response_b', ...lines].join('\n')}\n`;
}

function withWords(record: PairRecord, words: number): PairRecord {
  const cell = JSON.stringify([sentence(words / 2, randomFrom(record.row))]);
  return { ...record, cells: { prompt: '[""]', responseA: cell, responseB: cell } };
}

function sentence(words: number, random: Random): string {
  return Array.from({ length: words }, () => WORDS[Math.floor(random() * WORDS.length)] ?? 'the').join(' ');
}
