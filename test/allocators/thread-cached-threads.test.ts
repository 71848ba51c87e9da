/**
 * Thread caches among real threads: blocks that one allocates and another frees, headers that two write
 * at once, threads that come and go, and a long mixed run with cookies. Set MIXED_SECONDS to
 * make that last as long as you like.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapAllocator } from '../../src/heap/options.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import type { HandOverJob, HandOverReport } from '../../workers/test-threads/hand-over.ts';
import type { NeighboursJob, NeighboursReport } from '../../workers/test-threads/neighbours.ts';
import type { StressMemberJob, StressMemberReport } from '../../workers/test-threads/stress-member.ts';
import { SEED } from '../random.ts';
import { runCrew } from '../stress/crew.ts';
import { payloadFault } from '../stress/payload.ts';
import { Rendezvous } from '../stress/rendezvous.ts';

const MIXED_SECONDS = Number(process.env.MIXED_SECONDS ?? 0);

let heap: Heap;

beforeEach(() => {
  heap = Heap.create({ byteLength: 4 * MiB, maxThreads: 16 });
});

afterEach(() => heap.detach());

function recreate(byteLength: number, allocator: HeapAllocator = 'tlsf'): ReturnType<Heap['stats']> {
  heap.detach();
  heap = Heap.create({ byteLength, maxThreads: 16, allocator });
  return heap.stats();
}

/** The oracle: all that was there at first is there again, in one piece. */
function expectAllBack(first: ReturnType<Heap['stats']>): void {
  heap.flush();
  heap.verify();
  expect(heap.stats()).toMatchObject({
    used: 0,
    cached: 0,
    liveBlocks: 0,
    largestFree: first.largestFree,
    racedFrees: 0,
  });
  const all = heap.alloc(first.largestFree);
  expect(all).not.toBe(NULL);
  heap.free(all);
}

/** Checks and frees what the threads have left in a table. */
function emptyTable(table: Rendezvous): void {
  for (let slot = 0; slot < table.slots; slot++) {
    const address = ((table.exchange(slot, 0) >>> 0) * 8) as Address;
    if (address === NULL) continue;
    expect(payloadFault(heap.memory, address), `SEED=${SEED}`).toBeUndefined();
    heap.free(address);
  }
}

describe('one thread allocates, another frees', () => {
  test.each(['tlsf', 'linked-list', 'buddy'] as const)(
    'in %s: 500,000 objects pass a heap that holds a few thousand, and nobody hoards',
    async (allocator) => {
      const first = recreate(3 * MiB, allocator);
      const meeting = new Rendezvous(2, 512);
      const objects = 500_000;
      const jobs = (['producer', 'consumer'] as const).map((role) => ({
        ...{ heap: heap.handle, role, meeting: meeting.buffer, objects },
      }));
      const [producer, consumer] = await runCrew<HandOverJob, HandOverReport>('hand-over', jobs);
      expect([...producer!.faults, ...consumer!.faults]).toEqual([]);
      expect(producer!.exhausted, 'there was room all the time').toBe(0);
      expect(producer).toMatchObject({ flushes: 0 });
      expect(consumer).toMatchObject({ refills: 0 });
      // The blocks came back by the batch.
      expect(consumer!.flushes).toBeGreaterThan(1000);
      expect(consumer!.lockAcquisitions).toBeLessThan(objects / 5);
      expect(heap.stats()).toMatchObject({ allocations: objects, frees: objects });
      expectAllBack(first);
    },
  );
});

describe('two words, two writers', () => {
  test('a block changes hands while its neighbours are freed: neither write is lost', async () => {
    const first = heap.stats();
    const meeting = new Rendezvous(2, 3);
    const rounds = 600_000;
    const jobs = (['holder', 'neighbour'] as const).map((role) => ({
      ...{ heap: heap.handle, role, meeting: meeting.buffer, rounds },
    }));
    const [holder, neighbour] = await runCrew<NeighboursJob, NeighboursReport>('neighbours', jobs);
    expect([...holder!.faults, ...neighbour!.faults]).toEqual([]);
    expect(neighbour!.rounds).toBe(rounds);
    expect(holder!.rounds).toBeGreaterThan(0);
    expectAllBack(first);
  });
});

describe('threads that come and go', () => {
  test('32 of them attach, work and detach 224 times, 8 at once, and nothing is left', async () => {
    const first = recreate(64 * MiB);
    const table = new Rendezvous(1, 200);
    const visits = 7;
    for (let crew = 0; crew < 4; crew++) {
      const jobs = Array.from(
        { length: 8 },
        (_, index): StressMemberJob => ({
          ...{ heap: heap.handle, table: table.buffer, visits, largest: 100 },
          ...{ seed: SEED ^ Math.imul(crew * 8 + index + 1, 0x9e3779b1), blocks: 1000 },
        }),
      );
      const reports = await runCrew<StressMemberJob, StressMemberReport>('stress-member', jobs);
      expect(
        reports.flatMap(({ faults }) => faults),
        `SEED=${SEED}`,
      ).toEqual([]);
      expect(reports.reduce((sum, { exhausted }) => sum + exhausted, 0)).toBe(0);
      const slots = reports.flatMap((report) => report.slots);
      expect(slots).toHaveLength(8 * visits);
      for (const slot of slots) expect(slot).toBeLessThanOrEqual(9);
      expect(heap.threads()).toHaveLength(1);
      heap.verify();
      const states = [...heap.blocks()].map(({ state }) => state);
      expect(states).not.toContain('hand');
      expect(states).not.toContain('live');
    }
    const left = [...heap.blocks()].filter(({ state }) => state === 'orphan').length;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(table.slots);
    emptyTable(table);
    expectAllBack(first);
  });
});

describe('a mixed run with cookies', () => {
  test(
    '8 threads, new ones each round: every block holds what was written',
    async () => {
      const first = recreate(512 * MiB);
      const table = new Rendezvous(1, 1000);
      const until = performance.now() + MIXED_SECONDS * 1000;
      let allocations = 0;
      for (let round = 0; round < 3 || performance.now() < until; round++) {
        const jobs = Array.from(
          { length: 8 },
          (_, index): StressMemberJob => ({
            ...{ heap: heap.handle, table: table.buffer, visits: 1, largest: 10_000 },
            ...{
              seed: SEED ^ Math.imul(round * 8 + index + 77, 0x9e3779b1),
              blocks: 2000 * ((index % 8) + 1),
            },
          }),
        );
        const reports = await runCrew<StressMemberJob, StressMemberReport>('stress-member', jobs);
        expect(
          reports.flatMap(({ faults }) => faults),
          `SEED=${SEED}`,
        ).toEqual([]);
        expect(reports.reduce((sum, { exhausted }) => sum + exhausted, 0)).toBe(0);
        allocations += reports.reduce((sum, report) => sum + report.allocations, 0);
        heap.verify();
        expect(heap.stats()).toMatchObject({ allocations, racedFrees: 0 });
      }
      emptyTable(table);
      expectAllBack(first);
    },
    600_000 + MIXED_SECONDS * 2000,
  );
});
