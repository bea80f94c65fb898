/** Builds zip archives and pickles by hand, so that tests can lie in every field. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Member {
  readonly name: string;
  readonly bytes: Buffer;
  /** Lies of the directory, where they differ from the truth. */
  readonly size?: number;
  readonly method?: number;
  readonly offset?: number;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function zip(members: readonly Member[]): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, size = bytes.length, method = 0, offset = at } of members) {
    const text = Buffer.from(name);
    const facts = Buffer.concat([u16(0), u16(method), u32(0), u32(0), u32(size), u32(size), u16(text.length), u16(0)]);
    const local = Buffer.concat([u32(0x04034b50), u16(20), facts, text, bytes]);
    centrals.push(
      Buffer.concat([u32(0x02014b50), u16(20), u16(20), facts, u16(0), u16(0), u16(0), u32(0), u32(offset), text]),
    );
    locals.push(local);
    at += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.concat([
    u32(0x06054b50),
    u16(0),
    u16(0),
    u16(members.length),
    u16(members.length),
    u32(directory.length),
    u32(at),
    u16(0),
  ]);
  return Buffer.concat([...locals, directory, end]);
}

/** A torch archive around a pickle. */
export function torchArchive(pickle: Buffer, storage: Buffer = Buffer.alloc(16)): Buffer {
  return zip([
    { name: 'archive/data.pkl', bytes: pickle },
    { name: 'archive/byteorder', bytes: Buffer.from('little') },
    { name: 'archive/data/0', bytes: storage },
  ]);
}

export function write(folder: string, name: string, bytes: Buffer | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const text = (value: string): Buffer =>
  Buffer.concat([Buffer.from('X'), u32(Buffer.byteLength(value)), Buffer.from(value)]);
const int = (value: number): Buffer => Buffer.concat([Buffer.from('J'), u32(value)]);
const tuple = (...items: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);

export const pickled = {
  text,
  int,
  tuple,
  global: (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`),
  reduce: (callee: Buffer, args: Buffer): Buffer => Buffer.concat([callee, args, Buffer.from('R')]),
  dict: (...pairs: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from('}('), ...pairs, Buffer.from('u')]),
  whole: (value: Buffer): Buffer => Buffer.concat([Buffer.from([0x80, 2]), value, Buffer.from('.')]),
  tensor: (
    shape: readonly number[],
    strides: readonly number[],
    facts: { elements: number; offset: number },
  ): Buffer => {
    const storage = tuple(
      text('storage'),
      Buffer.from('ctorch\nFloatStorage\n'),
      text('0'),
      text('cpu'),
      int(facts.elements),
    );
    const args = tuple(
      Buffer.concat([storage, Buffer.from('Q')]),
      int(facts.offset),
      tuple(...shape.map(int)),
      tuple(...strides.map(int)),
      Buffer.from([0x89]),
      Buffer.from('ccollections\nOrderedDict\n)R'),
    );
    return Buffer.concat([Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n'), args, Buffer.from('R')]);
  },
};
