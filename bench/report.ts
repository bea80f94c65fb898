/** What a case answers, and how it is printed. */

import type { Figure } from './figures';

export type Cell = string | number;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface CaseReport {
  readonly tables: readonly Table[];
  /** What was not measured, and why. */
  readonly skipped: readonly string[];
  readonly figures: readonly Figure[];
}

export function skippedReport(...skipped: readonly string[]): CaseReport {
  return { tables: [], skipped, figures: [] };
}

export function joinReports(reports: readonly CaseReport[]): CaseReport {
  return {
    tables: mergedTables(reports.flatMap(({ tables }) => tables)),
    skipped: reports.flatMap(({ skipped }) => skipped),
    figures: reports.flatMap(({ figures }) => figures),
  };
}

/** Tables of one title and the same columns become one: each model was measured in a process of its own. */
function mergedTables(tables: readonly Table[]): readonly Table[] {
  const byTitle = new Map<string, Table>();
  for (const table of tables) {
    const key = [table.title, ...table.columns].join('\n');
    const before = byTitle.get(key);
    byTitle.set(key, before === undefined ? table : { ...before, rows: [...before.rows, ...table.rows] });
  }
  return [...byTitle.values()];
}

export function reportText(report: CaseReport, style: 'plain' | 'markdown'): string {
  const tables = report.tables.map((table) => (style === 'markdown' ? markdownTable(table) : plainTable(table)));
  return [...tables, ...report.skipped.map((reason) => `skipped: ${reason}\n`)].join('\n');
}

function markdownTable({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const body = rows.map((row) => line(row.map(cellText)));
  return `### ${title}\n${[line(columns), line(columns.map(() => '---')), ...body].join('\n')}\n`;
}

function plainTable({ title, columns, rows }: Table): string {
  const texts = [columns, ...rows.map((row) => row.map(cellText))];
  const widths = columns.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) =>
        isNumeric(rows, column) ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return `${title}\n${texts.map((row) => `  ${line(row)}`).join('\n')}\n`;
}

function isNumeric(rows: readonly (readonly Cell[])[], column: number): boolean {
  return rows.some((row) => typeof row[column] === 'number');
}

/** Four digits that count; thousands in full. */
export function cellText(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (!Number.isFinite(cell)) return '-';
  if (Math.abs(cell) >= 1000 || Number.isInteger(cell)) return Math.round(cell).toLocaleString('en-US');
  return String(Number(cell.toPrecision(4)));
}

export function percent(share: number | undefined): string {
  return share === undefined || !Number.isFinite(share) ? '-' : `${(100 * share).toFixed(1)} %`;
}
