/** What becomes of containers, and of what a thread holds, when it detaches from the heap. */

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Arc } from '../../src/containers/arc.ts';
import { Box } from '../../src/containers/box.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Rc } from '../../src/containers/rc.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { SharedString, string } from '../../src/containers/string.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { DetachedError, WrongThreadError } from '../../src/errors.ts';
import type { HeapHandle } from '../../src/heap/handle.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });

let heap: Heap;
let handle: HeapHandle;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB, maxThreads: 4, lockTimeout: 100 });
  ({ handle } = heap);
});
afterEach(() => {
  Heap.attach(handle).verify();
  Heap.attach(handle).detach();
});

/** Leaves the heap and comes again, as another thread would that takes the next slot. */
function comeAgain(): Heap {
  heap.detach();
  return Heap.attach(handle);
}

describe('the slot', () => {
  test('goes on to the next thread when nothing is held', () => {
    const lock = RwLock.create(heap, Point);
    const semaphore = Semaphore.create(heap, 2);
    lock.read(() => {});
    lock.write(() => {});
    semaphore.with(() => {});
    expect(comeAgain().threadSlot).toBe(1);
  });

  test('goes on while the thread reads: it reads no more', () => {
    const lock = RwLock.create(heap, Point, { x: 1 });
    const guard = lock.lockRead();
    const { handle: where } = lock;
    const next = comeAgain();
    expect(next.threadSlot).toBe(1);
    const theirs = RwLock.open(next, where, Point);
    const mine = theirs.lockRead();
    guard.unlock();
    const third = RwLock.at(next, theirs.address, Point);
    expect(third.tryWrite(), 'the old guard has not ended the reading of the next tenant').toBeUndefined();
    expect(() => lock.read(() => {})).toThrow(DetachedError);
    expect(() => lock.write(() => {})).toThrow(DetachedError);
    mine.unlock();
    theirs.write((point) => {
      point.x = 2;
    });
    theirs.destroy();
  });

  test('goes on while the thread has permits: it has none any more', () => {
    const semaphore = Semaphore.create(heap, 3);
    semaphore.acquire(2);
    const { handle: where } = semaphore;
    const next = comeAgain();
    expect(next.threadSlot).toBe(1);
    const theirs = Semaphore.open(next, where);
    expect([theirs.available, theirs.held]).toEqual([1, 0]);
    expect(() => semaphore.release(2)).toThrow(DetachedError);
    expect(theirs.tryAcquire(3)).toBe(true);
    expect(() => semaphore.acquire()).toThrow(DetachedError);
    theirs.release(3);
    theirs.destroy();
  });

  test('is kept while the thread has a lock', () => {
    const mutex = Mutex.create(heap, Point);
    const guard = mutex.lock();
    const where = mutex.handle;
    const next = comeAgain();
    expect(next.threadSlot).toBe(2);
    guard.unlock();
    Mutex.open(next, where, Point).destroy();
  });
});

test('what was opened by a heap that was left takes no lock and no block', () => {
  const mutex = Mutex.create(heap, Point);
  const lock = RwLock.create(heap, Point);
  const map = SharedMap.create(heap, string, u32).set('k', 1);
  const set = SharedSet.create(heap, string);
  const list = SharedVec.create(heap, string, ['a']);
  const text = SharedString.create(heap, 'text');
  const box = Box.create(heap, Point);
  const arc = Arc.create(heap, Point);
  const weak = arc.downgrade();
  const next = comeAgain();
  const before = next.memory.u8.slice();
  const uses = {
    'mutex.with': () => mutex.with(() => {}),
    'mutex.tryLock': () => mutex.tryLock(),
    'rwlock.write': () => lock.write(() => {}),
    'map.get': () => map.get('k'),
    'map.set': () => map.set('k', 2),
    'set.add': () => set.add('k'),
    'list.push': () => list.push('b'),
    'list.destroy': () => list.destroy(),
    'text.destroy': () => text.destroy(),
    'box.move': () => box.move(),
    'arc.clone': () => arc.clone(),
    'weak.upgrade': () => weak.upgrade(),
  };
  for (const [name, use] of Object.entries(uses)) {
    // Lock-free reads of a map come upon the thread's record in a fence.
    expect(use, name).toThrow(DetachedError);
  }
  expect(next.memory.u8.every((byte, index) => byte === before[index])).toBe(true);
  next.verify();
  expect(inspect(text)).toBe("SharedString 'text'");
});

test("an Rc's block is nobody's afterwards", () => {
  const rc = Rc.create(heap, Point, { x: 1 });
  const { address } = rc;
  const next = comeAgain();
  expect(() => Rc.fromAddress(next, address, Point)).toThrow(WrongThreadError);
  expect([...next.blocks()].find((block) => block.address === address)?.state).toBe('orphan');
  next.free(address);
});

test('a role in a ring is free again', () => {
  const ring = SpscRing.create(heap, u32, { capacity: 4 });
  ring.send(1);
  const where = ring.handle;
  const next = comeAgain();
  SpscRing.open(next, where, u32).send(2);
});
