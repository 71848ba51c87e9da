/** xmalloc: what do pipelines get, where one thread allocates and another frees? */

import { seconds } from '../effort.ts';
import { type Grid, gridCases, gridTable, keyOf, leftOut } from '../grid.ts';
import type { Answer, Question } from '../question.ts';
import { sample } from '../rounds.ts';

const SUBJECTS = [
  'heap',
  'heap-buddy',
  'tlsf-park',
  'buddy-park',
  'thi.ng-park',
  'dlmalloc',
  'emmalloc',
  'glibc',
  'mimalloc',
];

export const xmalloc: Question = {
  name: 'xmalloc-test',
  asks: 'What do pipelines get, where one thread allocates and another frees (xmalloc-test)?',
  async run(setting): Promise<Answer> {
    const grid: Grid = {
      workload: 'xmalloc',
      subjects: SUBJECTS,
      threads: [2, 4, 16, 64],
      options: { seconds: seconds(setting, 5) },
      focus: ['heap 4', 'dlmalloc 4'],
      limits: {
        'thi.ng-park': { threads: 2, reason: 'up to 400,000 live blocks: each free would take milliseconds' },
      },
    };
    const samples = await sample(setting, gridCases(grid, setting));
    const title =
      'xmalloc-test -w N -t 5 -s 64, million frees a second; half of the threads produce, half consume';
    return {
      tables: setting.focus ? [] : [gridTable(samples, grid, title, 'rate', 1e6)],
      figures: [
        {
          figure: 'xmalloc-test at 2 + 2 threads / dlmalloc on WebAssembly',
          atLeast: 3,
          aim: 6,
          better: 'higher',
          unit: '×',
          ...samples.ratio(keyOf('heap', 4), keyOf('dlmalloc', 4), 'rate'),
        },
      ],
      missing: [...samples.missing, ...leftOut(grid, setting)],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
