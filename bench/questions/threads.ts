/** threads: what do 1, 2 and 4 threads get out of one shared heap, locked and cached? */

import type { Chart } from '../chart.ts';
import { seconds } from '../effort.ts';
import { type Grid, gridCases, gridTable, keyOf, leftOut } from '../grid.ts';
import type { Answer, Question } from '../question.ts';
import { sample } from '../rounds.ts';

const SUBJECTS = [
  'heap',
  'tlsf-park',
  'tlsf-spin',
  'linked-list-park',
  'buddy-park',
  'thi.ng-park',
  'dlmalloc',
  'emmalloc',
  'v8',
];

const CHART: Chart = {
  name: 'threads',
  kind: 'lines',
  columns: ['1 thr', '2 thr', '4 thr'],
  across: 'threads, on two cores',
  value: 'million pairs a second',
  log: true,
};

export const threads: Question = {
  name: 'threads',
  asks: 'What do 1, 2 and 4 threads get out of one shared heap, locked and cached?',
  async run(setting): Promise<Answer> {
    const grid: Grid = {
      workload: 'ring',
      subjects: SUBJECTS,
      threads: [1, 2, 4],
      options: { seconds: seconds(setting, 2) },
      focus: [keyOf('heap', 1), keyOf('heap', 2)],
    };
    const samples = await sample(setting, gridCases(grid, setting));
    const title = 'pairs of 24 … 87 bytes, 64 live in each thread, million a second';
    return {
      tables: setting.focus ? [] : [{ ...gridTable(samples, grid, title, 'rate', 1e6), chart: CHART }],
      figures: [
        {
          figure: 'pairs on a shared heap: 2 threads / 1',
          atLeast: 1.8,
          aim: 1.98,
          better: 'higher',
          unit: '×',
          note: 'quiet machine; not asked for',
          ...samples.ratio(keyOf('heap', 2), keyOf('heap', 1), 'rate'),
        },
      ],
      missing: [...samples.missing, ...leftOut(grid, setting)],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
