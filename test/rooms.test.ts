/** Rule 1 of the house: imports and includes point down, and nothing lives outside a room. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { describe, test } from 'node:test';
import ts from 'typescript';

const ROOT = join(__dirname, '..');

/** Floors of lib/, the highest first: a room sees the floors below its own, and itself. */
const FLOORS: readonly (readonly string[])[] = [
  ['cli'],
  ['index'],
  ['scorer'],
  ['import', 'journal', 'evaluate', 'report'],
  ['model', 'batches'],
  ['tokens'],
  ['prompt', 'csv', 'native', 'probability'],
  ['abort'],
  ['pair', 'errors', 'signal', 'compute', 'model/spec'],
];

/** Only these open a side room. */
const SIDE_ROOMS = ['import', 'journal', 'evaluate', 'report'];
const SIDE_ROOM_USERS = ['cli', 'scorer'];

/** Files beside scorer.ts that are parts of it: what it takes, returns and does, a noun a file. */
const SCORER_FILES = readdirSync(join(ROOT, 'lib'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
  .filter((name) => !FLOORS.flat().includes(name));

/** Every file beside scorer.ts is named here on purpose: a new one is a decision, not an accident. */
const KNOWN_SCORER_FILES = [
  'check-pair',
  'default-scorer',
  'outcome',
  'record-run',
  'records',
  'sequences',
  'settings',
  'tracker',
];

const PACKAGE_OWNERS: Readonly<Record<string, string>> = {
  '@huggingface/tokenizers': 'tokens',
  commander: 'cli',
  'csv-parse': 'csv',
  'node-gyp-build': 'native',
  zod: 'model',
};

const BANNED_NAMES = /^(utils?|helpers?|common|types|constants|scripts|misc|shared)$/;

function filesUnder(folder: string, extensions: RegExp): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => extensions.test(name))
    .map((name) => posix.join(folder, name))
    .sort();
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** 'lib/csv/read.ts' is in room csv, 'lib/scorer.ts' in scorer. */
function roomOf(path: string): string {
  const inside = path.replace(/^lib\//, '').replace(/\.ts$/, '');
  if (inside === 'model/spec') return inside;
  const room = inside.split('/')[0] ?? '';
  return SCORER_FILES.includes(room) ? 'scorer' : room;
}

function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

function importsOf(path: string): readonly string[] {
  return ts.preProcessFile(read(path), true, true).importedFiles.map(({ fileName }) => fileName);
}

/** null where room `from` may import room `to`, else why not. */
function objection(from: string, to: string): string | null {
  if (from === to) return null;
  if (SIDE_ROOMS.includes(to) && !SIDE_ROOM_USERS.includes(from)) return `only cli/ and scorer.ts open ${to}/`;
  if (floorOf(to) > floorOf(from)) return null;
  return `${to} is not below ${from}`;
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

const sources = filesUnder('lib', /\.ts$/).filter((path) => !path.endsWith('.d.ts'));

describe('rooms of lib/', () => {
  test('every file is in a room that the house knows', () => {
    const strays = sources.filter((path) => floorOf(roomOf(path)) < 0);
    assert.deepEqual(strays, []);
  });

  test('every file beside scorer.ts is a known part of the scorer', () => {
    const strays = SCORER_FILES.filter((name) => !KNOWN_SCORER_FILES.includes(name));
    assert.deepEqual(strays, []);
  });

  test('imports point down', () => {
    const wrong = sources.flatMap((path) =>
      importsOf(path)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => ({ specifier, target: posix.join(dirname(path), specifier) }))
        .map(({ specifier, target }) => ({ specifier, reason: objection(roomOf(path), roomOf(target)) }))
        .filter(({ reason }) => reason !== null)
        .map(({ specifier, reason }) => `${path} imports ${specifier}: ${reason ?? ''}`),
    );
    assert.deepEqual(wrong, []);
  });

  test('no import leaves lib/', () => {
    const wrong = sources.flatMap((path) =>
      importsOf(path)
        .filter((specifier) => specifier.startsWith('.'))
        .filter((specifier) => !posix.join(dirname(path), specifier).startsWith('lib/'))
        .map((specifier) => `${path} imports ${specifier}`),
    );
    assert.deepEqual(wrong, []);
  });

  test('an upward import is found, and so is a side room opened by a stage', () => {
    assert.equal(objection('tokens', 'scorer'), 'scorer is not below tokens');
    assert.equal(objection('model', 'batches'), 'batches is not below model');
    assert.equal(objection('model', 'import'), 'only cli/ and scorer.ts open import/');
    assert.equal(objection('cli', 'import'), null);
  });

  test('a package has one importing room, and is a dependency', () => {
    const dependencies = /"dependencies": \{([^}]*)\}/.exec(read('package.json'))?.[1] ?? '';
    const wrong = sources.flatMap((path) =>
      importsOf(path)
        .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
        .map(packageOf)
        .filter((name) => PACKAGE_OWNERS[name] !== roomOf(path) || !dependencies.includes(`"${name}":`))
        .map((name) => `${path} imports ${name}, which belongs to ${PACKAGE_OWNERS[name] ?? 'no room'}`),
    );
    assert.deepEqual(wrong, []);
  });

  test("Node's own modules are imported by their node: names", () => {
    const wrong = sources.filter((path) =>
      importsOf(path).some((name) => /^(fs|path|os|util|stream|events)\b/.test(name)),
    );
    assert.deepEqual(wrong, []);
  });
});

const natives = filesUnder('native', /\.(cc|h|cu|cuh)$/);

const PUBLIC_LLAMA_HEADERS = [
  ...['llama.h', 'llama-cpp.h', 'gguf.h', 'ggml.h', 'ggml-alloc.h', 'ggml-backend.h', 'ggml-cpp.h'],
  ...['ggml-cpu.h', 'ggml-cuda.h', 'ggml-opt.h'],
];

function includesOf(path: string): readonly string[] {
  return [...read(path).matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)].map((match) => match[1] ?? '');
}

