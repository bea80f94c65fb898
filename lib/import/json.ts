import { readFile, stat } from 'node:fs/promises';
import { fileError } from '../model/byte-file';

export type JsonObject = Readonly<Record<string, unknown>>;

const MAX_JSON_BYTES = 512 * 1024 * 1024;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function parseObject(text: string, path: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fileError(path, `Expected JSON (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (!isObject(value)) throw fileError(path, 'Expected a JSON object but received another value');
  return value;
}

export async function readObject(path: string): Promise<JsonObject> {
  const info = await stat(path).catch((cause: unknown) => {
    throw fileError(
      path,
      `Expected a readable file (${cause instanceof Error ? cause.message : String(cause)})`,
      cause,
    );
  });
  if (!info.isFile()) throw fileError(path, 'Expected a file but received something else');
  if (info.size > MAX_JSON_BYTES)
    throw fileError(path, `Expected at most ${MAX_JSON_BYTES} bytes of JSON but received ${info.size}`);
  return parseObject(await readFile(path, 'utf8'), path);
}

/** The object at `path`, or null where no such file is. */
export async function readObjectIfPresent(path: string): Promise<JsonObject | null> {
  const present = await stat(path).then(
    () => true,
    () => false,
  );
  return present ? readObject(path) : null;
}
