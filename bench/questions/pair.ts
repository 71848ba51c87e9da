/**
 * pair: what does a block cost from birth to death, in one thread? Every allocator bare and locked, the
 * heap, peers, and V8's own objects.
 */

import { GiB } from '../../src/index.ts';
import { clockMs } from '../effort.ts';
import type { Answer, Figure, Question, Setting } from '../question.ts';
import { type Case, type Samples, sample } from '../rounds.ts';
import { labelOf } from '../subject-table.ts';
import { ALGORITHMS } from '../subjects/sabheap.ts';
import type { Table } from '../table.ts';

const LOCKS = ['park', 'spin'];
const HEAPS = ['heap', 'heap-linked-list', 'heap-buddy', 'heap-uncached', 'heap-hardened'];
const PEERS = ['thi.ng', 'thi.ng-park', 'dlmalloc', 'emmalloc'];
const PLAIN = ['v8', 'v8-doubles'];
const KEPT = ['heap', 'tlsf', 'tlsf-park', 'thi.ng-park', 'dlmalloc', ...PLAIN];

export const pair: Question = {
  name: 'pair',
  asks: 'What does alloc + free cost in one thread, bare, locked and cached?',
  async run(setting): Promise<Answer> {
    const samples = await sample(setting, casesFor(setting));
    return {
      tables: setting.focus ? [] : [pairTable(samples), keptTable(samples)],
      figures: figuresOf(samples),
      missing: samples.missing,
      failures: samples.failures,
      disturbances: samples.disturbances,
    };
  },
};

function casesFor(setting: Setting): Case[] {
  const ms = clockMs(setting);
  const simple = (workload: string, subject: string): Case => ({
    key: `${workload} ${subject}`,
    job: { workload, subject, options: { ms } },
  });
  const special = (key: string, options: Record<string, number>): Case => ({
    key,
    job: { workload: 'pair', subject: 'heap', options: { ms, ...options } },
  });
  const locked = ALGORITHMS.flatMap((name) => LOCKS.map((lock) => `${name}-${lock}`));
  return [
    ...LOCKS.map((lock) => simple('lock', `${lock}-lock`)),
    ...locked.map((name) => simple('pair', name)),
    ...['heap', 'heap-uncached', 'heap-hardened', 'v8'].map((name) => simple('pair', name)),
    ...['heap', 'v8'].map((name) => simple('kept', name)),
    special('3 heaps', { heaps: 3 }),
    special('below 1 GiB', { wide: 1 }),
    special('above 3 GiB', { wide: 1, above: 3 * GiB }),
    ...(setting.focus ? [] : restOfTable().map(([workload, name]) => simple(workload, name))),
  ];
}

function restOfTable(): [string, string][] {
  const pairs = [...ALGORITHMS, 'heap-linked-list', 'heap-buddy', ...PEERS, ...PLAIN.slice(1)];
  const kept = KEPT.filter((name) => name !== 'heap' && name !== 'v8');
  return [
    ...pairs.map((name): [string, string] => ['pair', name]),
    ...kept.map((name): [string, string] => ['kept', name]),
  ];
}

function pairTable(samples: Samples): Table {
  const names = [
    ...ALGORITHMS.flatMap((name) => [name, ...LOCKS.map((lock) => `${name}-${lock}`)]),
    ...HEAPS,
    ...PEERS,
    ...PLAIN,
  ];
  const locks = LOCKS.map((lock) => [
    `${labelOf(`${lock}-lock`)}, once`,
    samples.median(`lock ${lock}-lock`, 'ns'),
  ]);
  return {
    title: 'alloc + free of 24 … 87 bytes, one thread',
    columns: ['subject', 'ns', "of V8's { x, y }", 'of two lock + unlock'],
    rows: [
      ...names.map((name) => [
        labelOf(name),
        samples.median(`pair ${name}`, 'ns'),
        samples.ratio(`pair ${name}`, 'pair v8', 'ns').measured,
        lockRatio(samples, name).measured,
      ]),
      ...locks.map(([label, ns]) => [label, ns, undefined, undefined]),
    ],
    note: "V8's objects escape into a ring of 64; what its collector takes is counted.",
  };
}

function keptTable(samples: Samples): Table {
  return {
    title: 'The same with 64 live blocks: the oldest goes, a new one comes and gets two fields',
    columns: ['subject', 'ns', "of V8's { x, y }"],
    rows: KEPT.map((name) => [
      labelOf(name),
      samples.median(`kept ${name}`, 'ns'),
      samples.ratio(`kept ${name}`, 'kept v8', 'ns').measured,
    ]),
  };
}

/** A locked pair, in units of two lock + unlock. */
function lockRatio(samples: Samples, name: string): ReturnType<Samples['ratio']> {
  const lock = LOCKS.find((kind) => name.endsWith(`-${kind}`)) ?? 'none';
  return samples.ratio(`pair ${name}`, `lock ${lock}-lock`, 'ns', 0.5);
}

function figuresOf(samples: Samples): Figure[] {
  const lower = { better: 'lower', unit: '×' } as const;
  const locked = ['linked-list', 'buddy', 'bump', 'tlsf', 'pool', 'hybrid'].flatMap((name) =>
    LOCKS.map((lock) => ({
      figure: `locked pair / two lock + unlock: ${name}, ${lock}`,
      ...lower,
      atLeast: 2.5,
      aim: 2,
      ...lockRatio(samples, `${name}-${lock}`),
    })),
  );
  return [
    ...locked,
    {
      figure: "alloc + free pair / V8's escaping { x, y }",
      ...lower,
      atLeast: 1.2,
      aim: 0.8,
      ...samples.ratio('pair heap', 'pair v8', 'ns'),
    },
    {
      figure: "the same, kept live for 64 pairs and written / V8's",
      ...lower,
      atLeast: 1.2,
      aim: 0.8,
      ...samples.ratio('kept heap', 'kept v8', 'ns'),
      note: 'not asked for',
    },
    {
      figure: 'pair, hardened / standard',
      ...lower,
      atLeast: 100,
      aim: 50,
      ...samples.ratio('pair heap-hardened', 'pair heap', 'ns'),
      note: 'not asked for',
    },
    {
      figure: 'pair, hardened / standard without caches',
      ...lower,
      atLeast: 6,
      aim: 3,
      ...samples.ratio('pair heap-hardened', 'pair heap-uncached', 'ns'),
      note: 'not asked for',
    },
    {
      figure: 'pair above 3 GiB / below 1 GiB',
      ...lower,
      atLeast: 2,
      aim: 1.2,
      ...samples.ratio('above 3 GiB', 'below 1 GiB', 'ns'),
    },
    {
      figure: 'pair with 3 heaps alive / 1',
      ...lower,
      atLeast: 1.5,
      aim: 1.1,
      ...samples.ratio('3 heaps', 'pair heap', 'ns'),
    },
  ];
}
