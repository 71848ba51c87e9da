/** map: what does a map cost that all threads share, beside a plain Map of one thread? */

import { clockMs, scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, type Samples, sample } from '../rounds.ts';
import type { Value } from '../table.ts';

export const map: Question = {
  name: 'map',
  asks: 'What does a map cost that all threads share, beside a plain Map of one thread?',
  async run(setting): Promise<Answer> {
    const count = scaled(setting, 4_000_000, 1_000_000, 1000);
    const counting = (subject: string, threads: number, cut: 0 | 1): Case => ({
      key: `${subject} ${threads}${cut ? ' cut' : ''}`,
      job: { workload: 'count', subject, threads, options: { count, cut } },
    });
    const lookingUp = (subject: string): Case => ({
      key: `${subject} get`,
      job: { workload: 'look-up', subject, options: { ms: clockMs(setting) } },
    });
    const samples = await sample(setting, [
      counting('plain', 1, 1),
      counting('heap', 1, 1),
      counting('heap', 2, 1),
      counting('plain', 1, 0),
      counting('heap', 1, 0),
      counting('heap', 2, 0),
      lookingUp('plain'),
      lookingUp('heap'),
    ]);
    return {
      tables: [
        {
          title: '100,000 keys',
          columns: ['', 'a plain Map', 'SharedMap, 1 thread', 'SharedMap, 2 threads'],
          rows: [
            ['add 1 to a word cut from a text, million a second', ...ratesOf(samples, ' cut')],
            ['add 1 to one of the same string objects, million a second', ...ratesOf(samples, '')],
            [
              'get an integer key, ns',
              samples.median('plain get', 'ns'),
              samples.median('heap get', 'ns'),
              undefined,
            ],
          ],
        },
      ],
      figures: [
        {
          figure: 'SharedMap.add of words cut from a text, 2 threads / a plain Map, 1 thread',
          ...{ atLeast: 2, aim: 3, better: 'higher', unit: '×' },
          ...samples.ratio('heap 2 cut', 'plain 1 cut', 'rate'),
        },
        {
          figure: 'SharedMap.add of the same string objects, 2 threads / a plain Map, 1 thread',
          ...{ atLeast: 2, aim: 3, better: 'higher', unit: '×' },
          ...samples.ratio('heap 2', 'plain 1', 'rate'),
        },
        {
          figure: "SharedMap.get of integer keys / a plain Map's",
          ...{ atLeast: 2.5, aim: 1.5, better: 'lower', unit: '×' },
          ...samples.ratio('heap get', 'plain get', 'ns'),
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

function ratesOf(samples: Samples, keys: string): Value[] {
  return ['plain 1', 'heap 1', 'heap 2'].map((name) => {
    const rate = samples.median(name + keys, 'rate');
    return rate === undefined ? undefined : rate / 1e6;
  });
}
