/** hand-off: what does it cost to give a graph of 10,000 objects to another thread? */

import { scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, sample } from '../rounds.ts';

const KINDS = ['alone', 'whole'];

export const handOff: Question = {
  name: 'hand-off',
  asks: 'What does it cost to give a graph of 10,000 objects to another thread?',
  async run(setting): Promise<Answer> {
    const caseOf = (subject: string, whole: number, turns: number): Case => ({
      key: `${subject} ${KINDS[whole]}`,
      job: { workload: 'hand-off', subject, options: { whole, turns } },
    });
    const samples = await sample(setting, [
      caseOf('heap', 0, scaled(setting, 20_000, 5000, 5)),
      caseOf('messages', 0, scaled(setting, 100, 30, 1)),
      caseOf('heap', 1, scaled(setting, 300, 100, 2)),
      caseOf('messages', 1, scaled(setting, 200, 50, 1)),
    ]);
    const ratio = (kind: string) => samples.ratio(`messages ${kind}`, `heap ${kind}`, 'ns');
    return {
      tables: [
        {
          title: 'a graph of 10,000 objects, microseconds',
          columns: ['', 'boxes in one heap', 'structuredClone messages', 'times faster'],
          rows: [
            ['there and back again, nothing else', 'alone'],
            ['built, handed off, all of it read there, freed', 'whole'],
          ].map(([label, kind]) => [
            label!,
            ...['heap', 'messages'].map((subject) =>
              inMicroseconds(samples.median(`${subject} ${kind}`, 'ns')),
            ),
            ratio(kind!).measured,
          ]),
          chart: {
            name: 'hand-off',
            kind: 'dots',
            columns: ['boxes in one heap', 'structuredClone messages'],
            value: 'microseconds',
            log: true,
          },
        },
      ],
      figures: [
        {
          figure: 'hand-off of 10,000 objects alone: messages / heap',
          ...{ atLeast: 500, aim: 1000, better: 'higher', unit: '×' },
          ...ratio('alone'),
        },
        {
          figure: 'built, handed off, read, freed: messages / heap',
          ...{ atLeast: 2, aim: 4, better: 'higher', unit: '×' },
          ...ratio('whole'),
        },
      ],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

function inMicroseconds(ns: number | undefined): number | undefined {
  return ns === undefined ? undefined : ns / 1000;
}
