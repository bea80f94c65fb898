import type { ImportReport, KeyFate } from './report';

/** The report for people: every source key and where it went, then the totals. */
export function reportText(report: ImportReport): string {
  const lines = report.keys.map(keyLine);
  const { base, lora, head, tokenizer } = report;
  lines.push(
    `base       ${base.source}: ${report.architecture}, ${base.layers} layers, hidden ${base.hidden}, ${base.vocabulary} tokens; ${base.plan}, ${base.bytes} bytes`,
  );
  for (const { source, weight, pairs } of report.adapters)
    lines.push(`adapter    ${source}: ${pairs} pairs, weight ${number(weight)}`);
  if (lora.pairs > 0) {
    const what = lora.file ?? 'merged into the base';
    lines.push(
      `lora       ${what}: ${lora.pairs} pairs, ${lora.parameters} parameters, rank ${lora.ranks.join(', ')}, scale ${lora.scales.map(number).join(', ')}`,
    );
    lines.push(`           modules ${lora.modules.join(', ')} of layers ${ranges(lora.layers)}`);
  }
  lines.push(`head       ${head.shape.join(' x ')}${head.bias ? ' with bias' : ''}: ${head.labels.join(', ')}`);
  lines.push(
    `tokenizer  ${tokenizer.source}: ${tokenizer.tokens} tokens, bos ${tokenizer.bos ?? 'none'}, eos ${tokenizer.eos ?? 'none'}`,
  );
  lines.push(`           the base's own tokenizer and tokenizer.json: ${tokenizer.native}`);
  for (const note of report.notes) lines.push(`note       ${note}`);
  lines.push(report.written ? `written    ${report.out}` : `dry run    nothing was written to ${report.out}`);
  return `${lines.join('\n')}\n`;
}

function keyLine({ key, fate, detail, shape, dtype }: KeyFate): string {
  const what = dtype === '' ? '' : ` ${dtype} [${shape.join(', ')}]`;
  return `${fate.padEnd(10)} ${key}${what} -> ${detail}`;
}

function number(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function ranges(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let from = 0; from < sorted.length;) {
    let to = from;
    while (sorted[to + 1] === (sorted[to] ?? 0) + 1) to++;
    parts.push(to === from ? String(sorted[from]) : `${sorted[from]}-${sorted[to]}`);
    from = to + 1;
  }
  return parts.join(', ');
}
