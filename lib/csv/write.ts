import { randomBytes } from 'node:crypto';
import { constants, rmSync } from 'node:fs';
import { access, open, realpath, rename, stat, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { PairscoreError } from '../errors';

/** Stands for the standard output where a path is expected. */
export const STANDARD_OUTPUT = '-';

/** Throws ERR_OUTPUT now, before hours of work, where writing to this path later cannot succeed. */
export async function expectWritable(path: string): Promise<void> {
  if (path === STANDARD_OUTPUT) return;
  const mode = await modeOf(path);
  if (mode !== null && (mode & constants.S_IFMT) === constants.S_IFDIR)
    throw outputError(path, 'a folder of that name');
  const isReplaced = mode === null || isRegular(mode);
  try {
    // With the dot, a file in the place of the folder is refused too.
    await access(isReplaced ? `${dirname(await resolved(path))}/.` : path, constants.W_OK);
  } catch (error) {
    throw outputError(path, error);
  }
}

/** Whether two paths, links followed, lead to one regular file. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => stat(path, { bigint: true }).catch(() => null)));
  return !!one && !!other && one.isFile() && one.dev === other.dev && one.ino === other.ino;
}

/**
 * Writes a file whole or not at all: a temporary file beside it takes the pieces, is synced and renamed over it.
 * Anything that fails, an abort too, removes the temporary file. A device or a pipe is written to as it is.
 */
export async function writeWhole(path: string, pieces: Iterable<string>, signal?: AbortSignal): Promise<void> {
  await expectWritable(path);
  const mode = await modeOf(path);
  try {
    if (mode !== null && !isRegular(mode)) await writeFile(path, pieces);
    else await replaceFile({ path: await resolved(path), mode, signal }, pieces);
  } catch (error) {
    if (signal?.aborted === true) throw abortError(path, error);
    throw outputError(path, error);
  }
}

/** Writes to a stream at its own pace. Throws ERR_OUTPUT where its reader is gone. */
export async function writeStream(stream: Writable, pieces: Iterable<string>): Promise<void> {
  // Without a listener of its own, a stream that breaks would end the process.
  const ignore = (): void => undefined;
  stream.on('error', ignore);
  try {
    for (const piece of pieces) await flushed(stream, piece);
  } catch (error) {
    throw outputError('standard output', stream.errored ?? error);
  } finally {
    stream.off('error', ignore);
  }
}

/** Resolves once the piece has left the process, so that a slow reader slows the writer. */
async function flushed(stream: Writable, piece: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}

interface Target {
  readonly path: string;
  /** Of the file that is replaced; null where there is none. */
  readonly mode: number | null;
  readonly signal: AbortSignal | undefined;
}

async function replaceFile(target: Target, pieces: Iterable<string>): Promise<void> {
  const folder = dirname(target.path);
  const temporary = join(folder, `.${basename(target.path)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`);
  // A process that ends meanwhile, as a second signal ends it, runs no catch.
  const remove = (): void => rmSync(temporary, { force: true });
  process.once('exit', remove);
  try {
    await writeAndRename(temporary, target, pieces);
  } finally {
    process.off('exit', remove);
  }
  await syncFolder(folder);
}

async function writeAndRename(temporary: string, target: Target, pieces: Iterable<string>): Promise<void> {
  const handle = await open(temporary, 'wx', 0o666);
  try {
    await writeAndClose(handle, target, pieces);
    target.signal?.throwIfAborted();
    await rename(temporary, target.path);
  } catch (error) {
    await unlink(temporary);
    throw error;
  }
}

async function writeAndClose(handle: FileHandle, target: Target, pieces: Iterable<string>): Promise<void> {
  try {
    if (target.mode !== null) await handle.chmod(target.mode & 0o777);
    await writeFile(handle, pieces, target.signal === undefined ? {} : { signal: target.signal });
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the rename last. Some file systems cannot sync a folder; there the file's own sync has to do. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync().catch(() => undefined);
  } finally {
    await handle.close();
  }
}

/** A symbolic link is followed, so that its target is replaced and the link stays. */
async function resolved(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

async function modeOf(path: string): Promise<number | null> {
  return stat(path).then(
    (found) => found.mode,
    () => null,
  );
}

function isRegular(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFREG;
}

function abortError(target: string, cause: unknown): PairscoreError {
  return new PairscoreError('ERR_ABORTED', `Expected to write ${target} but received an abort signal`, { cause });
}

function outputError(target: string, cause: unknown): PairscoreError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `Expected to write the output to ${target} but received ${reason}`;
  return new PairscoreError('ERR_OUTPUT', message, { cause });
}
