/** Careful reading of parsed JSON whose shape is not known yet. */

export type Tree = Readonly<Record<string, unknown>>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asTree(value: unknown): Tree {
  return isTree(value) ? value : {};
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A special token in tokenizer_config.json is a string, or an object that holds it. */
export function tokenText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  const { content } = asTree(value);
  return typeof content === 'string' ? content : null;
}