/** Which files may include a header; a header of no rule is the standard library's or the file's own. */
function mayInclude(path: string, header: string): boolean {
  if (header === 'napi.h' || header.startsWith('node_api')) return path.startsWith('native/binding/');
  if (/^llama/.test(header)) return path.startsWith('native/engine/llama/') && PUBLIC_LLAMA_HEADERS.includes(header);
  if (/^(ggml|gguf)/.test(header)) return path.startsWith('native/engine/') && PUBLIC_LLAMA_HEADERS.includes(header);
  if (/^(cuda|cublas|cub\/|cutlass|nccl|nvml|cute\/)/.test(header)) {
    // Block formats are read by kernels and by their twins; the CUDA half of the header is compiled by nvcc alone.
    const shared = path === 'native/kernels/quant_blocks.h';
    return shared || path.startsWith('native/engine/cuda/') || /^native\/kernels\/.*\.cuh?$/.test(path);
  }
  if (header.startsWith('binding/')) return path.startsWith('native/binding/');
  if (path.startsWith('native/binding/') && header.startsWith('engine/')) return header === 'engine/engine.h';
  if (header.startsWith('engine/')) return path.startsWith('native/engine/');
  if (header.startsWith('kernels/')) return !path.startsWith('native/binding/');
  return true;
}

describe('rooms of native/', () => {
  test('every file is in binding/, engine/, engine/llama/, engine/cuda/ or kernels/', () => {
    const rooms = ['native/binding', 'native/engine', 'native/engine/llama', 'native/engine/cuda', 'native/kernels'];
    const strays = natives.filter((path) => path !== 'native/error.h' && !rooms.includes(dirname(path)));
    assert.deepEqual(strays, []);
  });

  test('includes point down, and N-API, llama.cpp and CUDA stay in their rooms', () => {
    const wrong = natives.flatMap((path) =>
      includesOf(path)
        .filter((header) => !mayInclude(path, header))
        .map((header) => `${path} includes ${header}`),
    );
    assert.deepEqual(wrong, []);
  });

  test('a forbidden include is found', () => {
    assert.equal(mayInclude('native/engine/head.cc', 'napi.h'), false);
    assert.equal(mayInclude('native/binding/addon.cc', 'llama.h'), false);
    assert.equal(mayInclude('native/binding/addon.cc', 'engine/head.h'), false);
    assert.equal(mayInclude('native/engine/llama/llama_engine.cc', 'llama-model.h'), false);
    assert.equal(mayInclude('native/kernels/softmax.h', 'cuda_runtime.h'), false);
  });

  test('CMakeLists.txt lists every source file once', () => {
    const listed = [...read('CMakeLists.txt').matchAll(/^\s+(native\/\S+\.(?:cc|cu))$/gm)].map((match) => match[1]);
    assert.deepEqual(
      [...listed].sort(),
      natives.filter((path) => /\.(cc|cu)$/.test(path)),
    );
  });
});

describe('names and sizes', () => {
  const all = [
    ...[...sources, ...natives, ...filesUnder('test', /\.(ts|mjs)$/), ...filesUnder('cmake', /\.(mjs|cmake)$/)],
    ...filesUnder('bench', /\.(ts|mjs|py|cc|cu)$/),
  ];

  test('nothing is called after having no name', () => {
    const wrong = all.filter((path) => path.split('/').some((part) => BANNED_NAMES.test(part.replace(/\..*$/, ''))));
    assert.deepEqual(wrong, []);
  });

  test('TypeScript files are kebab-case, C++ files snake_case', () => {
    const wrong = [
      ...sources.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(basename(path))),
      ...natives.filter((path) => !/^[a-z0-9]+(_[a-z0-9]+)*\.(cc|h|cu|cuh)$/.test(basename(path))),
    ];
    assert.deepEqual(wrong, []);
  });

  test('no file outgrows its kind: 250 lines TypeScript, 350 C++, 400 a kernel', () => {
    const limitOf = (path: string): number => {
      if (!/\.(cc|h|cu|cuh)$/.test(path)) return 250;
      return path.startsWith('native/kernels/') ? 400 : 350;
    };
    const wrong = all.filter((path) => read(path).split('\n').length - 1 > limitOf(path));
    assert.deepEqual(wrong, []);
  });
});
