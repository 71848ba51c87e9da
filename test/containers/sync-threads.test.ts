/** The synchronisation objects under four real threads, each time with a result that can be checked. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Barrier } from '../../src/containers/barrier.ts';
import { Condition } from '../../src/containers/condition.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Once } from '../../src/containers/once.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { SyncUserJob } from '../../workers/test-threads/sync-user.ts';
import { runCrew } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';

const PARTIES = 4;
const Scene = struct('Scene', { a: u32, b: u32, inside: u32, most: u32, length: u32, sum: u32 });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB, maxThreads: 16 });
});
afterEach(() => {
  heap.verify();
  heap.detach();
});

async function run(act: SyncUserJob['act'], handles: SyncUserJob['handles'], rounds: number) {
  const meeting = new Rendezvous(PARTIES, 64);
  const scene = heap.new(Scene).address;
  heap.share(scene);
  const jobs = Array.from({ length: PARTIES }, (_, member) => ({
    heap: heap.handle,
    act,
    handles,
    scene,
    meeting: meeting.buffer,
    parties: PARTIES,
    member,
    rounds,
  }));
  return { results: await runCrew<SyncUserJob, number>('sync-user', jobs), meeting };
}

const total = (results: readonly number[]): number => results.reduce((sum, result) => sum + result, 0);

test.each([
  ['countMutex', 20_000],
  ['countMutexAsync', 300],
] as const)('mutex, %s: no addition is lost', async (act, rounds) => {
  const mutex = Mutex.create(heap, Scene);
  const { results } = await run(act, [mutex.handle], rounds);
  expect(mutex.with(({ a }) => a)).toBe(total(results));
  mutex.destroy();
});

test.each([
  ['readPairs', 10_000],
  ['readPairsAsync', 400],
] as const)('rw-lock, %s: no reader sees a half-written pair, no write is lost', async (act, rounds) => {
  const lock = RwLock.create(heap, Scene);
  const { results } = await run(act, [lock.handle], rounds);
  expect(lock.read(({ a, b }) => [a, b])).toEqual([total(results), total(results)]);
  lock.destroy();
});

test('semaphore: never more inside than there are permits, and all come back', async () => {
  const semaphore = Semaphore.create(heap, 3);
  const { results, meeting } = await run('useSemaphore', [semaphore.handle], 5000);
  expect(Math.max(...results)).toBeLessThanOrEqual(3);
  expect(Math.max(...results)).toBeGreaterThanOrEqual(1);
  expect(meeting.load(0)).toBe(0);
  expect([semaphore.available, semaphore.total]).toEqual([3, 3]);
  semaphore.destroy();
});

test('barrier: no party passes before all have come; each generation has one leader', async () => {
  const barrier = Barrier.create(heap, PARTIES);
  const rounds = 500;
  const { results } = await run('meetBarrier', [barrier.handle], rounds);
  expect(total(results)).toBe(rounds);
  expect(barrier.waiting).toBe(0);
  barrier.destroy();
});

test('once: of all threads one runs it, after those that failed', async () => {
  const all = Array.from({ length: 40 }, () => Once.create(heap));
  const { results } = await run(
    'runOnce',
    all.map(({ handle }) => handle),
    0,
  );
  expect(total(results)).toBe(all.length);
  for (const once of all) {
    expect(once.done).toBe(true);
    once.destroy();
  }
});

test('condition: what producers put into a bounded queue, consumers take out', async () => {
  const mutex = Mutex.create(heap, Scene);
  const changed = Condition.create(heap);
  const rounds = 2000;
  const { results } = await run('passThrough', [mutex.handle, changed.handle], rounds);
  expect(results[0]! + results[2]!).toBe(rounds * (rounds + 1));
  expect(results[1]! + results[3]!).toBe(rounds * (rounds + 1));
  expect(mutex.with(({ length, sum }) => [length, sum])).toEqual([0, 0]);
  mutex.destroy();
  changed.destroy();
});
