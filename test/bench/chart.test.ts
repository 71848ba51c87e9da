import { describe, expect, test } from 'vitest';
import { type Chart, drawCharts, toSvg } from '../../bench/chart.ts';
import type { Table } from '../../bench/table.ts';

const table: Table = {
  title: 'cost of a pair',
  columns: ['subject', '100 live', '1,000,000 live', 'times'],
  rows: [
    ['heap', 10, 60, 6],
    ['dlmalloc', 40, 400, 10],
    ['slow', 90, undefined, undefined],
  ],
};
const columns = ['100 live', '1,000,000 live'];
const RUN = 'Node 24, 2 cores';

/** How many marks of data the drawing has, and the texts of its labels. */
async function draw(chart: Omit<Chart, 'name' | 'value'>): Promise<{ marks: number; texts: string[] }> {
  const svg = await toSvg(table, { name: 'cost', value: 'ns', ...chart }, RUN);
  const marks = [...svg.matchAll(/aria-roledescription="(bar|point)"/g)].length;
  return { marks, texts: [...svg.matchAll(/<text[^>]*>([^<]+)</g)].map(([, text]) => text!) };
}

describe('a table', () => {
  test('as lines: a point for each number, a line for each subject', async () => {
    const { marks, texts } = await draw({ kind: 'lines', columns, across: 'live blocks', log: true });
    expect(marks).toBe(5);
    for (const text of ['cost of a pair', RUN, 'heap', 'dlmalloc', 'slow', 'live blocks', 'ns', '1,000,000'])
      expect(texts).toContain(text);
    expect(texts).not.toContain('times');
  });

  test('as bars of one column', async () => {
    const { marks, texts } = await draw({ kind: 'bars', columns: ['times'] });
    expect(marks).toBe(2);
    expect(texts).toContain('dlmalloc');
  });

  test('as dots of different columns', async () => {
    const { marks, texts } = await draw({ kind: 'dots', columns, log: true });
    expect(marks).toBe(5);
    for (const text of [...columns, 'slow']) expect(texts).toContain(text);
  });

  test('without numbers, or without a word on how, is not drawn', async () => {
    const chart: Chart = { name: 'cost', kind: 'bars', columns: ['no such'], value: 'ns' };
    expect(await drawCharts([table, { ...table, chart }], RUN, '/no/such/folder')).toEqual([]);
  });
});
