/** glibc-thread: what do threads get, each with its own blocks of 4 … 32,768 bytes? */

import { seconds } from '../effort.ts';
import { type Grid, gridCases, gridTable, leftOut } from '../grid.ts';
import type { Answer, Question } from '../question.ts';
import { sample } from '../rounds.ts';

const SUBJECTS = [
  'heap',
  'heap-buddy',
  'tlsf-park',
  'linked-list-park',
  'buddy-park',
  'thi.ng-park',
  'dlmalloc',
  'emmalloc',
  'v8',
];

export const glibcThread: Question = {
  name: 'glibc-thread',
  asks: 'What do threads get, each with its own blocks of 4 … 32,768 bytes (glibc-thread)?',
  async run(setting): Promise<Answer> {
    const grid: Grid = {
      workload: 'glibc-thread',
      subjects: SUBJECTS,
      threads: [1, 2, 4, 16, 64],
      options: { seconds: seconds(setting, 2) },
      focus: [],
      limits: {
        'thi.ng-park': { threads: 16, reason: 'its cost grows with live blocks: a run would take minutes' },
      },
    };
    if (setting.focus) return { tables: [], figures: [], missing: [], failures: [], disturbances: [] };
    const samples = await sample(setting, gridCases(grid, setting));
    const title = 'glibc-thread, million iterations a second';
    return {
      tables: [gridTable(samples, grid, title, 'rate', 1e6, "V8's own are Uint8Arrays.")],
      figures: [],
      missing: [...samples.missing, ...leftOut(grid, setting)],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
