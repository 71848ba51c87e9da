/** mstress: how fast and in how much memory do threads come and go, exchanging blocks of all sizes? */

import { scaled } from '../effort.ts';
import { type Grid, gridCases, gridTable, leftOut } from '../grid.ts';
import type { Answer, Question } from '../question.ts';
import { sample } from '../rounds.ts';

const SUBJECTS = ['heap', 'heap-buddy', 'tlsf-park', 'buddy-park', 'thi.ng-park', 'dlmalloc', 'emmalloc'];

export const mstress: Question = {
  name: 'mstress',
  asks: 'How fast, and in how much memory, do threads come and go that exchange blocks of all sizes (mstress)?',
  async run(setting): Promise<Answer> {
    const grid: Grid = {
      workload: 'mstress',
      subjects: SUBJECTS,
      threads: [1, 2, 4, 16, 64],
      options: { scale: scaled(setting, 50, 50, 1), rounds: scaled(setting, 25, 5, 2) },
      focus: [],
      limits: {
        'thi.ng-park': { threads: 4, reason: 'its cost grows with live blocks: a run would take minutes' },
      },
    };
    if (setting.focus) return { tables: [], figures: [], missing: [], failures: [], disturbances: [] };
    const samples = await sample(setting, gridCases(grid, setting));
    return {
      tables: [
        gridTable(samples, grid, 'mstress N 50 25, seconds of work', 'seconds', 1),
        gridTable(samples, grid, 'the same, MiB that were touched', 'peakMiB', 1),
      ],
      figures: [],
      missing: [...samples.missing, ...leftOut(grid, setting)],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
