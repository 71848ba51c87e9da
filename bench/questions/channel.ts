/** channel: how many addresses a second go from one thread to another? */

import { scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';

const BATCH = 256;
const SUBJECTS = ['channel', 'spsc-ring', 'messages'];

export const channel: Question = {
  name: 'channel',
  asks: 'How many addresses a second go from one thread to another?',
  async run(setting): Promise<Answer> {
    const caseOf = (subject: string, batch: number, count: number): Case => ({
      key: `${subject} ${batch}`,
      job: { workload: 'channel', subject, options: { batch, count } },
    });
    const count = scaled(setting, 5_000_000, 2_000_000, 1000);
    const samples = await sample(setting, [
      ...[1, BATCH].flatMap((batch) => [caseOf('channel', batch, count), caseOf('spsc-ring', batch, count)]),
      caseOf('messages', 1, scaled(setting, 200_000, 100_000, 100)),
    ]);
    const rateOf = (subject: string, batch: number): number | undefined => {
      const rate = samples.median(`${subject} ${batch}`, 'rate');
      return rate === undefined ? undefined : rate / 1e6;
    };
    return {
      tables: [
        {
          title: 'addresses from one thread to another, million a second',
          columns: ['', 'one at a time', `in batches of ${BATCH}`],
          rows: SUBJECTS.map((subject) => [labelOf(subject), rateOf(subject, 1), rateOf(subject, BATCH)]),
        },
      ],
      figures: [
        {
          figure: 'channel of addresses, 1 to 1 thread, one at a time / postMessage',
          ...{ atLeast: 50, aim: 100, better: 'higher', unit: '×' },
          ...samples.ratio('channel 1', 'messages 1', 'rate'),
        },
        {
          figure: `channel of addresses, 1 to 1 thread, batches of ${BATCH}`,
          ...{ atLeast: 3, aim: 10, better: 'higher', unit: 'M/s' },
          measured: rateOf('channel', BATCH),
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
