import type { CellParser } from '../model/spec';
import { parseJson } from './json';
import { parsePython } from './python';
import { parseStrip } from './strip';

const PARSERS: Readonly<Record<CellParser, (cell: string) => readonly (string | null)[]>> = {
  python: parsePython,
  json: parseJson,
  strip: parseStrip,
  text: (cell) => [cell],
};

/** Reads a cell as a list of turns, the way a model was trained. Throws ERR_INPUT_CELL. */
export function parseCell(cell: string, parser: CellParser): readonly (string | null)[] {
  return PARSERS[parser](cell);
}
