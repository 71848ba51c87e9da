/** larson: what does a server get, whose requests free what others allocated? */

import { scaled, seconds } from '../effort.ts';
import { type Grid, gridCases, gridTable, keyOf, leftOut } from '../grid.ts';
import type { Answer, Figure, Question, Setting } from '../question.ts';
import { type Case, type Samples, sample } from '../rounds.ts';

const SUBJECTS = [
  'heap',
  'heap-linked-list',
  'heap-buddy',
  'tlsf-park',
  'linked-list-park',
  'buddy-park',
  'thi.ng-park',
  'dlmalloc',
  'emmalloc',
  'v8',
  'glibc',
  'mimalloc',
];
const FOCUS = ['heap 1', 'heap 2', 'heap 16', 'heap 64', 'dlmalloc 1', 'dlmalloc 2', 'glibc 2', 'mimalloc 2'];
const SLOW = 'its cost grows with live blocks: a run would take minutes';

export const larson: Question = {
  name: 'larson',
  asks: 'What does a server get, whose requests free what others allocated (larson)?',
  async run(setting): Promise<Answer> {
    const grid: Grid = {
      workload: 'larson',
      subjects: SUBJECTS,
      threads: [1, 2, 4, 16, 64],
      options: { seconds: seconds(setting, 5) },
      focus: FOCUS,
      limits: {
        'thi.ng-park': { threads: 4, reason: SLOW },
        'linked-list-park': { threads: 16, reason: SLOW },
        'heap-linked-list': { threads: 16, reason: SLOW },
      },
    };
    const samples = await sample(setting, [...gridCases(grid, setting), ...countingCases(setting)]);
    const note = "V8's own objects and their threads share nothing.";
    return {
      tables: setting.focus
        ? []
        : [
            gridTable(
              samples,
              grid,
              'larson 5 8 1000 5000 100 4141 N, million operations a second',
              'rate',
              1e6,
              note,
            ),
          ],
      figures: [...rateFigures(samples), ...lockFigures(samples)],
      missing: [...samples.missing, ...leftOut(grid, setting)],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

/** Runs of a fixed length that count the locks taken. */
function countingCases(setting: Setting): Case[] {
  const operations = scaled(setting, 2_000_000, 1_000_000, 20_000);
  return [1, 2].map((threads) => ({
    key: `locks ${threads}`,
    job: { workload: 'larson', subject: 'heap', threads, options: { operations, count: 1 } },
  }));
}

function rateFigures(samples: Samples): Figure[] {
  const rate = (above: string, below: string): ReturnType<Samples['ratio']> =>
    samples.ratio(above, below, 'rate');
  const higher = { better: 'higher', unit: '×' } as const;
  return [
    {
      figure: 'larson / dlmalloc on WebAssembly, 1 thread',
      ...higher,
      atLeast: 2.5,
      aim: 4,
      ...rate('heap 1', 'dlmalloc 1'),
    },
    {
      figure: 'larson / dlmalloc on WebAssembly, 2 threads',
      ...higher,
      atLeast: 10,
      aim: 15,
      ...rate('heap 2', 'dlmalloc 2'),
    },
    {
      figure: 'larson / native glibc, 2 threads',
      ...higher,
      atLeast: 0.8,
      aim: 1.3,
      ...rate('heap 2', 'glibc 2'),
    },
    {
      figure: 'larson / native mimalloc, 2 threads',
      ...higher,
      atLeast: 0.2,
      aim: 0.4,
      ...rate('heap 2', 'mimalloc 2'),
    },
    {
      figure: 'larson, 2 threads / 1',
      ...higher,
      atLeast: 1.8,
      aim: 1.98,
      note: 'quiet machine',
      ...rate('heap 2', 'heap 1'),
    },
    { figure: 'larson, 16 threads / 2', ...higher, atLeast: 0.7, aim: 0.9, ...rate('heap 16', 'heap 2') },
    { figure: 'larson, 64 threads / 2', ...higher, atLeast: 0.7, aim: 0.9, ...rate('heap 64', 'heap 2') },
  ];
}

function lockFigures(samples: Samples): Figure[] {
  return [1, 2].map((threads) => ({
    figure: `lock acquisitions per 1,000 larson operations, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    atLeast: 40,
    aim: 10,
    better: 'lower',
    unit: '',
    ...samples.spread(keyOf('locks', threads), 'locks'),
  }));
}
