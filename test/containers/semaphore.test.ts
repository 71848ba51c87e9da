/** Semaphore: permits are taken, given back and accounted for. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { AttachError, BusyError, LockTimeoutError } from '../../src/errors.ts';
import { PERMITS_BYTES } from '../../src/sync/permits.ts';
import { abortIn, elsewhere, pause, scene, useHeap } from './guarding.ts';
import { sleepUntilNotified } from './sleeps.ts';

useHeap();

test('permits are taken and given back', () => {
  const semaphore = Semaphore.create(scene.heap, 3);
  semaphore.acquire(2);
  expect([semaphore.available, semaphore.held, semaphore.total]).toEqual([1, 2, 3]);
  expect(semaphore.tryAcquire(2)).toBe(false);
  expect(semaphore.tryAcquire()).toBe(true);
  expect(semaphore.tryAcquire()).toBe(false);
  semaphore.release(3);
  expect(semaphore.with(() => semaphore.available, 2)).toBe(1);
  expect([semaphore.available, semaphore.held]).toEqual([3, 0]);
  semaphore.destroy();
});

test('another thread may give back; own permits are taken off first', () => {
  const mine = Semaphore.create(scene.heap, 5);
  const theirs = Semaphore.at(elsewhere(), mine.address);
  mine.acquire(2);
  theirs.acquire(2);
  theirs.release(3);
  expect([mine.held, theirs.held, mine.available]).toEqual([1, 0, 4]);
  expect(() => theirs.release(2)).toThrow('release of 2 permits, where 1 of 5 are taken');
  expect([mine.held, mine.available]).toEqual([1, 4]);
  mine.release();
  mine.destroy();
});

test('new permits are put in: a semaphore of 0 counts events', () => {
  const events = Semaphore.create(scene.heap, 0);
  events.add(2);
  expect(events.total).toBe(2);
  expect(events.tryAcquire(2)).toBe(true);
  events.add(0);
  events.release(2);
  expect(() => events.add(2 ** 23)).toThrow(RangeError);
  expect(() => events.add(2 ** 23 - 2)).toThrow(RangeError);
  events.add(2 ** 23 - 3);
  expect(events.available).toBe(2 ** 23 - 1);
  events.acquire(2 ** 23 - 1);
  expect(events.available).toBe(0);
  events.release(2 ** 23 - 1);
  events.destroy();
});

test.each([Number.NaN, -1, 0.5, 2 ** 23, Number.POSITIVE_INFINITY, '1' as never])(
  '%s permits are refused',
  (count) => {
    expect(() => Semaphore.create(scene.heap, count)).toThrow(RangeError);
    const semaphore = Semaphore.create(scene.heap, 3);
    expect(() => semaphore.acquire(count)).toThrow(RangeError);
    expect(() => semaphore.tryAcquire(count)).toThrow(RangeError);
    expect(() => semaphore.release(count)).toThrow(RangeError);
    expect(() => semaphore.add(count)).toThrow(RangeError);
    expect(() => semaphore.acquire(0)).toThrow(RangeError);
    expect(() => semaphore.acquire(4)).toThrow(RangeError);
    expect(semaphore.available).toBe(3);
    semaphore.destroy();
  },
);

test('acquireAsync waits for a release, without blocking', async () => {
  sleepUntilNotified();
  const semaphore = Semaphore.create(scene.heap, 2);
  semaphore.acquire(2);
  let had = 0;
  const waiters = [1, 2, 1].map(async (count) => {
    await semaphore.acquireAsync(count);
    had++;
    semaphore.release(count);
  });
  await pause(5);
  expect(had).toBe(0);
  semaphore.release(2);
  await Promise.all(waiters);
  expect(await semaphore.withAsync(async () => semaphore.available)).toBe(1);
  expect(semaphore.available).toBe(2);
  semaphore.destroy();
});

test('a timeout names who has permits; an abort takes none', async () => {
  const semaphore = Semaphore.create(scene.heap, 2);
  const theirs = Semaphore.at(elsewhere(), semaphore.address);
  theirs.acquire(2);
  expect(() => semaphore.acquire(1, { timeout: 20 })).toThrow(/held by thread slot 9 \(2\)/);
  await expect(semaphore.acquireAsync(1, { timeout: 20 })).rejects.toThrow(LockTimeoutError);
  expect(() => semaphore.acquire(1, { timeout: Number.NaN })).toThrow(RangeError);
  const reason = new Error('enough');
  await expect(semaphore.acquireAsync(1, { signal: abortIn(5, reason) })).rejects.toBe(reason);
  await expect(semaphore.acquireAsync(1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  theirs.release(2);
  expect([semaphore.available, scene.heap.memory.u32[(semaphore.address + 28) >>> 2]]).toEqual([2, 0]);
  semaphore.destroy();
});

test('with gives back when the function throws, and refuses a promise', async () => {
  const semaphore = Semaphore.create(scene.heap, 1);
  const failing = () => {
    throw new Error('no');
  };
  expect(() => semaphore.with(failing)).toThrow('no');
  await expect(semaphore.withAsync(failing)).rejects.toThrow('no');
  expect(() => semaphore.with(async () => 0)).toThrow('use withAsync(fn)');
  expect(semaphore.available).toBe(1);
  semaphore.destroy();
});

test('destroyed while a thread waits: it takes nothing, and writes nothing where it was', async () => {
  const { heap } = scene;
  const semaphore = Semaphore.create(heap, 1);
  const second = Semaphore.open(heap, semaphore.handle);
  const { address } = semaphore;
  semaphore.acquire();
  const waiting = second.acquireAsync();
  const asking = second.withAsync(() => 'never');
  semaphore.release();
  semaphore.destroy();
  // What comes to lie there is somebody else's.
  const size = heap.sizeOf(heap.alloc(PERMITS_BYTES + 8));
  const bytes = heap.memory.bytes(address, size);
  bytes.fill(0);
  await expect(waiting).rejects.toThrow('was destroyed');
  await expect(asking).rejects.toThrow(ReferenceError);
  expect(bytes.findIndex((byte) => byte !== 0)).toBe(-1);
  heap.free(address);
});

test('an object that is closed while its thread waits keeps no permits', async () => {
  const semaphore = Semaphore.create(scene.heap, 2);
  const second = Semaphore.open(scene.heap, semaphore.handle);
  semaphore.acquire(2);
  const waiting = second.acquireAsync();
  second.close();
  semaphore.release(2);
  await expect(waiting).rejects.toThrow(ReferenceError);
  expect([semaphore.held, semaphore.available]).toEqual([0, 2]);
  semaphore.destroy();
});

test('destroy is refused while permits are taken; close closes this object alone', () => {
  const { heap } = scene;
  const semaphore = Semaphore.create(heap, 2);
  semaphore.acquire();
  expect(() => semaphore.destroy()).toThrow(BusyError);
  semaphore.release();
  const second = Semaphore.open(heap, semaphore.handle);
  second.close();
  expect(() => second.acquire()).toThrow(ReferenceError);
  expect(() => second.release()).toThrow(ReferenceError);
  expect(JSON.stringify(semaphore)).toContain('"available":2,"total":2');
  const { handle } = semaphore;
  semaphore.destroy();
  expect(() => semaphore.available).toThrow(ReferenceError);
  expect(() => Semaphore.open(heap, handle)).toThrow(AttachError);
});

test('available and what is taken add up to the total, whatever is done', () => {
  const other = elsewhere();
  const act = fc.tuple(fc.constantFrom('take', 'give', 'add'), fc.boolean(), fc.integer({ min: 1, max: 6 }));
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const mine = Semaphore.create(scene.heap, 4);
      const theirs = Semaphore.at(other, mine.address);
      const model = { free: 4, total: 4 };
      for (const [what, here, count] of acts) {
        const one = here ? mine : theirs;
        if (what === 'add') {
          one.add(count);
          model.free += count;
          model.total += count;
        } else if (what === 'take' && count <= model.total) {
          const taken = one.tryAcquire(count);
          expect(taken).toBe(count <= model.free);
          if (taken) model.free -= count;
        } else if (what === 'give') {
          if (count > model.total - model.free) expect(() => one.release(count)).toThrow(RangeError);
          else {
            one.release(count);
            model.free += count;
          }
        }
        expect([mine.available, mine.total]).toEqual([model.free, model.total]);
        expect(mine.held + theirs.held).toBe(model.total - model.free);
      }
      if (model.free < model.total) mine.release(model.total - model.free);
      mine.destroy();
    }),
  );
});
