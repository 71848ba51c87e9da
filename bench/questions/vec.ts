/** vec: is a SharedVec of numbers as fast to read as a typed array? */

import { clockMs } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { sample } from '../rounds.ts';

const SUBJECTS = ['heap', 'plain'];

export const vec: Question = {
  name: 'vec',
  asks: 'Is a SharedVec of numbers as fast to read as a typed array?',
  async run(setting): Promise<Answer> {
    const options = { ms: clockMs(setting) };
    const samples = await sample(
      setting,
      SUBJECTS.map((subject) => ({ key: subject, job: { workload: 'sum', subject, options } })),
    );
    return {
      tables: [
        {
          title: 'the sum of 1,000,000 f64, ns an element',
          columns: ['SharedVec.asTypedArray()', 'Float64Array'],
          rows: [SUBJECTS.map((subject) => samples.median(subject, 'ns'))],
        },
      ],
      figures: [
        {
          figure: "sum of a SharedVec<f64> through asTypedArray() / a Float64Array's",
          ...{ atLeast: 1.05, aim: 1, better: 'lower', unit: '×' },
          ...samples.ratio('heap', 'plain', 'ns'),
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
