import { fileError } from '../model/byte-file';
import { callGlobal, isAllowed, loadPersistent } from './pickle-globals';
import { PickleDict, PickleGlobal, PickleList, PickleMark, PickleTuple, type PickleValue } from './pickle-values';

/**
 * Reads the data of a pickle as torch.save writes it. It is no interpreter: GLOBAL may name only what is on the
 * allow-list, REDUCE builds only those values, and every other opcode is refused by name.
 */
export function readPickle(bytes: Buffer, path: string): PickleValue {
  const machine: Machine = { bytes, path, at: 0, stack: [], memo: new Map() };
  for (;;) {
    const start = machine.at;
    const opcode = take(machine, 1)[0] ?? 0;
    if (opcode === STOP) return finish(machine);
    const run = OPCODES[opcode];
    if (run === undefined) {
      const shown = REFUSED[opcode] ?? `0x${opcode.toString(16)}`;
      throw fail(machine, `Expected a pickle of tensors but received opcode ${shown} at byte ${start}`);
    }
    run(machine);
  }
}

interface Machine {
  readonly bytes: Buffer;
  readonly path: string;
  at: number;
  readonly stack: PickleValue[];
  readonly memo: Map<number, PickleValue>;
}

const STOP = 0x2e;

/** Opcodes that a foreign pickle may well hold, by name, for the message. */
const REFUSED: Readonly<Record<number, string>> = {
  0x63: 'GLOBAL',
  0x69: 'INST',
  0x6f: 'OBJ',
  0x81: 'NEWOBJ',
  0x92: 'NEWOBJ_EX',
  0x82: 'EXT1',
  0x83: 'EXT2',
  0x84: 'EXT4',
  0x42: 'BINBYTES',
  0x43: 'SHORT_BINBYTES',
  0x8e: 'BINBYTES8',
  0x96: 'BYTEARRAY8',
  0x8f: 'EMPTY_SET',
  0x91: 'FROZENSET',
  0x50: 'PERSID',
};

function fail(machine: Machine, message: string): Error {
  return fileError(machine.path, message);
}

function take(machine: Machine, length: number): Buffer {
  const end = machine.at + length;
  if (!(length >= 0 && end <= machine.bytes.length))
    throw fail(machine, `Expected ${length} more bytes of pickle but it ends: it is truncated`);
  machine.at = end;
  return machine.bytes.subarray(end - length, end);
}

function pop(machine: Machine): PickleValue {
  const value = machine.stack.pop();
  if (value === undefined || value instanceof PickleMark)
    throw fail(machine, 'Expected a value on the pickle stack but it is empty');
  return value;
}

function peek(machine: Machine): PickleValue {
  const value = machine.stack.at(-1);
  if (value === undefined || value instanceof PickleMark)
    throw fail(machine, 'Expected a value on the pickle stack but it is empty');
  return value;
}

function popToMark(machine: Machine): readonly PickleValue[] {
  const from = machine.stack.findLastIndex((value) => value instanceof PickleMark);
  if (from < 0) throw fail(machine, 'Expected a mark on the pickle stack but there is none');
  return machine.stack.splice(from).slice(1);
}

function finish(machine: Machine): PickleValue {
  const value = pop(machine);
  if (machine.stack.length > 0) throw fail(machine, 'Expected one value in the pickle but received several');
  return value;
}

function line(machine: Machine): string {
  const end = machine.bytes.indexOf(0x0a, machine.at);
  if (end < 0) throw fail(machine, 'Expected the end of a line in the pickle but it ends: it is truncated');
  const text = machine.bytes.toString('utf8', machine.at, end);
  machine.at = end + 1;
  return text;
}

function global(machine: Machine, name: string): PickleGlobal {
  if (!isAllowed(name)) {
    throw fail(
      machine,
      `Expected a pickle of tensors but it names ${JSON.stringify(name)}, which is not on the allow-list; nothing was executed`,
    );
  }
  return new PickleGlobal(name);
}

function stackGlobal(machine: Machine): void {
  const name = pop(machine);
  const module = pop(machine);
  if (typeof name !== 'string' || typeof module !== 'string') throw fail(machine, 'Expected two strings for a global');
  machine.stack.push(global(machine, `${module}.${name}`));
}

function reduce(machine: Machine): void {
  const args = pop(machine);
  const callee = pop(machine);
  if (!(args instanceof PickleTuple) || !(callee instanceof PickleGlobal)) {
    throw fail(machine, 'Expected REDUCE of an allowed name and a tuple but received other values');
  }
  machine.stack.push(callGlobal(callee.name, args.items, machine.path));
}

/** State set on a dictionary (torch's _metadata) says nothing about tensors and is dropped. */
function build(machine: Machine): void {
  pop(machine);
  if (!(peek(machine) instanceof PickleDict))
    throw fail(machine, 'Expected BUILD of a dictionary but received another value');
}

