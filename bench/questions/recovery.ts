/** recovery: how long does it take to recover what a dead thread left? */

import { scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';

const SUBJECTS = ['heap', 'heap-linked-list', 'heap-buddy'];
/** The largest block in bytes: so many live ones fill nearly all of the heap. */
const MOST: Readonly<Record<string, number>> = { 'heap-buddy': 400 };
const MOST_OTHERWISE = 984;

export const recovery: Question = {
  name: 'recovery',
  asks: 'How long does it take to recover what a dead thread left?',
  async run(setting): Promise<Answer> {
    const live = scaled(setting, 100_000, 100_000, 1000);
    const deaths = scaled(setting, 7, 3, 1);
    const subjects = setting.focus ? ['heap'] : SUBJECTS;
    const samples = await sample(
      setting,
      subjects.map(
        (subject): Case => ({
          key: subject,
          job: {
            workload: 'recovery',
            subject,
            options: { live, deaths, most: MOST[subject] ?? MOST_OTHERWISE },
          },
        }),
      ),
    );
    const first = samples.values('heap', 'first').filter((ms) => !Number.isNaN(ms));
    return {
      tables: [
        {
          title: `reap of a thread that died with the allocator's lock and ${live.toLocaleString('en-US')} live blocks, 64 MiB, ms`,
          columns: ['allocator', 'first in its process', 'later'],
          rows: subjects.map((subject) => [
            labelOf(subject),
            samples.median(subject, 'first'),
            samples.median(subject, 'ms'),
          ]),
        },
      ],
      figures: [
        {
          figure: "reap of a thread that died with the allocator's lock, 100,000 live blocks in 64 MiB",
          atLeast: 50,
          aim: 25,
          better: 'lower',
          unit: 'ms',
          measured: samples.median('heap', 'first'),
          spread: first.length === 0 ? undefined : [Math.min(...first), Math.max(...first)],
          note: 'the first in its process',
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
