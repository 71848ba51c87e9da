/** Vecs among threads: built in four and handed over; read without a lock while one changes them. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { string } from '../../src/containers/string.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { f64 } from '../../src/structs/scalars.ts';
import type { VecUserJob, VecUserReport } from '../../workers/test-threads/vec-user.ts';
import { runCrew } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';

const parties = 4;
let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 32 * MiB });
});
afterEach(() => {
  heap.flush();
  heap.verify();
  expect(heap.stats()).toMatchObject({ used: 0, liveBlocks: 0 });
  heap.detach();
});

function jobs(job: Partial<VecUserJob>, acts: readonly VecUserJob['act'][]): VecUserJob[] {
  const meeting = new Rendezvous(parties, 1).buffer;
  return acts.map((act) => ({ heap: heap.handle, meeting, parties, rounds: 3000, ...job, act }));
}

test('what four threads build at once is whole, and dropped here', async () => {
  const reports = await runCrew<VecUserJob, VecUserReport>(
    'vec-user',
    jobs({}, ['build', 'build', 'build', 'build']),
  );
  for (const { built, sum } of reports) {
    const words = SharedVec.open(heap, built!);
    const [slot] = words.at(0).split(' ');
    expect(words.length).toBe(sum);
    expect(new Set(words.toArray()).size).toBe(sum);
    for (const word of words) expect(word.startsWith(`${slot} `)).toBe(true);
    words.destroy();
  }
});

test('reading what another thread changes gives old elements or an error, and harms nothing', async () => {
  const numbers = SharedVec.create(heap, f64, [1]);
  const words = SharedVec.create(heap, string, ['a', 'b', 'c', 'd', 'e']);
  const job = { numbers: numbers.handle, words: words.handle };
  const reports = await runCrew<VecUserJob, VecUserReport>(
    'vec-user',
    jobs(job, ['write', 'read', 'read', 'read']),
  );
  const named = ['HeapCorruptionError', 'RangeError'];
  for (const { errors } of reports) for (const name of errors) expect(named).toContain(name);
  expect(reports.slice(1).every(({ sum }) => sum > 0)).toBe(true);
  expect(new Set(numbers.toArray())).toEqual(new Set([1]));
  numbers.destroy();
  words.destroy();
});
