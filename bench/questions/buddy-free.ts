/** buddy-free: does the buddy allocator's free cost more when more blocks are live? */

import { scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, sample } from '../rounds.ts';

export const buddyFree: Question = {
  name: 'buddy-free',
  asks: "Does the buddy allocator's free cost more when more blocks are live?",
  async run(setting): Promise<Answer> {
    const batches = scaled(setting, 4000, 1000, 20);
    const live = [1000, 10_000, 100_000];
    const cases = live.map(
      (count): Case => ({
        key: `${count}`,
        job: { workload: 'buddy-free', subject: 'buddy', options: { live: count, batches } },
      }),
    );
    const samples = await sample(setting, cases);
    return {
      tables: [
        {
          title: 'free of the bare buddy allocator, random blocks of 24 … 87 bytes',
          columns: ['live blocks', 'ns', 'of 1,000 live'],
          rows: live.map((count) => [
            count,
            samples.median(`${count}`, 'ns'),
            samples.ratio(`${count}`, '1000', 'ns').measured,
          ]),
        },
      ],
      figures: [
        {
          figure: 'buddy free at 100,000 live blocks / at 1,000',
          atLeast: 3,
          aim: 2,
          better: 'lower',
          unit: '×',
          ...samples.ratio('100000', '1000', 'ns'),
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
