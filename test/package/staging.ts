/** Packs the package as it would be published and installs it where nothing but node and npm can be found. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { z } from 'zod';

export const ROOT = join(__dirname, '..', '..');
const PREBUILDS = join('prebuilds', `${process.platform}-${process.arch}`);

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Stage {
  /** A temporary folder; everything below is inside it. */
  readonly folder: string;
  /** Names of the packed files. */
  readonly packed: readonly string[];
  readonly tarballBytes: number;
  /** Where the tarball is installed. */
  readonly consumer: string;
  readonly installOutput: string;
  /** Whether the tarball carries what `npm run prebuild` made, or this machine's own build in its place. */
  readonly binary: 'prebuilt' | 'local';
}

function onPath(program: string): string {
  const folder = (process.env['PATH'] ?? '').split(delimiter).find((entry) => existsSync(join(entry, program)));
  assert.ok(folder !== undefined, `${program} is on PATH`);
  return realpathSync(join(folder, program));
}

/** npm passes its own settings to scripts; a nested npm would take them for the user's. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = /^npm_config_(registry|cafile|cache|userconfig|globalconfig|proxy|https_proxy|noproxy)$/;
  const dropped = /^(npm_|NODE_|PAIRSCORE_|LLAMA_CPP_DIR|INIT_CWD|CXX$|CC$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name) || !dropped.test(name)));
}

/** A PATH of node, npm and the shell that npm runs scripts with: no compiler, no cmake, no git. */
export function bareEnvironment(folder: string): NodeJS.ProcessEnv {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const programs = { node: process.execPath, npm: onPath('npm'), npx: onPath('npx'), sh: onPath('sh') };
  for (const [name, target] of Object.entries(programs)) {
    if (!existsSync(join(bin, name))) symlinkSync(target, join(bin, name));
  }
  return { ...cleanEnvironment(), PATH: bin };
}

export function run(
  program: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program, args, { ...options, encoding: 'utf8' });
  if (error) throw error;
  return { status, stdout, stderr };
}

function succeed(program: string, args: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): Outcome {
  const outcome = run(program, args, options);
  assert.equal(outcome.status, 0, `${program} ${args.join(' ')}:\n${outcome.stdout}\n${outcome.stderr}`);
  return outcome;
}

/** What cmake/stamp.mjs says of these sources. */
function currentStamp(): string {
  const script = "import('./cmake/stamp.mjs').then(({ currentStamp }) => process.stdout.write(currentStamp()))";
  return succeed(process.execPath, ['-e', script], { cwd: ROOT, env: cleanEnvironment() }).stdout;
}

function hasStamp(folder: string, stamp: string): boolean {
  const file = join(folder, 'pairscore.stamp');
  return existsSync(file) && readFileSync(file, 'utf8') === stamp;
}

/** Puts a binary of these sources into the package, and says which. */
function placeBinary(packageFolder: string): 'prebuilt' | 'local' {
  const stamp = currentStamp();
  const target = join(packageFolder, PREBUILDS);
  mkdirSync(target, { recursive: true });
  if (hasStamp(join(ROOT, PREBUILDS), stamp)) {
    cpSync(join(ROOT, PREBUILDS), target, { recursive: true });
    return 'prebuilt';
  }
  const local = join(ROOT, 'build', 'Release');
  assert.ok(
    hasStamp(local, stamp),
    'Expected an addon of these sources in build/Release: run `node cmake/install.mjs`',
  );
  cpSync(join(local, 'pairscore.node'), join(target, 'pairscore.glibc.node'));
  writeFileSync(join(target, 'pairscore.stamp'), stamp);
  return 'local';
}

const Packing = z.object({
  filename: z.string(),
  size: z.number(),
  files: z.array(z.object({ path: z.string() })),
});
type Packing = z.infer<typeof Packing>;

/** npm pack --json prints a list of packages. */
function readPacking(stdout: string): Packing {
  return z.tuple([Packing]).parse(JSON.parse(stdout))[0];
}

/** `npm pack` of a copy, so that the binary of the test never enters the working tree. */
function pack(folder: string): { readonly packing: Packing; readonly binary: 'prebuilt' | 'local' } {
  const env = cleanEnvironment();
  const flags = ['pack', '--ignore-scripts', '--json'];
  const listed = readPacking(succeed('npm', [...flags, '--dry-run'], { cwd: ROOT, env }).stdout);
  const copy = join(folder, 'package');
  for (const { path } of listed.files) {
    if (path.startsWith('prebuilds/')) continue;
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(ROOT, path), join(copy, path));
  }
  const binary = placeBinary(copy);
  const packed = succeed('npm', [...flags, `--pack-destination=${folder}`], { cwd: copy, env });
  return { packing: readPacking(packed.stdout), binary };
}

export function installPackage(): Stage {
  const folder = mkdtempSync(join(tmpdir(), 'pairscore-package-'));
  const { packing, binary } = pack(folder);
  const consumer = join(folder, 'consumer');
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "private": true }\n');
  const flags = ['--foreground-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const env = bareEnvironment(folder);
  const install = succeed('npm', ['install', ...flags, join(folder, packing.filename)], { cwd: consumer, env });
  return {
    folder,
    packed: packing.files.map(({ path }) => path),
    tarballBytes: packing.size,
    consumer,
    installOutput: install.stdout + install.stderr,
    binary,
  };
}
