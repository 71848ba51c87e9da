/** Tables: rows of numbers with a heading, drawn for people. */

import CliTable from 'cli-table3';
import type { Chart } from './chart.ts';
import { type Figure, type Missing, verdictOf } from './question.ts';

/** A number, a word, or nothing. */
export type Value = string | number | undefined;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
  /** What one has to know to read it. */
  readonly note?: string;
  /** How it can be drawn. */
  readonly chart?: Chart;
}

const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  right: '',
  'right-mid': '',
  mid: '',
  'mid-mid': '',
  middle: '  ',
};

/** The table as text. */
export function drawTable({ title, columns, rows, note }: Table): string {
  const table = new CliTable({
    head: [...columns],
    colAligns: columns.map((_, index) => (index === 0 ? 'left' : 'right')),
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push(row.map(show));
  return [title, indent(table.toString()), ...(note === undefined ? [] : [indent(note)])].join('\n');
}

/** The figures with limits, as a table. */
export function figureTable(figures: readonly Figure[]): Table {
  return {
    title: 'Figures (medians of paired runs; lowest … highest)',
    columns: ['figure', 'at least', 'aim', 'measured', 'of the rounds', 'verdict'],
    rows: figures.map((figure) => [
      figure.figure + (figure.note === undefined ? '' : ` (${figure.note})`),
      `${figure.better === 'lower' ? '≤' : '≥'} ${figure.atLeast} ${figure.unit}`,
      `${figure.aim} ${figure.unit}`,
      figure.measured,
      figure.spread === undefined ? '' : `${show(figure.spread[0])} … ${show(figure.spread[1])}`,
      verdictOf(figure),
    ]),
  };
}

/** What could not be had, as lines. */
export function drawMissing(missing: readonly Missing[]): string {
  return missing.map(({ subject, reason }) => `  not measured: ${subject}: ${reason}`).join('\n');
}

function show(value: Value): string {
  if (value === undefined) return '–';
  if (typeof value === 'string') return value;
  if (Number.isNaN(value)) return '–';
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}
