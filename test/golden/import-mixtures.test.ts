/** Each tensor gets the type that llama.cpp's own quantiser gives it. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expectedTensors } from '../../lib/import/base-names';
import type { BaseShape } from '../../lib/import/base-shape';
import { matrixType, parseMixture } from '../../lib/import/quant-types';
import { readGolden } from './import-cases';

interface Mixed {
  readonly architecture: 'gemma2' | 'llama';
  readonly layers: number;
  readonly groups: number;
  readonly mixture: string;
  /** By part: the type on each layer. */
  readonly types: Readonly<Record<string, string>>;
}

function isGolden(value: unknown): value is readonly Mixed[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null && 'types' in item);
}

const golden: unknown = readGolden('mixtures.json');
assert.ok(isGolden(golden));

describe('the types of a mixture are those of llama-quantize', () => {
  for (const { architecture, layers, groups, mixture, types } of golden) {
    test(`${mixture} of ${architecture}, ${layers} layers, ${groups} of 8 heads`, () => {
      const shape: BaseShape = {
        architecture,
        layers,
        hidden: 256,
        heads: 8,
        kvHeads: groups,
        headDim: 32,
        feedForward: 256,
        vocabulary: 256,
      };
      const isTied = architecture === 'gemma2';
      const names = [...expectedTensors(shape).keys(), ...(isTied ? [] : ['output.weight'])].filter(
        (name) => !name.includes('norm'),
      );
      const found: Record<string, string> = {};
      for (const name of names) {
        const part = name.split('.').at(-2) ?? '';
        const type = matrixType(parseMixture(mixture), { name, columns: 256, isTied }, shape).toUpperCase();
        found[part] = found[part] === undefined ? type : `${found[part]} ${type}`;
      }
      assert.deepEqual(found, types);
    });
  }

  test('an unknown one is refused with the list of those there are', () => {
    assert.throws(() => parseMixture('q4_k_xl'), /Expected --type to be one of f32, f16.*q4_k_m.*but received q4_k_xl/);
  });
});
