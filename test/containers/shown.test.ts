/** What JSON and inspectors show of objects that have no handle: not the memory that they hold. */

import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Arc } from '../../src/containers/arc.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Rc } from '../../src/containers/rc.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB });
});
afterEach(() => {
  expect(heap.stats().liveBlocks).toBe(0);
  heap.detach();
});

const shownOf = (it: unknown): [string, unknown] => [inspect(it), JSON.parse(JSON.stringify({ it })).it];

test('guards and cells: the value, as long as they hold it', () => {
  const mutex = Mutex.create(heap, Point, { x: 1 });
  const guard = mutex.lock();
  const value = JSON.parse(JSON.stringify(guard.value));
  expect(shownOf(guard)[1]).toEqual({ held: true, value });
  expect(shownOf(guard)[0]).toMatch(/^MutexGuard { held: true, value: {.*x: 1/s);
  guard.unlock();
  expect(shownOf(guard)).toEqual(['MutexGuard { held: false }', { held: false }]);
  mutex.destroy();
  const rwlock = RwLock.create(heap, u32, 7);
  const reading = rwlock.lockRead();
  expect(shownOf(reading)).toEqual(['ReadGuard { held: true, value: 7 }', { held: true, value: 7 }]);
  reading.unlock();
  const writing = rwlock.lockWrite();
  expect(shownOf(writing)).toEqual(['WriteGuard { held: true, value: 7 }', { held: true, value: 7 }]);
  writing.unlock();
  expect(shownOf(writing)).toEqual(['WriteGuard { held: false }', { held: false }]);
  const cell = rwlock.write((shown) => {
    expect(shownOf(shown)).toEqual(['ValueCell { value: 7 }', { value: 7 }]);
    return shown;
  });
  expect(shownOf(cell)).toEqual(['ValueCell (not held any more)', null]);
  rwlock.destroy();
});

test('links: where it lies, null once it is gone', () => {
  const arc = Arc.create(heap, Point);
  const weak = arc.downgrade();
  const rc = Rc.create(heap, Point);
  const rcWeak = rc.downgrade();
  expect(shownOf(weak)).toEqual(['Weak of Point', arc.value.address]);
  expect(shownOf(rcWeak)).toEqual(['RcWeak of Point', rc.value.address]);
  arc.drop();
  rc.drop();
  expect([shownOf(weak)[1], shownOf(rcWeak)[1]]).toEqual([null, null]);
  weak.drop();
  rcWeak.drop();
  expect([shownOf(weak)[1], shownOf(rcWeak)[1]]).toEqual([null, null]);
});

test('an arena: its figures', () => {
  const arena = heap.arena(1000);
  arena.alloc(100);
  const { capacity, used } = arena.stats();
  expect(shownOf(arena)).toEqual([`Arena { used: ${used}, capacity: ${capacity} }`, { used, capacity }]);
  arena.release();
  expect(shownOf(arena)).toEqual(['Arena (released)', null]);
});
