import fc from 'fast-check';

/** Bytes of a file after overwriting, cutting, doubling or swapping parts of it. */
export function damaged(original: Buffer, header = original.length): fc.Arbitrary<Buffer> {
  const place = fc.oneof(fc.nat(Math.max(0, header - 1)), fc.nat(original.length - 1));
  const edit = fc.oneof(
    fc.record({ kind: fc.constant('byte' as const), at: place, value: fc.integer({ min: 0, max: 255 }) }),
    fc.record({
      kind: fc.constant('word' as const),
      at: place,
      value: fc.constantFrom(0, 1, 0x7fffffff, 0xffffffff, 0x80000000),
    }),
    fc.record({ kind: fc.constant('cut' as const), at: place, value: fc.nat(64) }),
    fc.record({ kind: fc.constant('end' as const), at: place, value: fc.constant(0) }),
    fc.record({ kind: fc.constant('double' as const), at: place, value: fc.nat(64) }),
  );
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => edits.reduce(apply, original));
}

interface Edit {
  readonly kind: 'byte' | 'word' | 'cut' | 'end' | 'double';
  readonly at: number;
  readonly value: number;
}

function apply(bytes: Buffer, { kind, at, value }: Edit): Buffer {
  const copy = Buffer.from(bytes);
  if (kind === 'byte' && at < copy.length) copy[at] = value;
  if (kind === 'word' && at + 4 <= copy.length) copy.writeUInt32LE(value, at);
  if (kind === 'cut') return Buffer.concat([copy.subarray(0, at), copy.subarray(at + value)]);
  if (kind === 'end') return copy.subarray(0, at);
  if (kind === 'double') return Buffer.concat([copy.subarray(0, at + value), copy.subarray(at)]);
  return copy;
}
