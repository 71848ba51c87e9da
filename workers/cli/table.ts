/** Tables for people: columns with nothing drawn between them. */

import CliTable from 'cli-table3';

const BORDERS = ['top', 'bottom', 'left', 'right', 'mid'];
const ENDS = ['-mid', '-left', '-right'];
const BARE = Object.fromEntries(
  BORDERS.flatMap((border) => [border, ...ENDS.map((end) => border + end)]).map((name) => [name, '']),
);

/** Text in columns. */
export interface Columns {
  readonly head?: readonly string[];
  /** One letter for each column: l, r. */
  readonly aligned: string;
  readonly rows: readonly (readonly string[])[];
}

/** Draws them, each line indented by two. */
export function drawColumns({ head, aligned, rows }: Columns): string {
  const table = new CliTable({
    ...(head === undefined ? {} : { head: [...head] }),
    colAligns: [...aligned].map((letter) => (letter === 'r' ? 'right' : 'left')),
    chars: { ...BARE, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}
