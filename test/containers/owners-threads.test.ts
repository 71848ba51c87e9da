/** Owners among threads: counts that four change at once, Boxes that four want and two pass on. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Arc } from '../../src/containers/arc.ts';
import { Box, type BoxHandle, box } from '../../src/containers/box.ts';
import { Rc } from '../../src/containers/rc.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { OwnerCrewJob, OwnerCrewReport } from '../../workers/test-threads/owner-crew.ts';
import { runCrew, startMember } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';

const PARTIES = 4;
const Part = struct('Part', {
  value: u32,
  get next() {
    return box(Part);
  },
});

let heap: Heap;
let largestFree: number;
beforeEach(() => {
  heap = Heap.create({ byteLength: 8 * MiB, maxThreads: 8 });
  largestFree = heap.stats().largestFree;
});
afterEach(() => {
  heap.flush();
  heap.verify();
  expect(heap.stats()).toMatchObject({ liveBlocks: 0, used: 0, largestFree });
  heap.detach();
});

function job(more: Partial<OwnerCrewJob>, parties = PARTIES): OwnerCrewJob {
  return { heap: heap.handle, meeting: new Rendezvous(parties, 1).buffer, parties, act: 'count', ...more };
}

test('4 threads clone and drop one Arc 1,000,000 times in all: none is lost', async () => {
  const arc = Arc.create(heap, Part, { value: 1, next: { value: 2 } });
  const rounds = 1_000_000 / PARTIES;
  const shared = job({ rounds });
  const jobs = Array.from({ length: PARTIES }, () => ({ ...shared, arc: arc.clone().move() }));
  expect(arc.strongCount).toBe(PARTIES + 1);
  await runCrew<OwnerCrewJob, OwnerCrewReport>('owner-crew', jobs);
  expect([arc.strongCount, arc.weakCount, arc.value.next!.value]).toEqual([1, 0, 2]);
  arc.drop();
});

test('the last of 4 threads drops what the Arc owns', async () => {
  for (let run = 0; run < 3; run++) {
    const arc = Arc.create(heap, Part, { value: 1, next: { value: 2 } });
    const shared = job({ rounds: 100 });
    const jobs = Array.from({ length: PARTIES }, () => ({ ...shared, arc: arc.clone().move() }));
    arc.drop();
    await runCrew<OwnerCrewJob, OwnerCrewReport>('owner-crew', jobs);
    expect(heap.stats().liveBlocks).toBe(0);
  }
});

test('of 4 threads that open a Box at once, one gets it', async () => {
  const boxes = Array.from({ length: 500 }, () => Box.create(heap, Part, { next: { value: 2 } }).move());
  const shared = job({ act: 'race', boxes });
  const reports = await runCrew<OwnerCrewJob, OwnerCrewReport>('owner-crew', Array(PARTIES).fill(shared));
  expect(reports.reduce((sum, { received }) => sum + received, 0)).toBe(boxes.length);
});

test('a Box goes to and fro between threads, and grows on its way', async () => {
  const members = [0, 1].map(() =>
    startMember<OwnerCrewJob, OwnerCrewReport>('owner-crew', job({ act: 'pass' }, 1)),
  );
  // The report is the last message; here they are all of interest.
  for (const { report } of members) report.catch(() => {});
  const rounds = 200;
  let handle: BoxHandle<typeof Part> = Box.create(heap, Part, { value: 0 }).move();
  const ask = (index: number, message: unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { worker } = members[index]!;
      worker.once('message', resolve);
      worker.removeAllListeners('error').once('error', reject);
      worker.postMessage(message);
    });
  for (let round = 0; round < rounds; round++) handle = (await ask(round % 2, handle)) as typeof handle;
  const back = Box.open(heap, handle);
  let parts = 0;
  for (let part: typeof back.value | null = back.value; part !== null; part = part.next) {
    expect(part.value).toBe(rounds - parts++);
  }
  expect(parts).toBe(rounds + 1);
  const gone = members.map(({ worker }) => new Promise((resolve) => worker.once('exit', resolve)));
  for (const index of [0, 1]) expect(await ask(index, null)).toEqual({ received: rounds / 2 });
  await Promise.all(gone);
  back.drop();
});

test('an Rc is refused to other threads', async () => {
  const rc = Rc.create(heap, Part, { value: 1 });
  const stray = job({ act: 'strayRc', address: rc.address }, 1);
  const [report] = await runCrew<OwnerCrewJob, OwnerCrewReport>('owner-crew', [stray]);
  expect(report!.error).toMatch(/^WrongThreadError: the Rc at 0x[\da-f]+ is bound to thread \d+ \(slot 1\)/);
  rc.drop();
});
