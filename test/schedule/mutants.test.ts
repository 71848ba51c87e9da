/**
 * Mutants: tests of the tests. Each seeds a bug into the sources, and the strategies that should find it do,
 * within the schedules that they are given. Seeds are fixed: what is tested is the engine.
 */

import { describe, expect, test } from 'vitest';
import { load, type Mutation } from './engine/build.ts';
import { exploreMutant, explorerOf } from './exploring.ts';

const EXHAUSTIVE = { preemptions: 2, most: 60_000 };
const RANDOM = { random: 5000 };
const PCT = { pct: 5000, depth: 4 };
const EACH = [
  ['exhaustive', EXHAUSTIVE],
  ['random', RANDOM],
  ['pct', PCT],
] as const;

interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly scenario: string;
  readonly mutations: readonly Mutation[];
  readonly finds: RegExp;
}

const LOCK = 'src/sync/lock.ts';
const PARK = 'src/sync/park-lock.ts';
const RING = 'src/channels/spsc-ring.ts';
const LIST = 'src/allocators/linked-list.ts';
const LOCKED = 'src/allocators/locked.ts';

const mutants: readonly Mutant[] = [
  {
    name: 'a lock that is looked at before it is taken',
    file: 'locks',
    scenario: 'parkTwo',
    mutations: [
      {
        file: LOCK,
        from: 'if (compareExchange(this.i32, this.index, 0, thread.token) !== 0) {',
        to: 'const taken = atomicLoad(this.i32, this.index); if (taken === 0) atomicStore(this.i32, this.index, thread.token); if (taken !== 0) {',
      },
    ],
    finds: /counter is 1, not 2|is not held by this thread/,
  },
  {
    name: 'a head that is read outside of the lock',
    file: 'allocators',
    scenario: 'listChurn',
    mutations: [
      {
        file: LOCKED,
        from: 'this.acquire();\n    try {\n      return this.inner.allocate',
        to: 'this.inner.head = this.inner.nextFree(0); this.acquire();\n    try {\n      return this.inner.allocate',
      },
      {
        file: LIST,
        from: 'let block = this.nextFree(0); block !== 0; block = this.nextFree(block)) {\n      const padding',
        to: 'let block = this.head; block !== 0; block = this.nextFree(block)) {\n      const padding',
      },
    ],
    finds: /overlaps|overwritten|corrupted|no room/,
  },
  {
    name: 'a reader that looks at the lock before it counts itself',
    file: 'locks',
    scenario: 'readAndWrite',
    mutations: [
      {
        file: 'src/sync/reader-writer-lock.ts',
        from: `const before = atomicAdd(this.i32, this.mine, 1) & COUNT;
    if (before === 0 && atomicLoad(this.i32, this.lockIndex) === 0) return true;`,
        to: `const isFree = atomicLoad(this.i32, this.lockIndex) === 0;
    const before = atomicAdd(this.i32, this.mine, 1) & COUNT;
    if (before === 0 && isFree) return true;`,
      },
    ],
    finds: /a writer was in while another read/,
  },
  {
    name: 'two stores in the wrong order: an item is published before it is written',
    file: 'channels',
    scenario: 'ring',
    mutations: [
      { file: RING, from: 'this.items.write(address, value);\n    // Publishes', to: '// Publishes' },
      {
        file: RING,
        from: 'return CLOSED;\n    }\n    if ((atomicLoad(i32, this.itemsEvent)',
        to: 'return CLOSED;\n    }\n    this.items.write(address, value);\n    if ((atomicLoad(i32, this.itemsEvent)',
      },
    ],
    finds: /received/,
  },
  {
    name: 'a head that goes back over a run that is given up',
    file: 'channels',
    scenario: 'runGivenUp',
    mutations: [
      {
        file: 'src/channels/channel.ts',
        from: 'atomicStore(this.i32, cell, turn | READING | NOBODY);',
        to: 'atomicStore(this.i32, this.head, cell - this.cells);',
      },
    ],
    finds: /received/,
  },
  {
    name: 'a task that forgets the mark that others sleep behind',
    file: 'locks',
    scenario: 'tasksAndThread',
    mutations: [
      { file: LOCK, from: 'atomicStore(this.i32, this.index, this.thread.token | CONTENDED);', to: '' },
    ],
    finds: /lost wake-up/,
  },
  {
    name: 'a task that looks at the event after the queue',
    file: 'channels',
    scenario: 'oneByOneAsync',
    mutations: [
      {
        file: 'src/channels/waiting.ts',
        from: 'await this.#sleep(seen, ',
        to: 'await this.#sleep(atomicLoad(this.#words, this.#event) + 0 * seen, ',
      },
    ],
    finds: /lost wake-up/,
  },
  {
    name: 'a list of free blocks whose head is read before the lock is taken',
    file: 'caches',
    scenario: 'remoteFree',
    mutations: [
      {
        file: 'src/allocators/transfer-list.ts',
        from: 'const contended = this.lock.acquire();',
        to: 'this.early = this.u32[this.word + HEAD]!; const contended = this.lock.acquire();',
      },
      {
        file: 'src/allocators/transfer-list.ts',
        from: `push(unit: number): void {
    const { u32, word } = this;
    const head = u32[word + HEAD]!;`,
        to: `push(unit: number): void {
    const { u32, word } = this;
    const head = this.early;`,
      },
    ],
    finds: /transfer list|blocks are live|twice|overwritten/,
  },
  {
    name: 'a lost wake-up: it went to a waiter for a lock that had been aborted',
    file: 'aborts',
    scenario: 'lockWait',
    mutations: [
      {
        file: 'src/sync/async-sleep.ts',
        from: '() => notify(words, index, 1)',
        to: '() => void notify',
      },
    ],
    finds: /lost wake-up/,
  },
  {
    name: 'a lost wake-up: a receiver that does not look again before it sleeps',
    file: 'channels',
    scenario: 'oneByOne',
    mutations: [
      {
        file: 'src/channels/waiting.ts',
        from: "if (condition.isReady()) return 'ready';\n      const left = deadline - performance.now();\n      if (left <= 0) return 'time is up';\n      const woken = wait(",
        to: "const left = deadline - performance.now();\n      if (left <= 0) return 'time is up';\n      const woken = wait(",
      },
    ],
    finds: /lost wake-up/,
  },
  {
    name: 'a lost wake-up: who was woken forgets that others may sleep',
    file: 'locks',
    scenario: 'parkThree',
    mutations: [{ file: PARK, from: 'thread.token | CONTENDED', to: 'thread.token' }],
    finds: /lost wake-up/,
  },
  {
    name: 'a lost wake-up: a release that does not look whether somebody sleeps',
    file: 'locks',
    scenario: 'parkTwo',
    mutations: [
      {
        file: LOCK,
        from: 'if (atomicExchange(this.i32, this.index, 0) < 0) notify(this.i32, this.index, 1);',
        to: 'const sleeps = this.i32[this.index]! < 0; atomicExchange(this.i32, this.index, 0); if (sleeps) notify(this.i32, this.index, 1);',
      },
    ],
    finds: /lost wake-up/,
  },
];

