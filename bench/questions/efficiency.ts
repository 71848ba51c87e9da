/** efficiency: how much of a heap can be used before it is full, and what do headers take? */

import { scaled } from '../effort.ts';
import type { Answer, Figure, Question } from '../question.ts';
import { type Case, type Samples, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';

const FOCUS = ['tlsf', 'heap'];
const SUBJECTS = [...FOCUS, 'heap-buddy', 'linked-list', 'buddy', 'dlmalloc', 'emmalloc'];
const ALIGNS = { subject: '@thi.ng/malloc', reason: 'its blocks have one alignment for all' };

export const efficiency: Question = {
  name: 'efficiency',
  asks: 'How much of a heap can be used before it is full, and what do headers take?',
  async run(setting): Promise<Answer> {
    const rounds = scaled(setting, 300, 30, 1);
    const cases = (setting.focus ? FOCUS : SUBJECTS).map(
      (subject): Case => ({
        key: subject,
        job: { workload: 'efficiency', subject, options: { rounds } },
      }),
    );
    // The same draws give the same answer: one round is enough.
    const samples = await sample(
      setting,
      [...cases, { key: 'metadata', job: { workload: 'metadata', subject: 'heap' } }],
      1,
    );
    return {
      tables: setting.focus
        ? []
        : [
            {
              title: `heap efficiency: 128 MiB, ${rounds} rounds of random actions until the first failure`,
              columns: ['subject', '% used', 'ns a step', 'steps'],
              rows: SUBJECTS.map((name) => [
                labelOf(name),
                ...['percent', 'ns', 'steps'].map((metric) => samples.median(name, metric)),
              ]),
              chart: {
                name: 'efficiency',
                kind: 'bars',
                columns: ['% used'],
                value: '% of the heap used when it is full',
              },
            },
          ],
      figures: figuresOf(samples),
      missing: [...samples.missing, ...(setting.focus ? [] : [ALIGNS])],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

function figuresOf(samples: Samples): Figure[] {
  const percent = { better: 'higher', unit: '%' } as const;
  return [
    {
      figure: 'heap efficiency, tlsf bare',
      ...percent,
      atLeast: 97.3,
      aim: 98.5,
      measured: samples.median('tlsf', 'percent'),
    },
    {
      figure: 'heap efficiency, tlsf behind caches',
      ...percent,
      atLeast: 96,
      aim: 98,
      measured: samples.median('heap', 'percent'),
    },
    {
      figure: 'metadata a block',
      better: 'lower',
      unit: 'bytes',
      atLeast: 8,
      aim: 8,
      measured: samples.median('metadata', 'bytes'),
    },
  ];
}
