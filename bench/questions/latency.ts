/** latency: how long does a single alloc or free take, at worst, alone and against another thread? */

import type { Chart } from '../chart.ts';
import { scaled } from '../effort.ts';
import { type Grid, gridCases, keyOf } from '../grid.ts';
import type { Answer, Question } from '../question.ts';
import { type Samples, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';
import type { Table } from '../table.ts';

const SUBJECTS = [
  'heap',
  'tlsf-park',
  'tlsf-spin',
  'buddy-park',
  'linked-list-park',
  'thi.ng-park',
  'dlmalloc',
  'emmalloc',
];
const METRICS = ['p50', 'p99', 'p999', 'max', 'alloc-p999', 'free-p999', 'clock'];

export const latency: Question = {
  name: 'latency',
  asks: 'How long does a single alloc or free take at worst, alone and against another thread?',
  async run(setting): Promise<Answer> {
    const grid: Grid = {
      workload: 'latency',
      subjects: SUBJECTS,
      threads: [1, 2],
      options: { operations: scaled(setting, 500_000, 200_000, 2000) },
      focus: [keyOf('heap', 2), keyOf('dlmalloc', 2)],
    };
    const samples = await sample(setting, gridCases(grid, setting));
    return {
      tables: setting.focus ? [] : grid.threads.map((threads) => tableOf(samples, threads)),
      figures: [
        {
          figure: 'p99.9 of alloc and free under contention of 2 threads / dlmalloc on WebAssembly',
          atLeast: 1,
          aim: 0.1,
          better: 'lower',
          unit: '×',
          ...samples.ratio(keyOf('heap', 2), keyOf('dlmalloc', 2), 'p999'),
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

const CHART: Chart = {
  name: 'latency',
  kind: 'dots',
  columns: ['p50', 'p99', 'p99.9', 'max'],
  value: 'ns',
  log: true,
};

function tableOf(samples: Samples, threads: number): Table {
  return {
    title: `a single alloc or free of 8 … 999 bytes, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ns`,
    columns: ['subject', 'p50', 'p99', 'p99.9', 'max', 'alloc p99.9', 'free p99.9', 'clock'],
    rows: SUBJECTS.map((name) => [
      labelOf(name),
      ...METRICS.map((metric) => {
        const value = samples.median(keyOf(name, threads), metric);
        return value === undefined ? undefined : Math.round(value);
      }),
    ]),
    note: 'What the clock itself takes is in every number.',
    ...(threads === 1 ? {} : { chart: CHART }),
  };
}
