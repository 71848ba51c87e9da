/** Real threads that are killed with something in their hands: the others have it within a slice or two. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Arc } from '../../src/containers/arc.ts';
import { Barrier } from '../../src/containers/barrier.ts';
import type { Handle } from '../../src/containers/container.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Once } from '../../src/containers/once.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { BrokenBarrierError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { SLICE_MS } from '../../src/sync/lock.ts';
import type { DoomedHolderJob, Held } from '../../workers/test-threads/doomed-holder.ts';
import { startMember } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';
import { noteSleeps } from './sleeps.ts';

const HELD = 1;

const Value = struct('Value', { value: u32 });

let heap: Heap;
let free: number;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB, maxThreads: 4, lockTimeout: 60_000 });
  heap.delete(heap.new(Value));
  heap.flush();
  free = heap.stats().largestFree;
});
afterEach(() => {
  heap.flush();
  heap.verify();
  expect(heap.stats().largestFree).toBe(free);
  heap.detach();
});

/** A thread that holds what the handle stands for. Resolves with what kills it. */
function holder(held: Held, handle: Handle): () => Promise<number> {
  const meeting = new Rendezvous(2, 1);
  const job = { heap: heap.handle, held, handle, meeting: meeting.buffer };
  const { worker, report } = startMember<DoomedHolderJob, never>('doomed-holder', job);
  const { threadId } = worker;
  const gone = report.catch(() => {});
  meeting.await(0, HELD);
  return async () => {
    await worker.terminate();
    await gone;
    return threadId;
  };
}

/** Waits, and kills the holder meanwhile. Checks that the wait ends with the slice that it is in, or one more. */
async function expectSoon<T>(kill: () => Promise<number>, wait: () => Promise<T>): Promise<T> {
  const sleeps = noteSleeps();
  const had = wait();
  heap.reap(await kill());
  const before = sleeps.length;
  await had;
  expect(sleeps.length - before).toBeLessThanOrEqual(1);
  for (const ms of sleeps) expect(ms).toBeLessThanOrEqual(SLICE_MS);
  return had;
}

test('mutex', async () => {
  const mutex = Mutex.create(heap, Value);
  const kill = holder('mutex', mutex.handle);
  expect(mutex.tryLock()).toBeUndefined();
  const guard = await expectSoon(kill, () => mutex.lockAsync());
  expect(guard.recovered).toBe(true);
  guard.unlock();
  expect(mutex.with((_, { recovered }) => recovered)).toBe(false);
  mutex.destroy();
});

test('rw-lock: a reader; its slot goes to the next reader in between', async () => {
  const lock = RwLock.create(heap, Value);
  heap.reap(await holder('read', lock.handle)());
  const kill = holder('read', lock.handle);
  expect(heap.threads().map(({ slot }) => slot)).toEqual([1, 2]);
  expect(lock.tryWrite(), 'the living reader of the same slot').toBeUndefined();
  const guard = await expectSoon(kill, () => lock.lockWriteAsync());
  expect(guard.recovered).toBe(false);
  guard.unlock();
  lock.destroy();
});

test('rw-lock: a writer', async () => {
  const lock = RwLock.create(heap, Value);
  const kill = holder('write', lock.handle);
  const guard = await expectSoon(kill, () => lock.lockReadAsync());
  expect(guard.recovered).toBe(true);
  guard.unlock();
  expect(lock.write((_, { recovered }) => recovered)).toBe(true);
  expect(lock.write((_, { recovered }) => recovered)).toBe(false);
  lock.destroy();
});

test('semaphore: the slot goes to the next holder in between', async () => {
  const semaphore = Semaphore.create(heap, 3);
  heap.reap(await holder('permits', semaphore.handle)());
  const kill = holder('permits', semaphore.handle);
  expect(semaphore.tryAcquire(2), 'the living holder of the same slot').toBe(false);
  await expectSoon(kill, () => semaphore.acquireAsync(3));
  expect([semaphore.held, semaphore.available]).toEqual([3, 0]);
  semaphore.release(3);
  semaphore.destroy();
});

test('once', async () => {
  const once = Once.create(heap);
  const kill = holder('once', once.handle);
  let runs = 0;
  await expectSoon(kill, () => once.runAsync(() => runs++));
  expect([runs, once.done]).toEqual([1, true]);
  once.destroy();
});

test('barrier', async () => {
  const barrier = Barrier.create(heap, 3);
  const kill = holder('barrier', barrier.handle);
  await expectSoon(kill, () => expect(barrier.waitAsync()).rejects.toThrow(BrokenBarrierError));
  barrier.reset();
  expect(barrier.broken).toBe(false);
  barrier.destroy();
});

test('arc: killed while it counts, again and again; the count is exact each time', async () => {
  const arc = Arc.create(heap, Value, { value: 9 });
  for (let round = 0; round < 12; round++) {
    const kill = holder('arc', arc.clone().move());
    await new Promise((resolve) => setTimeout(resolve, round % 3));
    heap.reap(await kill(), { reclaim: true });
    expect([arc.strongCount, arc.weakCount]).toEqual([1, 0]);
    arc.clone().drop();
  }
  expect(arc.value.value).toBe(9);
  arc.drop();
});
