/** fields: what does a struct's field cost beside a plain object's, and beside a raw typed array? */

import { clockMs } from '../effort.ts';
import type { Answer, Figure, Question } from '../question.ts';
import { type Case, type Samples, sample } from '../rounds.ts';

const SHAPES = [
  { label: 'one: p.x += p.y', shape: 2, likeRaw: true },
  { label: '1,000 in a row, one view moved along (each move is checked)', shape: 1, likeRaw: true },
  // A view for each is one more object to follow than a typed array has: comparable with plain objects.
  { label: '1,000 apart: all[i].x += all[i].y', shape: 0, likeRaw: false },
  { label: '1,000 apart: sum += all[i].id', shape: 3, likeRaw: false },
];
const SUBJECTS = ['struct', 'raw', 'plain'];

export const fields: Question = {
  name: 'fields',
  asks: "What does a struct's field cost beside a plain object's and a raw typed array?",
  async run(setting): Promise<Answer> {
    const ms = clockMs(setting);
    const cases = SHAPES.flatMap(({ shape }) =>
      SUBJECTS.map(
        (subject): Case => ({
          key: `${subject} ${shape}`,
          job: { workload: 'fields', subject, options: { ms, shape } },
        }),
      ),
    );
    const samples = await sample(setting, cases);
    return {
      tables: [
        {
          title: 'a field access of { x: f64, y: f64, id: u32 }, ns',
          columns: ['shape', ...SUBJECTS, 'struct / raw', 'struct / plain'],
          rows: SHAPES.map(({ label, shape }) => [
            label,
            ...SUBJECTS.map((subject) => samples.median(`${subject} ${shape}`, 'ns')),
            samples.ratio(`struct ${shape}`, `raw ${shape}`, 'ns').measured,
            samples.ratio(`struct ${shape}`, `plain ${shape}`, 'ns').measured,
          ]),
        },
      ],
      figures: SHAPES.flatMap((shape) => shapeFigures(samples, shape)),
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

function shapeFigures(samples: Samples, { label, shape, likeRaw }: (typeof SHAPES)[number]): Figure[] {
  const lower = { better: 'lower', unit: '×' } as const;
  const raw: Figure = {
    figure: `struct / raw typed array, ${label}`,
    atLeast: 1.3,
    aim: 1.1,
    ...lower,
    ...samples.ratio(`struct ${shape}`, `raw ${shape}`, 'ns'),
  };
  const plain: Figure = {
    figure: `struct / plain object, ${label}`,
    atLeast: 2.5,
    aim: 1.5,
    ...lower,
    ...samples.ratio(`struct ${shape}`, `plain ${shape}`, 'ns'),
  };
  return likeRaw ? [raw, plain] : [plain];
}
