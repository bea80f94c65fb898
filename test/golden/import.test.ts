/** Real checkpoints, imported, score as transformers does. */

import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertScores, fixture, inScratch, optionsFor, readCases, runImport, tolerance } from './import-cases';

const { rows, cases } = readCases();

describe('an imported checkpoint scores as in transformers', () => {
  for (const [name, { base, alpha, logits }] of Object.entries(cases)) {
    if (logits === undefined || name === base || name.includes('-average-')) continue;
    test(name, () =>
      inScratch(async (scratch) => {
        const out = join(scratch, 'model');
        const adapters = [{ path: fixture(name), weight: 1 }];
        await runImport(optionsFor(fixture(base), out, { adapters, alpha: alpha ?? null, type: 'f32' }));
        await assertScores(out, { rows, logits }, tolerance(base));
      }),
    );
  }
});

describe('folds averaged 1 : 3 score as their average', () => {
  for (const kind of ['gemma', 'llama']) {
    for (const average of ['deltas', 'factors'] as const) {
      test(`${kind}, ${average}`, () =>
        inScratch(async (scratch) => {
          const out = join(scratch, 'model');
          const adapters = [
            { path: fixture(`${kind}-fold-1`), weight: 1 },
            { path: fixture(`${kind}-fold-2`), weight: 3 },
          ];
          await runImport(
            optionsFor(fixture(`${kind}-base`), out, {
              adapters,
              average,
              type: 'f32',
              tokenizer: fixture(`${kind}-base`),
            }),
          );
          const expected = cases[`${kind}-average-${average}`]?.logits ?? [];
          await assertScores(out, { rows, logits: expected }, tolerance(kind));
        }));
    }
  }
});