describe.each(mutants)('$name', ({ file, scenario, mutations, finds }) => {
  test.each(EACH)('%s', async (_strategy, budget) => {
    const { failure } = await exploreMutant(file, scenario, budget, ...mutations);
    expect(failure?.error.message).toMatch(finds);
  });
});

const TAGS = 'src/allocators/boundary-tags.ts';

describe('a bug that only a crash shows', () => {
  test.each<readonly [string, string, Mutation, RegExp]>([
    [
      'two stores in the wrong order: a block is cut before what is cut off has a header',
      'tlsfAlloc',
      {
        file: TAGS,
        from: 'if (rest >= MIN_UNITS) {\n      this.splitBack(found, total, padding, need);',
        to: 'if (rest >= MIN_UNITS) {\n      i32[geometryIndex(block)] = geometryOf(need, IS_FREE);\n      this.splitBack(found, total, padding, need);',
      },
      /corrupted|repaired|one piece|largest piece/,
    ],
    [
      'a lock that is taken over without a repair',
      'tlsfFree',
      { file: LOCKED, from: 'repair: () => inner.rebuild()', to: 'repair: () => {}' },
      /corrupted|blocks are live|largest piece/,
    ],
  ])('%s', async (_name, scenario, mutation, finds) => {
    const explored = explorerOf(await load('crashes', mutation), scenario).crash();
    expect(explored.failure?.error.message).toMatch(finds);
  });
});

describe('a removed atomic operation is found as a data race', () => {
  test.each([
    [
      'parkTwo',
      LOCK,
      'if (atomicExchange(this.i32, this.index, 0) < 0) notify(this.i32, this.index, 1);',
      'const was = this.i32[this.index]!; this.i32[this.index] = 0; if (was < 0) notify(this.i32, this.index, 1);',
    ],
    [
      'readAndWrite',
      'src/sync/reader-writer-lock.ts',
      'const before = atomicSub(this.i32, this.mine, 1);',
      'const before = this.i32[this.mine]!; this.i32[this.mine] = before - 1;',
    ],
  ])('%s', async (scenario, file, from, to) => {
    const { failure, schedules } = await exploreMutant('locks', scenario, { races: 500 }, { file, from, to });
    expect(failure?.error.message).toMatch(/data race/);
    expect(schedules).toBeLessThan(100);
  });
});

test('a failing schedule is found again from its seed, its choices or its priorities', async () => {
  const mutation = { file: PARK, from: 'thread.token | CONTENDED', to: 'thread.token' };
  for (const [, budget] of EACH) {
    const built = await load('locks', mutation);
    const { failure } = explorerOf(built, 'parkThree').search({ seed: 1, ...budget });
    const again = explorerOf(built, 'parkThree').replay(failure!.schedule);
    expect(again?.error.message).toBe(failure!.error.message);
    expect(again?.trace).toBe(failure!.trace);
  }
});
