/** image: how soon does a fresh process answer from an index that was built before, beside parsing JSON? */

import { scaled } from '../effort.ts';
import type { Answer, Question } from '../question.ts';
import { type Case, sample } from '../rounds.ts';

const THREADS = 4;
/** How the index comes out of its file: the subject, and the workload's parameters. */
const WAYS = {
  json: { subject: 'plain', options: {} },
  load: { subject: 'heap', options: {} },
  async: { subject: 'heap', options: { async: 1 } },
};
type Way = keyof typeof WAYS;
const NAMES: readonly Way[] = ['json', 'load', 'async'];

export const image: Question = {
  name: 'image',
  asks: 'How soon does a fresh process answer from an index that was built before, beside parsing JSON?',
  async run(setting): Promise<Answer> {
    const words = scaled(setting, 200_000, 50_000, 500);
    const caseOf = (way: Way, workload: string, threads: number): Case => {
      const { subject, options } = WAYS[way];
      return {
        key: `${way} ${threads}`,
        job: { workload, subject, threads, options: { words, ...options } },
      };
    };
    const samples = await sample(
      setting,
      NAMES.flatMap((way) => [caseOf(way, 'image', 1), caseOf(way, 'image-crew', THREADS)]),
    );
    const ratio = (way: Way, threads: number) => samples.ratio(`json ${threads}`, `${way} ${threads}`, 'ms');
    const row = (label: string, threads: number) => [
      label,
      ...NAMES.map((way) => samples.median(`${way} ${threads}`, 'ms')),
      ratio('load', threads).measured,
      ratio('async', threads).measured,
    ];
    const figure = (name: string, atLeast: number, threads: number) => ({
      figure: name,
      ...({ atLeast, aim: 20, better: 'higher', unit: '×' } as const),
      ...ratio('load', threads),
    });
    const one = 'the first answer of a fresh process: JSON.parse';
    const all = `the first answers of ${THREADS} workers: JSON.parse in each`;
    return {
      tables: [
        {
          title: `the first answer from an index of ${words.toLocaleString('en')} words in a file, ms`,
          columns: ['', 'JSON.parse', 'loadImage', 'loadImageAsync', 'times faster', 'async'],
          rows: [row('one thread', 1), row(`${THREADS} workers, each of them`, THREADS)],
        },
      ],
      figures: [figure(`${one} / loadImage`, 5, 1), figure(`${all} / loadImage once`, 10, THREADS)],
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};
