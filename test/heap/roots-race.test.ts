/**
 * `openOrCreate` among threads: however many ask for a name at once, one makes it and all get the same;
 * a maker that fails leaves it to the next; one that takes too long is named.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeadlockError, LockTimeoutError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { RootRacerJob, RootRacerReport } from '../../workers/test-threads/root-racer.ts';
import { runCrew } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';
import { STEP } from '../stress/steps.ts';
import { visit } from './visitor.ts';

const Cell = struct('Cell', { threadId: u32, value: u32 });
let heap: Heap;

function create(options: HeapOptions = {}): void {
  heap.detach();
  heap = Heap.create({ byteLength: MiB, maxThreads: 16, ...options });
}

beforeEach(() => {
  heap = Heap.create({ byteLength: MiB, maxThreads: 16 });
});

afterEach(() => heap.detach());

describe('in one thread', () => {
  test('the first call makes, later ones open', () => {
    let made = 0;
    const make = () => {
      made++;
      return heap.new(Cell, { value: 7 });
    };
    const cell = heap.roots.openOrCreate('cell', Cell, make);
    expect(heap.roots.openOrCreate('cell', Cell, make).address).toBe(cell.address);
    expect(heap.roots.get('cell')).toBe(cell.address);
    expect(made).toBe(1);
    const block = [...heap.blocks()].find(({ address }) => address === cell.address);
    expect(block?.state).toBe('shared');
  });

  test('while a name is in the making it stands for nothing and is not listed', () => {
    const cell = heap.roots.openOrCreate('cell', Cell, () => {
      expect(heap.roots.get('cell')).toBe(NULL);
      expect(heap.roots.has('cell')).toBe(false);
      expect(heap.roots.open('cell', Cell)).toBeUndefined();
      expect(heap.roots.names()).toEqual([]);
      expect(heap.roots.delete('cell')).toBe(false);
      return heap.new(Cell, { value: 1 });
    });
    expect(heap.roots.open('cell', Cell)!.address).toBe(cell.address);
  });

  test('a make that throws leaves nothing behind, and its error passes through', () => {
    const error = new Error('not today');
    const failing = () => {
      throw error;
    };
    expect(() => heap.roots.openOrCreate('cell', Cell, failing)).toThrow(error);
    expect(heap.roots.names()).toEqual([]);
    expect(heap.stats().liveBlocks).toBe(0);
    expect(heap.roots.openOrCreate('cell', Cell, () => heap.new(Cell, { value: 2 })).value).toBe(2);
  });

  test('a make that asks for its own name is told so, at once; for another name it may ask', () => {
    const nested = () => heap.roots.openOrCreate('cell', Cell, () => heap.new(Cell));
    expect(() => heap.roots.openOrCreate('cell', Cell, nested)).toThrow(DeadlockError);
    expect(heap.roots.names()).toEqual([]);
    const outer = heap.roots.openOrCreate('outer', Cell, () => {
      const inner = heap.roots.openOrCreate('inner', Cell, () => heap.new(Cell, { value: 1 }));
      return heap.new(Cell, { value: inner.value + 1 });
    });
    expect(outer.value).toBe(2);
    expect(heap.roots.names().sort()).toEqual(['inner', 'outer']);
  });

  test('a name that was set while it was in the making is what was set', () => {
    const theirs = heap.new(Cell, { value: 1 });
    const cell = heap.roots.openOrCreate('cell', Cell, () => {
      heap.roots.set('cell', theirs);
      return heap.new(Cell, { value: 2 });
    });
    expect(cell.address).toBe(theirs.address);
    expect(heap.roots.get('cell')).toBe(theirs.address);
    const failing = () => {
      heap.roots.set('other', theirs);
      throw new Error('failed, but somebody set it');
    };
    expect(() => heap.roots.openOrCreate('other', Cell, failing)).toThrow('somebody set it');
    expect(heap.roots.get('other')).toBe(theirs.address);
  });

  test('the async form does the same', async () => {
    const cell = await heap.roots.openOrCreateAsync('cell', Cell, () => heap.new(Cell, { value: 3 }));
    expect((await heap.roots.openOrCreateAsync('cell', Cell, () => expect.fail('made'))).address).toBe(
      cell.address,
    );
    const nested = () => {
      const inner = heap.roots.openOrCreateAsync('own', Cell, () => heap.new(Cell));
      inner.catch(() => {});
      nestedResult = inner;
      return heap.new(Cell);
    };
    let nestedResult: Promise<unknown> | undefined;
    await heap.roots.openOrCreateAsync('own', Cell, nested);
    await expect(nestedResult).rejects.toThrow(DeadlockError);
    await expect(heap.roots.openOrCreateAsync('', Cell, nested)).rejects.toThrow(RangeError);
    const failing = () => {
      throw new Error('not today');
    };
    await expect(heap.roots.openOrCreateAsync('never', Cell, failing)).rejects.toThrow('not today');
    expect(heap.roots.names().sort()).toEqual(['cell', 'own']);
  });
});

describe('among threads', () => {
  test('8 workers race for each of 60 names from the start: one makes, all get the same', async () => {
    const parties = 8;
    const rounds = 60;
    const failEvery = 5;
    const first = heap.stats();
    const job = { heap: heap.handle, meeting: new Rendezvous(parties, 1).buffer, parties, rounds, failEvery };
    const jobs = Array.from({ length: parties }, () => job);
    const reports = await runCrew<RootRacerJob, RootRacerReport>('root-racer', jobs);
    for (const { addresses } of reports) expect(addresses).toEqual(reports[0]!.addresses);
    expect(new Set(reports[0]!.addresses).size).toBe(rounds);
    expect(reports.reduce((sum, { made }) => sum + made, 0)).toBe(rounds);
    expect(reports.reduce((sum, { failed }) => sum + failed, 0)).toBe(rounds / failEvery);
    expect(heap.roots.names()).toHaveLength(rounds);
    for (const name of heap.roots.names()) {
      heap.free(heap.roots.get(name));
      heap.roots.delete(name);
    }
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ used: 0, largestFree: first.largestFree });
  });

  test('a maker that fails leaves the name to the next in line', async () => {
    const maker = visit<string>(heap, 'makeInVain');
    maker.meeting.await(STEP, 1);
    const next = visit<number>(heap, 'make');
    maker.meeting.announce(STEP, 2);
    const address = (await next.report) as Address;
    expect(await maker.report).toBe('made in vain');
    expect(heap.roots.get('cell')).toBe(address);
    expect(heap.at(Cell, address).value).toBe(8);
  });

  test('whoever waits too long is told who is at it, and may come back later', async () => {
    create({ lockTimeout: 300 });
    const maker = visit<number>(heap, 'makeSlowly');
    maker.meeting.await(STEP, 1);
    const make = () => expect.fail('made twice');
    let thrown: unknown;
    try {
      heap.roots.openOrCreate('cell', Cell, make);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(LockTimeoutError);
    expect((thrown as Error).message).toContain(`held by thread ${maker.threadId} (slot 2)`);
    await expect(heap.roots.openOrCreateAsync('cell', Cell, make)).rejects.toThrow(LockTimeoutError);
    expect(heap.roots.get('cell')).toBe(NULL);
    expect(heap.stats().liveBlocks, 'only the entry in the making').toBe(1);
    maker.meeting.announce(STEP, 2);
    const address = await maker.report;
    expect(heap.roots.openOrCreate('cell', Cell, make).address).toBe(address);
  });

  test('the async form waits without blocking its thread', async () => {
    const maker = visit<number>(heap, 'makeSlowly');
    maker.meeting.await(STEP, 1);
    let turns = 0;
    const turning = setInterval(() => {
      if (++turns === 5) maker.meeting.announce(STEP, 2);
    }, 1);
    const cells = await Promise.all(
      Array.from({ length: 4 }, () =>
        heap.roots.openOrCreateAsync('cell', Cell, () => expect.fail('made twice')),
      ),
    );
    clearInterval(turning);
    expect(turns).toBeGreaterThanOrEqual(5);
    const address = await maker.report;
    expect(cells.map((cell) => cell.address)).toEqual([address, address, address, address]);
    expect(cells[0]!.value).toBe(7);
  });

  test('a name that is set wakes those who wait for its maker', async () => {
    const maker = visit<number>(heap, 'makeSlowly');
    maker.meeting.await(STEP, 1);
    const waiting = heap.roots.openOrCreateAsync('cell', Cell, () => expect.fail('made twice'));
    const theirs = heap.new(Cell, { value: 9 });
    heap.roots.set('cell', theirs);
    expect((await waiting).address).toBe(theirs.address);
    maker.meeting.announce(STEP, 2);
    expect(await maker.report, 'the maker gets what was set').toBe(theirs.address);
  });
});
