/** live-blocks: does a pair cost more when more blocks are live? */

import type { Chart } from '../chart.ts';
import { clockMs } from '../effort.ts';
import type { Answer, Missing, Question, Setting } from '../question.ts';
import { type Case, type Samples, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';
import type { Table, Value } from '../table.ts';

const COUNTS = [100, 1000, 10_000, 100_000, 1_000_000];
const SUBJECTS = [
  'heap',
  'tlsf',
  'tlsf-park',
  'buddy-park',
  'linked-list-park',
  'thi.ng-park',
  'dlmalloc',
  'emmalloc',
  'v8',
];
/** The most live blocks of subjects that would take minutes for more. */
const MOST: Readonly<Record<string, number>> = { 'thi.ng-park': 10_000, 'linked-list-park': 100_000 };

/** What goes, and the tables' titles. */
const ORDERS = [
  'a pair of 24 … 87 bytes while so many are live, a random one goes, one thread, ns',
  'the same, the oldest goes',
  'no pair: a random live block is read and written, ns: what the memory itself takes',
];
const RANDOM = 0;
const OLDEST = 1;

export const liveBlocks: Question = {
  name: 'live-blocks',
  asks: 'Does a pair cost more when more blocks are live?',
  async run(setting): Promise<Answer> {
    const samples = await sample(setting, casesFor(setting));
    const lower = { atLeast: 4, aim: 2, better: 'lower', unit: '×' } as const;
    return {
      tables: setting.focus ? [] : ORDERS.map((title, order) => tableOf(samples, title, order)),
      figures: [
        {
          figure: 'cost at 1,000,000 live blocks / at 1,000, the oldest goes',
          ...lower,
          ...samples.ratio(keyOf('heap', 1_000_000, OLDEST), keyOf('heap', 1000, OLDEST), 'ns'),
        },
        {
          figure: 'cost at 1,000,000 live blocks / at 1,000, a random one goes',
          ...lower,
          ...samples.ratio(keyOf('heap', 1_000_000, RANDOM), keyOf('heap', 1000, RANDOM), 'ns'),
          note: "most of it is the memory's: see the third table",
        },
      ],
      missing: [...samples.missing, ...leftOut(setting)],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

function keyOf(subject: string, live: number, order: number): string {
  return `${subject} ${live} ${order}`;
}

const COLUMNS = COUNTS.map((live) => `${live.toLocaleString('en-US')} live`);

const CHART: Chart = {
  name: 'live-blocks',
  kind: 'lines',
  columns: COLUMNS,
  across: 'live blocks',
  value: 'ns a pair',
  log: true,
};

function tableOf(samples: Samples, title: string, order: number): Table {
  const row = (name: string): Value[] => [
    labelOf(name),
    ...COUNTS.map((live) => samples.median(keyOf(name, live, order), 'ns')),
    samples.ratio(keyOf(name, 1_000_000, order), keyOf(name, 1000, order), 'ns').measured,
  ];
  return {
    title,
    columns: ['subject', ...COLUMNS, '1,000,000 / 1,000'],
    rows: subjectsOf(order).map(row),
    ...(order === RANDOM ? { chart: CHART } : {}),
  };
}

function subjectsOf(order: number): readonly string[] {
  return order === RANDOM ? SUBJECTS : ['heap', 'tlsf-park', 'dlmalloc', 'v8'];
}

function casesFor(setting: Setting): Case[] {
  const counts = setting.effort === 'tiny' ? COUNTS.filter((live) => live <= 10_000) : COUNTS;
  const all = ORDERS.flatMap((_, order) =>
    counts.flatMap((live) =>
      subjectsOf(order)
        .filter((name) => live <= (MOST[name] ?? live))
        .map((subject) => ({
          key: keyOf(subject, live, order),
          job: { workload: 'live-blocks', subject, options: { live, order, ms: clockMs(setting) } },
        })),
    ),
  );
  const needed = [1000, 1_000_000].flatMap((live) =>
    [RANDOM, OLDEST].map((order) => keyOf('heap', live, order)),
  );
  return setting.focus ? all.filter(({ key }) => needed.includes(key)) : all;
}

function leftOut({ focus }: Setting): Missing[] {
  if (focus) return [];
  return Object.entries(MOST).map(([name, most]) => ({
    subject: `${labelOf(name)}, above ${most.toLocaleString('en-US')} live`,
    reason: 'its cost grows with live blocks: a run would take minutes',
  }));
}
