/** SharedMap among 4 threads: sums, sets of keys, values that are never torn. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import type { Field } from '../../src/structs/field.ts';
import { f64, i32, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { MapUserJob, MapUserReport } from '../../workers/test-threads/map-user.ts';
import { runCrew } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';

const PARTIES = 4;
const Wide = struct('WideValue', { a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, g: f64, h: f64 });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 64 * MiB });
});
afterEach(() => heap.detach());

/** Has 4 threads do `act`; then the map is whole, and once destroyed the heap is empty. */
async function among<K extends Field, V extends Field>(
  map: SharedMap<K, V>,
  act: MapUserJob['act'],
  rounds: number,
  inspect: (reports: MapUserReport[]) => void,
): Promise<void> {
  const meeting = new Rendezvous(PARTIES).buffer;
  const job = { heap: heap.handle, map: map.handle as never, meeting, parties: PARTIES, act, rounds };
  const jobs = Array.from({ length: PARTIES }, (_, party) => ({ ...job, party }));
  const reports = await runCrew<MapUserJob, MapUserReport>('map-user', jobs);
  expect(reports.flatMap(({ faults }) => faults)).toEqual([]);
  map.verify();
  inspect(reports);
  map.destroy();
  heap.flush();
  heap.verify();
  expect(heap.stats().liveBlocks).toBe(0);
}

test.each([1, 16])('adds are never lost, under strings and numbers (%i shards)', async (shards) => {
  const texts = SharedMap.create(heap, string, u32, { shards });
  texts.set('key 0', 0);
  const sum = (map: Iterable<[unknown, number]>) => [...map].reduce((total, [, value]) => total + value, 0);
  await among(texts, 'add', 25_000, () => expect(sum(texts)).toBe(PARTIES * 25_000));
  const numbers = SharedMap.create(heap, u32, f64, { shards });
  numbers.set(0, 0);
  await among(numbers, 'add', 25_000, () => expect(sum(numbers)).toBe(PARTIES * 25_000));
});

test.each([1, 4])('what is added is taken or still there (%i shards)', async (shards) => {
  const map = SharedMap.create(heap, string, i32, { shards });
  await among(map, 'ledger', 30_000, (reports) => {
    const owed = reports.reduce((sum, { count }) => sum + count, 0);
    expect([...map.values()].reduce((sum, value) => sum + value, 0)).toBe(owed);
  });
});

test('nothing is added to a value that was taken', async () => {
  const map = SharedMap.create(heap, u32, i32, { shards: 1 });
  // Tables that are open while so many keys come and go.
  for (let n = 0; n < 20_000; n++) map.set(n + 10, 0);
  await among(map, 'tills', 60_000, (reports) => {
    const owed = reports.reduce((sum, { count }) => sum + count, 0);
    expect([...map.values()].reduce((sum, value) => sum + value, 0)).toBe(owed);
  });
});

test('each sum is given to one thread, while the table grows', async () => {
  const map = SharedMap.create(heap, string, u32, { shards: 1 });
  const most = PARTIES * 20_000;
  await among(map, 'tickets', 20_000, (reports) => {
    expect(map.get('ticket')).toBe(most);
    expect(reports.reduce((sum, { count }) => sum + count, 0)).toBe((most * (most + 1)) / 2);
  });
});

test('keys of one thread are not touched by others', async () => {
  const map = SharedMap.create(heap, string, f64);
  await among(map, 'disjoint', 6000, (reports) => {
    expect(map.size).toBe(reports.reduce((sum, { count }) => sum + count, 0));
    const expected = new Set<string>();
    for (let party = 0; party < PARTIES; party++) {
      for (let n = 0; n < 6000; n += 3) expected.add(`a key of party ${party}: ${n}`);
    }
    expect(new Set(map.keys())).toEqual(expected);
  });
});

test.each([1, 8])('wide values are never torn (%i shards)', async (shards) => {
  const map = SharedMap.create(heap, u32, Wide, { shards });
  await among(map, 'wide', 15_000, (reports) => {
    // Those who only read may find nothing when the others do not run; those who write find their own.
    expect(reports.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(1000);
  });
});

test('readers find their keys while tables grow', async () => {
  const map = SharedMap.create(heap, u32, u32, { shards: 2 });
  await among(map, 'grow', 10_000, () => expect(map.size).toBe(PARTIES * 10_000));
});

test('of all that take a key one gets it', async () => {
  const map = SharedMap.create(heap, u32, u32);
  await among(map, 'once', 1500, (reports) => {
    expect(reports.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(1500);
  });
});

test('a cache gives what belongs to the key', async () => {
  const map = SharedMap.create(heap, string, Wide, { maxEntries: 500, shards: 4 });
  await among(map, 'cache', 8000, () => {
    expect(map.size).toBe(500);
    expect(map.stats().evictions).toBeGreaterThan(1000);
  });
});
