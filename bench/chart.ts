/** Charts: tables drawn as SVG, for the README and for people who compare runs. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Table } from './table.ts';

/** How a table is drawn: its rows are subjects, and each of these columns holds one number of every subject. */
export interface Chart {
  /** Name of the file, without its ending. */
  readonly name: string;
  /** Lines over what the columns count; bars for one column; dots of different colours for some. */
  readonly kind: 'lines' | 'bars' | 'dots';
  /** By their headings. */
  readonly columns: readonly string[];
  /** What the columns count; for lines alone. */
  readonly across?: string;
  /** What the numbers are, with the unit. */
  readonly value: string;
  /** On a logarithmic scale. */
  readonly log?: boolean;
}

/** A number of a table. */
interface Point {
  readonly subject: string;
  readonly column: string;
  /** What the column counts: 1,000 of '1,000 live'. */
  readonly count: number;
  readonly value: number;
}

const WIDTH = 560;
const FONT = 'system-ui, sans-serif';
const COLORS = { scheme: 'tableau10' } as const;

/** Draws the tables that say how, into a folder. Returns the paths. */
export async function drawCharts(tables: readonly Table[], run: string, folder: string): Promise<string[]> {
  const drawn: string[] = [];
  for (const table of tables) {
    if (table.chart === undefined || pointsOf(table, table.chart).length === 0) continue;
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${table.chart.name}.svg`);
    writeFileSync(path, `${await toSvg(table, table.chart, run)}\n`);
    drawn.push(path);
  }
  return drawn;
}

/** The table as SVG. */
export function toSvg(table: Table, chart: Chart, run: string): Promise<string> {
  const spec: TopLevelSpec = {
    width: WIDTH,
    title: { text: table.title, subtitle: run, anchor: 'start', subtitleColor: '#666', offset: 12 },
    background: 'white',
    padding: 12,
    config: { font: FONT, view: { stroke: null }, axis: { gridColor: '#eee', domainColor: '#999' } },
    data: { values: pointsOf(table, chart) },
    ...LAYOUTS[chart.kind](chart, rowsOf(table)),
  };
  return new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}

type Marks = Pick<Extract<TopLevelSpec, { mark: unknown }>, 'mark' | 'encoding' | 'height'>;
type Layout = (chart: Chart, subjects: string[]) => Marks;

const LAYOUTS: Readonly<Record<Chart['kind'], Layout>> = { lines, bars, dots };

function lines(chart: Chart, subjects: string[]): Marks {
  const counts = chart.columns.map(countIn);
  const far = Math.max(...counts) / Math.min(...counts) > 100;
  return {
    height: 300,
    mark: { type: 'line', point: true },
    encoding: {
      x: {
        field: 'count',
        type: 'quantitative',
        title: chart.across ?? null,
        scale: { type: far ? 'log' : 'linear' },
        axis: { values: counts, format: ',d', grid: false },
      },
      y: valueAxis(chart),
      color: { field: 'subject', sort: subjects, scale: COLORS, title: null, legend: { labelLimit: 300 } },
      // What it is about stands out.
      strokeWidth: {
        condition: { test: `datum.subject === ${JSON.stringify(subjects[0])}`, value: 4 },
        value: 1.5,
      },
    },
  };
}

function bars(chart: Chart, subjects: string[]): Marks {
  return {
    height: { step: 24 },
    mark: { type: 'bar' },
    encoding: { y: subjectAxis(subjects), x: valueAxis(chart) },
  };
}

function dots(chart: Chart, subjects: string[]): Marks {
  const sort = [...chart.columns];
  const legend = { orient: 'bottom', labelLimit: 300 } as const;
  return {
    height: { step: 26 },
    mark: { type: 'point', filled: true, size: 90, opacity: 1 },
    encoding: {
      y: subjectAxis(subjects),
      x: valueAxis(chart),
      color: { field: 'column', sort, scale: COLORS, title: null, legend },
      shape: { field: 'column', sort, title: null, legend },
    },
  };
}

function subjectAxis(sort: string[]) {
  return { field: 'subject', type: 'nominal', sort, title: null, axis: { labelLimit: 400 } } as const;
}

function valueAxis({ value, log = false }: Chart) {
  const scale = log ? ({ type: 'log' } as const) : ({ type: 'linear', zero: true } as const);
  return { field: 'value', type: 'quantitative', title: value, scale } as const;
}

function rowsOf({ rows }: Table): string[] {
  return rows.map(([subject]) => String(subject));
}

function pointsOf({ columns, rows }: Table, chart: Chart): Point[] {
  return rows.flatMap(([subject, ...values]) =>
    values.flatMap((value, index): Point[] => {
      const column = columns[index + 1]!;
      if (typeof value !== 'number' || Number.isNaN(value) || !chart.columns.includes(column)) return [];
      return [{ subject: String(subject), column, count: countIn(column), value }];
    }),
  );
}

/** The number in a heading, or 0. */
function countIn(column: string): number {
  return Number(column.replace(/\D/g, ''));
}
