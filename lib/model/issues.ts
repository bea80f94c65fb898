/** zod's findings in one sentence that names the key: "Expected a number for template.prompt but received 3". */

import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** The first finding; further ones are counted. */
export function sentenceOf(error: z.ZodError): string {
  const [first, ...more] = error.issues;
  if (first === undefined) return 'Expected a valid value';
  const rest = more.length > 0 ? ` (and ${more.length} more)` : '';
  return `Expected ${expected(first)} for ${keyOf(first)} but received ${received(first)}${rest}`;
}

function keyOf(issue: Issue): string {
  const path = issue.path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
  return path === '' ? 'the file' : path;
}

function expected(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'a whole number' : article(issue.expected);
    case 'invalid_value':
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      return `${issue.origin === 'array' ? 'a length' : 'a value'} ${issue.inclusive ? 'of at least' : 'above'} ${issue.minimum}`;
    case 'too_big':
      return `a value of at most ${issue.maximum}`;
    case 'unrecognized_keys':
      return 'only known keys';
    default:
      return issue.message;
  }
}

function received(issue: Issue): string {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `'${key}'`).join(', ');
  if (issue.input === undefined) return 'nothing';
  const text = JSON.stringify(issue.input);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

function article(type: string): string {
  return `${/^[aeio]/.test(type) ? 'an' : 'a'} ${type}`;
}
