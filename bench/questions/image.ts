/** image: how soon does a fresh process answer from an index that was built before, beside parsing JSON? */

import { scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, sample } from '../rounds.ts';

const SUBJECTS = ['plain', 'heap'];
const THREADS = 4;

export const image: Question = {
  name: 'image',
  asks: 'How soon does a fresh process answer from an index that was built before, beside parsing JSON?',
  async run(setting): Promise<Answer> {
    const words = scaled(setting, 200_000, 50_000, 500);
    const caseOf = (subject: string, workload: string, threads: number): Case => ({
      key: `${subject} ${threads}`,
      job: { workload, subject, threads, options: { words } },
    });
    const samples = await sample(
      setting,
      SUBJECTS.flatMap((subject) => [caseOf(subject, 'image', 1), caseOf(subject, 'image-crew', THREADS)]),
    );
    const row = (label: string, threads: number) => [
      label,
      ...SUBJECTS.map((subject) => samples.median(`${subject} ${threads}`, 'ms')),
      samples.ratio(`plain ${threads}`, `heap ${threads}`, 'ms').measured,
    ];
    return {
      tables: [
        {
          title: `the first answer from an index of ${words.toLocaleString('en')} words in a file, ms`,
          columns: ['', 'JSON.parse', 'loadImage', 'times faster'],
          rows: [row('one thread', 1), row(`${THREADS} workers, each of them`, THREADS)],
        },
      ],
      figures: [
        {
          figure: 'the first answer of a fresh process: JSON.parse / loadImage',
          ...{ atLeast: 5, aim: 20, better: 'higher', unit: '×' },
          ...samples.ratio('plain 1', 'heap 1', 'ms'),
        },
        {
          figure: `the first answers of ${THREADS} workers: JSON.parse in each / loadImage once`,
          ...{ atLeast: 10, aim: 20, better: 'higher', unit: '×' },
          ...samples.ratio(`plain ${THREADS}`, `heap ${THREADS}`, 'ms'),
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
