/** channel: how many addresses a second go from one thread to another? */

import { scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';

const BATCH = 256;
const BATCHED = `batches of ${BATCH}`;
const SUBJECTS = ['channel', 'spsc-ring'];

export const channel: Question = {
  name: 'channel',
  asks: 'How many addresses a second go from one thread to another?',
  async run(setting): Promise<Answer> {
    const caseOf = (subject: string, batch: number, count: number, answered = 0): Case => ({
      key: `${subject} ${answered === 1 ? 'answered' : batch}`,
      job: { workload: 'channel', subject, options: { batch, count, answered } },
    });
    const samples = await sample(setting, [
      ...['channel', 'spsc-ring'].flatMap((subject) => [
        caseOf(subject, 1, scaled(setting, 5_000_000, 2_000_000, 1000)),
        caseOf(subject, BATCH, scaled(setting, 40_000_000, 20_000_000, 1000)),
      ]),
      caseOf('messages', 1, scaled(setting, 200_000, 100_000, 100)),
      caseOf('messages', 1, scaled(setting, 20_000, 10_000, 100), 1),
    ]);
    const rateOf = (subject: string, batch: number | string): number | undefined => {
      const rate = samples.median(`${subject} ${batch}`, 'rate');
      return rate === undefined ? undefined : rate / 1e6;
    };
    const rows: [string, string, number | string][] = SUBJECTS.flatMap((subject) => [
      [`${labelOf(subject)}, one at a time`, subject, 1],
      [`${labelOf(subject)}, ${BATCHED}`, subject, BATCH],
    ]);
    rows.push(
      ['postMessage, streamed', 'messages', 1],
      ['postMessage, there and back', 'messages', 'answered'],
    );
    return {
      tables: [
        {
          title: 'addresses from one thread to another, million a second',
          columns: ['', 'M/s', '/ streamed postMessage', '/ there and back'],
          rows: rows.map(([label, subject, how]) => [
            label,
            rateOf(subject, how),
            samples.ratio(`${subject} ${how}`, 'messages 1', 'rate').measured,
            samples.ratio(`${subject} ${how}`, 'messages answered', 'rate').measured,
          ]),
        },
      ],
      figures: [
        {
          figure: `channel of addresses, 1 to 1 thread, ${BATCHED} / postMessage`,
          ...{ atLeast: 50, aim: 100, better: 'higher', unit: '×' },
          ...samples.ratio(`channel ${BATCH}`, 'messages 1', 'rate'),
        },
        {
          figure: `channel of addresses, 1 to 1 thread, ${BATCHED}`,
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
