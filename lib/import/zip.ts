import { type ByteFile, fileError } from '../model/byte-file';

/** One stored (never compressed) member of a zip archive. */
export interface ZipEntry {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const MAX_ENTRIES = 1_000_000;
const MAX_DIRECTORY_BYTES = 512 * 1024 * 1024;

/** The members of an archive as torch.save writes them: stored, not encrypted, not overlapping. */
export async function readZip(file: ByteFile): Promise<ReadonlyMap<string, ZipEntry>> {
  const directory = await findDirectory(file);
  const bytes = await file.read(directory.offset, directory.size);
  const entries = new Map<string, ZipEntry>();
  const spans: ZipEntry[] = [];
  for (let at = 0, i = 0; i < directory.count; i++) {
    const record = readCentral(file, bytes, at);
    at = record.next;
    const entry = await locate(file, record);
    if (entries.has(entry.name)) throw fileError(file.path, `Expected one zip member ${entry.name} but received two`);
    entries.set(entry.name, entry);
    spans.push(entry);
  }
  checkOverlap(file, spans, directory.offset);
  return entries;
}

async function findDirectory(file: ByteFile): Promise<{ offset: number; size: number; count: number }> {
  const tail = Math.min(file.size, 22 + 0xffff);
  const bytes = await file.read(file.size - tail, tail);
  for (let at = tail - 22; at >= 0; at--) {
    if (bytes.readUInt32LE(at) !== END || at + 22 + bytes.readUInt16LE(at + 20) !== tail) continue;
    const found = {
      count: bytes.readUInt16LE(at + 10),
      size: bytes.readUInt32LE(at + 12),
      offset: bytes.readUInt32LE(at + 16),
    };
    const wide = found.count === 0xffff || found.size === 0xffffffff || found.offset === 0xffffffff;
    return checkDirectory(file, wide ? await findWide(file, file.size - tail + at) : found);
  }
  throw fileError(
    file.path,
    'Expected a zip archive but found no end of its directory: it is truncated or of another format',
  );
}

async function findWide(file: ByteFile, end: number): Promise<{ offset: number; size: number; count: number }> {
  const locator = await file.read(Math.max(0, end - 20), 20);
  if (locator.readUInt32LE(0) !== LOCATOR_64) throw fileError(file.path, 'Expected a zip64 locator');
  const record = await file.read(Number(locator.readBigUInt64LE(8)), 56);
  if (record.readUInt32LE(0) !== END_64) throw fileError(file.path, 'Expected a zip64 directory record');
  return {
    count: Number(record.readBigUInt64LE(32)),
    size: Number(record.readBigUInt64LE(40)),
    offset: Number(record.readBigUInt64LE(48)),
  };
}

function checkDirectory<T extends { offset: number; size: number; count: number }>(file: ByteFile, found: T): T {
  const fits = found.offset + found.size <= file.size && found.size <= MAX_DIRECTORY_BYTES;
  if (!fits || found.count > MAX_ENTRIES || found.count * 46 > found.size) {
    throw fileError(
      file.path,
      `Expected a zip directory inside the file but received ${found.count} members in ${found.size} bytes`,
    );
  }
  return found;
}

type Central = { readonly name: string; readonly size: number; readonly offset: number; readonly next: number };

function readCentral(file: ByteFile, bytes: Buffer, at: number): Central {
  if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== CENTRAL)
    throw fileError(file.path, 'Expected a zip directory entry');
  const nameEnd = at + 46 + bytes.readUInt16LE(at + 28);
  const next = nameEnd + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  if (next > bytes.length) throw fileError(file.path, 'Expected a whole zip directory entry but it is cut');
  const name = bytes.toString('utf8', at + 46, nameEnd);
  const wide = readWideFields(bytes.subarray(nameEnd, nameEnd + bytes.readUInt16LE(at + 30)), [
    bytes.readUInt32LE(at + 24),
    bytes.readUInt32LE(at + 20),
    bytes.readUInt32LE(at + 42),
  ]);
  const [size, packed, offset] = wide;
  if (bytes.readUInt16LE(at + 8) & 1)
    throw fileError(file.path, `Expected zip member ${name} to be plain but it is encrypted`);
  if (bytes.readUInt16LE(at + 10) !== 0 || size !== packed) {
    throw fileError(file.path, `Expected zip member ${name} to be stored, as torch.save does, but it is compressed`);
  }
  return { name, size, offset, next };
}

/** 64-bit values replace, in this order, those fields that are all ones. */
function readWideFields(extra: Buffer, fields: readonly [number, number, number]): readonly [number, number, number] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let from = at + 4;
    const take = (value: number): number => {
      if (value !== 0xffffffff || from + 8 > extra.length) return value;
      from += 8;
      return Number(extra.readBigUInt64LE(from - 8));
    };
    return [take(fields[0]), take(fields[1]), take(fields[2])];
  }
  return fields;
}

async function locate(file: ByteFile, record: Central): Promise<ZipEntry> {
  const header = await file.read(record.offset, 30);
  if (header.readUInt32LE(0) !== LOCAL)
    throw fileError(file.path, `Expected zip member ${record.name} at ${record.offset}`);
  const offset = record.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (offset + record.size > file.size)
    throw fileError(file.path, `Expected ${record.size} bytes of zip member ${record.name} but the file ends`);
  return { name: record.name, offset, size: record.size };
}

/** Overlapping members are how a small archive claims to hold a huge one. */
function checkOverlap(file: ByteFile, spans: readonly ZipEntry[], limit: number): void {
  const sorted = [...spans].sort((a, b) => a.offset - b.offset);
  let reached = 0;
  for (const span of sorted) {
    if (span.offset < reached)
      throw fileError(file.path, `Expected zip member ${span.name} to follow the one before but it overlaps it`);
    reached = span.offset + span.size;
  }
  if (reached > limit) throw fileError(file.path, 'Expected zip members before the directory but they overlap it');
}
