/** live-blocks: does a pair cost more when more blocks are live? */

import { clockMs } from '../effort.ts';
import type { Answer, Missing, Question, Setting } from '../question.ts';
import { type Case, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';

const COUNTS = [100, 1000, 10_000, 100_000, 1_000_000];
const SUBJECTS = [
  'heap',
  'tlsf',
  'tlsf-park',
  'buddy-park',
  'linked-list-park',
  'thi.ng-park',
  'dlmalloc',
  'emmalloc',
  'v8',
];
/** The most live blocks of subjects that would take minutes for more. */
const MOST: Readonly<Record<string, number>> = { 'thi.ng-park': 10_000, 'linked-list-park': 100_000 };

export const liveBlocks: Question = {
  name: 'live-blocks',
  asks: 'Does a pair cost more when more blocks are live?',
  async run(setting): Promise<Answer> {
    const samples = await sample(setting, casesFor(setting));
    const ratio = samples.ratio('heap 1000000', 'heap 1000', 'ns');
    return {
      tables: setting.focus
        ? []
        : [
            {
              title: 'a pair of 24 … 87 bytes, the freed one at random, one thread, ns',
              columns: [
                'subject',
                ...COUNTS.map((live) => `${live.toLocaleString('en-US')} live`),
                '1,000,000 / 1,000',
              ],
              rows: SUBJECTS.map((name) => [
                labelOf(name),
                ...COUNTS.map((live) => samples.median(`${name} ${live}`, 'ns')),
                samples.ratio(`${name} 1000000`, `${name} 1000`, 'ns').measured,
              ]),
            },
          ],
      figures: [
        {
          figure: 'cost at 1,000,000 live blocks / at 1,000',
          atLeast: 4,
          aim: 2,
          better: 'lower',
          unit: '×',
          ...ratio,
        },
      ],
      missing: [...samples.missing, ...leftOut(setting)],
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

function casesFor(setting: Setting): Case[] {
  const counts = setting.effort === 'tiny' ? COUNTS.filter((live) => live <= 10_000) : COUNTS;
  const all = counts.flatMap((live) =>
    SUBJECTS.filter((name) => live <= (MOST[name] ?? live)).map((subject) => ({
      key: `${subject} ${live}`,
      job: { workload: 'live-blocks', subject, options: { live, ms: clockMs(setting) } },
    })),
  );
  return setting.focus ? all.filter(({ key }) => key === 'heap 1000' || key === 'heap 1000000') : all;
}

function leftOut({ focus }: Setting): Missing[] {
  if (focus) return [];
  return Object.entries(MOST).map(([name, most]) => ({
    subject: `${labelOf(name)}, above ${most.toLocaleString('en-US')} live`,
    reason: 'its cost grows with live blocks: a run would take minutes',
  }));
}
