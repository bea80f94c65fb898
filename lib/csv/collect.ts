import type { PairscoreError } from '../errors';
import type { PairRecord } from '../pair';
import { ID_COLUMN, INPUT_COLUMNS, PART_COLUMNS } from './columns';
import { inputFault, shortened } from './fault';

const SHOWN_COLUMNS = 12;

/** Where the columns that are read stand in a record. */
interface Layout {
  readonly header: readonly string[];
  readonly id: number;
  readonly prompt: number;
  readonly responseA: number;
  readonly responseB: number;
}

/** Turns the records of one file, one after another, into rows. */
export interface Collector {
  /** Takes the header first, then each row. Throws at the first that is wrong. */
  readonly take: (record: readonly string[]) => void;
  /** Rows taken so far, the header not counted; -1 before the header. */
  readonly count: () => number;
  /** The name of a column of the header. */
  readonly columnName: (index: number) => string | undefined;
  readonly finish: () => readonly PairRecord[];
}

export function collectPairs(file: string): Collector {
  let layout: Layout | null = null;
  const rowOfId = new Map<string, number>();
  const records: PairRecord[] = [];
  return {
    take: (cells) => {
      if (layout === null) {
        layout = layoutOf(cells, file);
        return;
      }
      const record = recordOf(cells, layout, { file, row: records.length + 1 });
      const earlier = rowOfId.get(record.id);
      if (earlier !== undefined) throw duplicateId(record, earlier, file);
      rowOfId.set(record.id, record.row);
      records.push(record);
    },
    count: () => (layout === null ? -1 : records.length),
    columnName: (index) => layout?.header[index],
    finish: () => {
      if (layout === null) throw inputFault('ERR_INPUT_EMPTY', 'Expected a header but received nothing', { file });
      if (records.length > 0) return records;
      throw inputFault('ERR_INPUT_EMPTY', 'Expected at least one row but received a header only', { file });
    },
  };
}

function layoutOf(header: readonly string[], file: string): Layout {
  for (const [index, column] of header.entries()) {
    if (header.indexOf(column) === index) continue;
    const message = `Expected each column once but received '${shortened(column)}' twice`;
    throw inputFault('ERR_INPUT_COLUMN', message, { file, column });
  }
  for (const column of INPUT_COLUMNS) {
    if (header.includes(column)) continue;
    const message = `Expected the columns ${INPUT_COLUMNS.join(', ')} but received ${listed(header)}`;
    throw inputFault('ERR_INPUT_COLUMN', message, { file, column });
  }
  return {
    header,
    id: header.indexOf(ID_COLUMN),
    prompt: header.indexOf(PART_COLUMNS.prompt),
    responseA: header.indexOf(PART_COLUMNS.responseA),
    responseB: header.indexOf(PART_COLUMNS.responseB),
  };
}

function recordOf(
  cells: readonly string[],
  layout: Layout,
  place: { readonly file: string; readonly row: number },
): PairRecord {
  if (cells.length !== layout.header.length) {
    const message = `Expected ${layout.header.length} columns but received ${cells.length}`;
    throw inputFault('ERR_INPUT_CSV', message, place);
  }
  const id = cells[layout.id] ?? '';
  if (id === '') {
    throw inputFault('ERR_INPUT_ID', 'Expected an id but received an empty cell', {
      ...place,
      column: ID_COLUMN,
    });
  }
  return {
    id,
    row: place.row,
    cells: {
      prompt: cells[layout.prompt] ?? '',
      responseA: cells[layout.responseA] ?? '',
      responseB: cells[layout.responseB] ?? '',
    },
  };
}

function duplicateId(record: PairRecord, earlier: number, file: string): PairscoreError {
  const { id, row } = record;
  const message = `Expected each id once but received '${shortened(id)}' in row ${earlier} too`;
  return inputFault('ERR_INPUT_ID', message, { file, row, column: ID_COLUMN, id });
}

function listed(header: readonly string[]): string {
  const names = header.slice(0, SHOWN_COLUMNS).map(shortened);
  const more = header.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