function append(machine: Machine, items: readonly PickleValue[]): void {
  const list = peek(machine);
  if (!(list instanceof PickleList)) throw fail(machine, 'Expected a list to append to but received another value');
  for (const item of items) list.items.push(item);
}

function setItems(machine: Machine, items: readonly PickleValue[]): void {
  const dict = peek(machine);
  if (!(dict instanceof PickleDict))
    throw fail(machine, 'Expected a dictionary to set items of but received another value');
  if (items.length % 2 !== 0) throw fail(machine, 'Expected pairs of key and value but received an odd number');
  for (let i = 0; i + 1 < items.length; i += 2) {
    const key = items[i] ?? null;
    if (typeof key === 'string' && dict.entries.has(key))
      throw fail(machine, `Expected key ${JSON.stringify(key)} once but received it twice`);
    dict.entries.set(key, items[i + 1] ?? null);
  }
}

function recall(machine: Machine, index: number): void {
  const value = machine.memo.get(index);
  if (value === undefined) throw fail(machine, `Expected memo ${index} to be set but it is not`);
  machine.stack.push(value);
}

function long(machine: Machine, length: number): void {
  if (length > 64) throw fail(machine, `Expected an integer of at most 64 bytes but received ${length}`);
  let value = 0n;
  const bytes = take(machine, length);
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  if (length > 0 && ((bytes[length - 1] ?? 0) & 0x80) !== 0) value -= 1n << BigInt(8 * length);
  const small = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
  machine.stack.push(small ? Number(value) : value);
}

function tuple(machine: Machine, count: number): void {
  const items: PickleValue[] = [];
  for (let i = 0; i < count; i++) items.unshift(pop(machine));
  machine.stack.push(new PickleTuple(items));
}

function text(machine: Machine, length: number): void {
  machine.stack.push(take(machine, length).toString('utf8'));
}

const OPCODES: Readonly<Record<number, (m: Machine) => void>> = {
  0x80: (m) => void take(m, 1), // PROTO
  0x95: (m) => void take(m, 8), // FRAME
  0x28: (m) => void m.stack.push(new PickleMark()),
  0x30: (m) => void pop(m), // POP
  0x31: (m) => void popToMark(m), // POP_MARK
  0x32: (m) => void m.stack.push(peek(m)), // DUP
  0x7d: (m) => void m.stack.push(new PickleDict()),
  0x5d: (m) => void m.stack.push(new PickleList()),
  0x29: (m) => void m.stack.push(new PickleTuple([])),
  0x74: (m) => void m.stack.push(new PickleTuple(popToMark(m))),
  0x85: (m) => tuple(m, 1),
  0x86: (m) => tuple(m, 2),
  0x87: (m) => tuple(m, 3),
  0x71: (m) => void m.memo.set(take(m, 1).readUInt8(), peek(m)), // BINPUT
  0x72: (m) => void m.memo.set(take(m, 4).readUInt32LE(), peek(m)), // LONG_BINPUT
  0x94: (m) => void m.memo.set(m.memo.size, peek(m)), // MEMOIZE
  0x68: (m) => recall(m, take(m, 1).readUInt8()),
  0x6a: (m) => recall(m, take(m, 4).readUInt32LE()),
  0x58: (m) => text(m, take(m, 4).readUInt32LE()), // BINUNICODE
  0x8c: (m) => text(m, take(m, 1).readUInt8()), // SHORT_BINUNICODE
  0x8d: (m) => text(m, Number(take(m, 8).readBigUInt64LE())), // BINUNICODE8
  0x55: (m) => text(m, take(m, 1).readUInt8()), // SHORT_BINSTRING
  0x54: (m) => text(m, take(m, 4).readInt32LE()), // BINSTRING
  0x4a: (m) => void m.stack.push(take(m, 4).readInt32LE()),
  0x4b: (m) => void m.stack.push(take(m, 1).readUInt8()),
  0x4d: (m) => void m.stack.push(take(m, 2).readUInt16LE()),
  0x8a: (m) => long(m, take(m, 1).readUInt8()),
  0x8b: (m) => long(m, take(m, 4).readInt32LE()),
  0x47: (m) => void m.stack.push(take(m, 8).readDoubleBE()),
  0x4e: (m) => void m.stack.push(null),
  0x88: (m) => void m.stack.push(true),
  0x89: (m) => void m.stack.push(false),
  0x61: (m) => {
    const item = pop(m);
    append(m, [item]);
  },
  0x65: (m) => append(m, popToMark(m)),
  0x73: (m) => {
    const value = pop(m);
    const key = pop(m);
    setItems(m, [key, value]);
  },
  0x75: (m) => setItems(m, popToMark(m)),
  0x63: (m) => {
    const module = line(m);
    m.stack.push(global(m, `${module}.${line(m)}`));
  },
  0x93: stackGlobal,
  0x52: reduce,
  0x62: build,
  0x51: (m) => void m.stack.push(loadPersistent(pop(m), m.path)), // BINPERSID
};
