/** Grid: one workload, measured for every subject at every number of threads. */

import type { Job } from './job.ts';
import type { Missing, Setting } from './question.ts';
import type { Case, Samples } from './rounds.ts';
import { labelOf } from './subject-table.ts';
import type { Table, Value } from './table.ts';

/** A column of numbers of threads, and what is measured in it. */
export interface Grid {
  readonly workload: string;
  readonly subjects: readonly string[];
  readonly threads: readonly number[];
  readonly options: Readonly<Record<string, number>>;
  /** The cases that the figures need, as `subject threads`. */
  readonly focus: readonly string[];
  /** Why a subject is left out from so many threads on. */
  readonly limits?: Readonly<Record<string, { readonly threads: number; readonly reason: string }>>;
}

/** The key of a case. */
export function keyOf(subject: string, threads: number): string {
  return `${subject} ${threads}`;
}

/** The cases of a grid: all, or those that the figures need. */
export function gridCases(grid: Grid, { focus, effort }: Setting): Case[] {
  const { workload, options } = grid;
  const all = grid.threads.flatMap((threads) =>
    grid.subjects.map((subject): Job => ({ workload, subject, threads, options })),
  );
  return all
    .filter(({ subject, threads = 1 }) => !isLeftOut(grid, subject, threads))
    .map((job) => ({ key: keyOf(job.subject, job.threads ?? 1), job }))
    .filter(({ key, job }) =>
      focus ? grid.focus.includes(key) : effort !== 'tiny' || (job.threads ?? 1) <= 2,
    );
}

function isLeftOut({ limits }: Grid, subject: string, threads: number): boolean {
  return threads >= (limits?.[subject]?.threads ?? Number.POSITIVE_INFINITY);
}

/** The subjects that are left out, and why. */
export function leftOut({ limits, threads: counts }: Grid, { focus }: Setting): Missing[] {
  if (focus) return [];
  return Object.entries(limits ?? {})
    .filter(([, { threads }]) => threads <= Math.max(...counts))
    .map(([subject, { threads, reason }]) => ({
      subject: `${labelOf(subject)}, ${threads} threads and more`,
      reason,
    }));
}

/** A row for each subject, a column for each number of threads, and ratios to the first subject. */
export function gridTable(
  samples: Samples,
  grid: Grid,
  title: string,
  metric: string,
  unit: number,
  note?: string,
): Table {
  const { subjects, threads } = grid;
  const first = subjects[0]!;
  const row = (subject: string): Value[] => [
    labelOf(subject),
    ...threads.map((count) => scaled(samples.median(keyOf(subject, count), metric), unit)),
    ...threads
      .slice(0, 2)
      .map((count) => samples.ratio(keyOf(subject, count), keyOf(first, count), metric).measured),
  ];
  return {
    title,
    columns: [
      'subject',
      ...threads.map((count) => `${count} thr`),
      ...threads.slice(0, 2).map((count) => `of ${first}, ${count}`),
    ],
    rows: subjects.map(row),
    ...(note === undefined ? {} : { note }),
  };
}

function scaled(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : value / unit;
}
